from __future__ import annotations

from pathlib import Path

import pytest

from export.formats import FORMATS
from export.limits import PATH, Limits, load_limits
from runtime.errors import DataError

TEXT = PATH.read_text(encoding="utf-8")


def test_every_format_has_limits_with_a_reason() -> None:
    limits = load_limits()
    for name in FORMATS:
        for images in ("gate", "none"):
            assert len(limits.of(name.split("-", 1)[1], images).reason) > 40
    assert len(limits.replay.reason) > 40


def test_the_gates_are_those_of_the_design() -> None:
    limits = load_limits()
    int8 = limits.of("int8")
    assert (int8.disagreement, int8.accuracy_drop, int8.recall_drop) == (0.003, 0.001, 0.003)
    assert limits.of("float32-batch") is limits.of("float32")
    float32 = limits.of("float32")
    assert (float32.disagreement, float32.logits) == (0, 1e-4)
    assert limits.replay.agreement == 0.995
    assert limits.of("float32", "none").disagreement == 0


def test_a_precision_without_limits_is_named() -> None:
    with pytest.raises(DataError, match=r"no limits for precision int4; add them, with the reason, to limits\.toml"):
        load_limits().of("int4")


def test_other_limits_for_one_precision_leave_the_others() -> None:
    loose = Limits(1, 1, 1)
    limits = load_limits().with_precision("int8", loose)
    assert limits.of("int8") is limits.of("int8", "none") is loose
    assert limits.of("float32") == load_limits().of("float32")
    assert load_limits().of("int8") != loose


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version",
        "version = 1",
        TEXT.replace("disagreement", "disagrement"),
        TEXT.replace("[replay]", "[reply]"),
        TEXT.replace("[none.", "[nothing."),
    ],
    ids=["empty", "not TOML", "half", "misspelled", "without replay", "without none"],
)
def test_a_broken_file_is_one_line_that_names_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_limits(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_limits(tmp_path / "nowhere.toml")
