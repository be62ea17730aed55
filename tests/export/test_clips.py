from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.clips import Clip, make_clip, rendered_clip
from runtime.demo import FRAME_COUNT
from runtime.errors import DataError, SinkError
from train.data import Mnist

COUNT = 4


def render(data: Mnist, folder: Path) -> Clip:
    return rendered_clip(data, folder, COUNT, processes=1)


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay") / "frames"
    render(drawn, folder)
    return folder


class TestRenderedFrames:
    def test_they_are_made_once_and_read_again(self, drawn: Mnist, folder: Path) -> None:
        before = times(folder)
        clip = render(drawn, folder)
        assert times(folder) == before
        assert (clip.name, clip.count, clip.moving) == ("frames", COUNT, False)
        frames = list(clip.frames)
        assert len(frames) == COUNT
        for frame in frames:
            assert (frame.luma.dtype, frame.luma.shape) == (np.uint8, (480, 640))
            for digit in frame.digits:
                assert digit.label in "0123456789"
                assert 0 <= digit.box.x < digit.box.right <= 640
                assert 0 <= digit.box.y < digit.box.bottom <= 480
        assert sum(len(frame.digits) for frame in frames) > 0

    def test_other_digits_make_other_frames(self, drawn: Mnist, folder: Path) -> None:
        before = times(folder)
        render(replace(drawn, validation_images=drawn.validation_images[::-1].copy()), folder)
        assert all(time != before[name] for name, time in times(folder).items())
        render(drawn, folder)

    def test_a_folder_of_something_else_is_left_alone(self, drawn: Mnist, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(SinkError, match="holds no rendered frames; name another with --frames"):
            render(drawn, tmp_path)
        assert (tmp_path / "thesis.tex").read_text() == "years of work"

    def test_rendering_that_was_stopped_leaves_nothing_behind(
        self, drawn: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stop(folder: Path, *_: object) -> None:
            folder.mkdir()
            (folder / "clean-00000.jpg").touch()
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("train.scenes.write_scenes", stop)
            with pytest.raises(KeyboardInterrupt):
                render(drawn, tmp_path / "frames")
        assert list(tmp_path.iterdir()) == []
        assert render(drawn, tmp_path / "frames").count == COUNT

    def test_a_folder_that_cannot_be_made_is_one_line(self, drawn: Mnist, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SinkError, match="cannot write frames into"):
            render(drawn, tmp_path / "file" / "frames")

    def test_a_frame_that_is_lost_is_named(self, drawn: Mnist, folder: Path) -> None:
        clip = render(drawn, folder)
        (folder / "clean-00000.jpg").write_bytes(b"")
        with pytest.raises(DataError, match=r"cannot read .*clean-00000\.jpg"):
            list(clip.frames)


def test_the_demo_needs_no_data(tmp_path: Path) -> None:
    def load() -> Mnist:
        raise AssertionError("nobody asked for MNIST")

    clip = make_clip("demo", load, tmp_path / "frames")
    assert (clip.name, clip.count, clip.moving) == ("demo", FRAME_COUNT, True)
    frames: Iterator[object] = iter(clip.frames)
    next(frames)
    assert not (tmp_path / "frames").exists()
