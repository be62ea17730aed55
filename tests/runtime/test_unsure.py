from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.unsure import UnsureSink
from runtime.values import Box, Frame, Prediction, Reading, Result

NOISE = np.random.default_rng(5).integers(0, 256, (240, 320), np.uint8)  # hard to compress: no file is small


def frame() -> Frame:
    return Frame(NOISE, None, 0, 0.0)


MIDDLE = Box(100, 100, 40, 60)


def unsure(track: int, box: Box = MIDDLE) -> Result:
    return Result((), (Reading(box, "7", 0.43, Prediction(np.ones(11, np.float32) / 11), track),), ())


def space(folder: Path) -> int:
    """What the files take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def test_what_stays_unsure_is_saved_once_with_paper_around_it(tmp_path: Path) -> None:
    with UnsureSink(str(tmp_path / "crops"), 1, clock=lambda: 1e9 + 0.25) as sink:
        for _ in range(3):
            sink.write(frame(), unsure(1))
    (path,) = (tmp_path / "crops").iterdir()
    assert path.name == "unsure-20010909T014640250000-7-0.43.png"
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert np.array_equal(picture, NOISE[85:175, 85:155])


def test_unrelated_pictures_are_each_saved(tmp_path: Path) -> None:
    clock = itertools.count(1e9).__next__
    with UnsureSink(str(tmp_path), 1, clock=clock) as sink:
        for _ in range(3):
            sink.write(frame(), unsure(0))
    assert len(list(tmp_path.iterdir())) == 3


def test_ink_at_the_border_is_cut_there(tmp_path: Path) -> None:
    with UnsureSink(str(tmp_path), 1) as sink:
        sink.write(frame(), unsure(1, Box(0, 200, 30, 40)))
    (path,) = tmp_path.iterdir()
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (50, 40)


def test_the_space_is_never_exceeded_and_the_oldest_make_room(tmp_path: Path) -> None:
    clock = itertools.count(1e9).__next__
    most = 0
    with UnsureSink(str(tmp_path), 0.1, clock=clock) as sink:
        for track in range(1, 60):
            sink.write(frame(), unsure(track))
            most = max(most, space(tmp_path))
    assert 80_000 < most <= 100_000
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[-1].startswith("unsure-20010909T014738")  # the last of 59
    assert len(names) == pytest.approx(100_000 / 8192, abs=1)


def test_a_folder_that_is_too_full_already_is_brought_under_the_limit_and_other_files_stay(tmp_path: Path) -> None:
    clock = itertools.count(1e9).__next__
    with UnsureSink(str(tmp_path), 1, clock=clock) as sink:
        for track in range(1, 30):
            sink.write(frame(), unsure(track))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "unsure-20010909T014640250000-7-0.43.png.part").write_bytes(b"of a run that was killed")
    with UnsureSink(str(tmp_path), 0.1, clock=clock):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert space(tmp_path) <= 100_000 + 4096
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"unsure crops to .*file: File exists"):
        UnsureSink(str(tmp_path / "file"), 1)
