from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.labels import DRAWN, LabeledDigit, read_labels
from runtime.errors import DataError
from runtime.pictures import read_picture
from runtime.values import Box

ENTRY = {
    "file": "a.png",
    "digits": "407",
    "rows": ["40 7"],
    "boxes": [[1, 2, 3, 4, "4"], [5, 2, 3, 4, "0"], [9, 2, 3, 4, "7"]],
}


def folder(tmp_path: Path, *entries: Any) -> Path:
    (tmp_path / "labels.json").write_text(json.dumps(list(entries)), encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"")
    return tmp_path


def test_an_entry_becomes_a_labeled_picture(tmp_path: Path) -> None:
    extra = {"tags": ["clean"], "ignore": [[20, 1, 5, 5]], "source": "pen"}
    (picture,) = read_labels(folder(tmp_path, ENTRY | extra))
    assert picture.boxed[2] == LabeledDigit("7", Box(9, 2, 3, 4))
    assert picture.numbers == ((0, 1), (2,))
    assert (picture.tags, picture.ignore, picture.source) == (("clean",), (Box(20, 1, 5, 5),), "pen")
    assert not picture.negative


def test_what_may_be_absent_may_be_absent(tmp_path: Path) -> None:
    (picture,) = read_labels(folder(tmp_path, {"file": "a.png", "digits": "12", "boxes": None}))
    assert (picture.boxed, picture.numbers, picture.tags, picture.ignore) == ((), (), (), ())
    assert picture.source == "a.png"


def test_rows_that_do_not_spell_the_digits_give_no_numbers(tmp_path: Path) -> None:
    assert read_labels(folder(tmp_path, ENTRY | {"rows": ["40"]}))[0].numbers == ()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "is not a list of pictures"),
        ([{"digits": "1"}], "entry 1 of .* is not a labeled picture"),
        ([ENTRY, ENTRY | {"boxes": [[1, 2, 3]]}], "entry 2"),
        ([ENTRY | {"digits": "704"}], "the boxes' digits are not '704'"),
        ([ENTRY | {"file": "b.png"}], "there is no picture"),
        (["a.png"], "is not a labeled picture"),
    ],
)
def test_what_is_no_labeled_folder_is_told(entries: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(folder(tmp_path, *entries))


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*labels.json"):
        read_labels(tmp_path)
    (tmp_path / "labels.json").write_text("[", encoding="utf-8")
    with pytest.raises(DataError, match="is not JSON"):
        read_labels(tmp_path)


def test_the_drawn_set_is_small_and_holds_ink_where_it_says() -> None:
    pictures = read_labels(DRAWN)
    assert sum(path.stat().st_size for path in DRAWN.iterdir()) < 300_000
    assert sum(picture.negative for picture in pictures) == 2
    assert sum(len(picture.digits) for picture in pictures) > 100
    for picture in pictures:
        luma = read_picture(picture.path).mean(axis=2)
        for digit in picture.boxed:
            box = digit.box
            inside = luma[box.y : box.bottom, box.x : box.right]
            assert inside.max() - inside.min() > 40
