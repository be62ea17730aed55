from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.image import AnnotatedFolder, main
from runtime.values import Image
from tests.refusal import refusal
from tests.runtime.fakes import SevenReader, sheet


def row(bars: int = 0, size: tuple[int, int] = (320, 240)) -> Image:
    """White paper with upright bars of ink next to each other."""
    return sheet(*((40 + 30 * i, 90) for i in range(bars)), size=size)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made the current one: blank.png, two.jpg, pages/ with p2 and p10, zero.png, notes.txt, empty/."""
    monkeypatch.chdir(tmp_path)
    for name, bars in (("blank.png", 0), ("two.jpg", 2), ("pages/p10.png", 1), ("pages/p2.png", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(name, row(bars))
    (tmp_path / "zero.png").touch()
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    return tmp_path


def read(*argv: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    return main(argv, load=SevenReader, stdout=out), out.getvalue().splitlines()


@pytest.mark.usefixtures("folder")
def test_each_picture_has_a_line_for_people() -> None:
    code, lines = read("two.jpg", "blank.png", "pages")
    assert code == 0
    assert lines == [
        "two.jpg: 77 (2 digits)",
        "blank.png: nothing read (no digit in view)",
        "pages/p2.png: 777 (3 digits)",
        "pages/p10.png: 7 (1 digit)",
    ]


@pytest.mark.usefixtures("folder")
def test_json_lines_are_those_of_the_camera_with_the_file_added() -> None:
    code, lines = read("two.jpg", "pages", "--json")
    assert code == 0
    values = [json.loads(line) for line in lines]
    assert list(values[0]) == [
        *("frame", "seconds", "source", "width", "height", "readings", "unsure", "numbers", "milliseconds", "file")
    ]
    assert [(value["frame"], value["source"], value["file"]) for value in values] == [
        (0, "two.jpg", "two.jpg"),
        (1, "pages", "pages/p2.png"),
        (2, "pages", "pages/p10.png"),
    ]
    assert [value["numbers"][0]["text"] for value in values] == ["77", "777", "7"]
    assert {reading["track"] for value in values for reading in value["readings"]} == {0}


def test_json_lines_can_go_to_a_file(folder: Path) -> None:
    code, lines = read("two.jpg", "--json", "out.jsonl")
    assert (code, lines) == (0, [])
    assert json.loads((folder / "out.jsonl").read_text())["file"] == "two.jpg"


@pytest.mark.parametrize(("target", "reason"), [("two.jpg", "is one of the pictures"), ("new.jpg", "looks like a pic")])
def test_json_lines_never_go_over_a_picture(
    folder: Path, target: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "two.jpg").read_bytes()
    text = refusal(partial(main, load=SevenReader), capsys, ["--json", target, "two.jpg", "blank.png"], 2)
    assert reason in text
    assert (folder / "two.jpg").read_bytes() == before
    assert not (folder / "new.jpg").exists()


@pytest.mark.usefixtures("folder")
def test_pictures_that_cannot_be_read_are_told_and_the_others_are_read(capfd: pytest.CaptureFixture[str]) -> None:
    code, lines = read("zero.png", "two.jpg", "notes.txt", "gone.png", "empty", "blank.png")
    assert code == 1
    assert [line.partition(":")[0] for line in lines] == ["two.jpg", "blank.png"]
    errors = capfd.readouterr().err.splitlines()
    assert sorted(error.removeprefix("error: ").split(":")[0] for error in errors) == [
        "cannot read gone.png",
        "no pictures in empty",
        "notes.txt is not a picture that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF or PNM)",
        "zero.png is empty",
    ]


@pytest.mark.usefixtures("folder")
def test_a_region_outside_one_picture_does_not_stop_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite("small.png", row(1, (100, 100)))
    code, lines = read("small.png", "two.jpg", "--roi", "0,0,200,200")
    assert code == 2
    assert lines == ["two.jpg: 77 (2 digits)"]
    assert capfd.readouterr().err == (
        "error: small.png: the region of interest [0, 0, 200, 200] is not inside the frame of 100x100\n"
    )


def test_annotated_pictures_are_written_and_the_inputs_stay(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _ = read("two.jpg", "pages", "--annotate", "pages")
    assert code == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    after = {path for path in folder.rglob("*") if path.is_file()}
    new = sorted(path.relative_to(folder).as_posix() for path in after - set(before))
    assert new == ["pages/p10-2.png", "pages/p2-2.png", "pages/two.jpg"]
    drawn = cv2.imread("pages/p2-2.png")
    assert drawn is not None
    assert ((drawn[:, :, 0].astype(int) - drawn[:, :, 2]) > 100).any()  # blue boxes, which no sheet has


def test_pictures_of_one_name_from_two_folders_are_both_kept(folder: Path) -> None:
    (folder / "other").mkdir()
    cv2.imwrite("other/p2.bmp", row(1))
    code, _ = read("pages/p2.png", "other/p2.bmp", "--annotate", "made/here")
    assert code == 0
    assert sorted(path.name for path in (folder / "made" / "here").iterdir()) == ["p2-2.png", "p2.png"]
    # A second run writes the same names again.
    read("pages/p2.png", "other/p2.bmp", "--annotate", "made/here")
    assert sorted(path.name for path in (folder / "made" / "here").iterdir()) == ["p2-2.png", "p2.png"]


def test_a_folder_that_cannot_be_made_is_one_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read("two.jpg", "--annotate", "notes.txt")[0] == 1
    assert capsys.readouterr().err == "error: cannot make the folder notes.txt: File exists\n"


class FullDisk(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("folder")
def test_results_that_cannot_be_written_are_one_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["two.jpg"], load=SevenReader, stdout=FullDisk()) == 1
    assert capsys.readouterr().err == "error: cannot write readings: No space left on device\n"


def test_an_annotated_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(SinkError, match=r"cannot write .*a\.png: Is a directory"):
        AnnotatedFolder(tmp_path, []).write(Path("a.png"), row())


def test_a_photo_of_twelve_megapixels_is_read_within_bounds(tmp_path: Path) -> None:
    photo = np.full((3000, 4000, 3), 230, np.uint8)
    photo[1000:1600, 1000:1150] = photo[1000:1600, 1400:1550] = 20
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo)
    script = (
        "import resource, sys\n"
        "from runtime.image import main\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "code = main(sys.argv[1:])\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    started = time.monotonic()
    arguments = [str(tmp_path / "photo.jpg"), "--json", "--annotate", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert (values["width"], values["height"]) == (4000, 3000)
    # The picture takes 36 MB, its luma 12, the annotated copy 36; ten times that would be a mistake.
    assert int(done.stderr.splitlines()[-1]) < 400
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("argv", "message"),
    [([], "the following arguments are required: IMAGE"), (["a.png", "--threads", "x"], "argument --threads: 'x'")],
)
def test_wrong_usage_names_the_option(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        read(*argv)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_the_shipped_model_reads_pictures_from_any_folder(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["two.jpg", "--precision", "float32"], stdout=io.StringIO()) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("folder")
def test_a_model_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["two.jpg", "--model", "nope"]) == 1
    assert "no model nope" in capsys.readouterr().err
