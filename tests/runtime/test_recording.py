from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.recording import RECORDING_CODECS, VideoSink
from runtime.values import Frame, Image, Result

RESULT = Result((), (), ())


def frame(index: int = 0, seconds: float = 0.0) -> Frame:
    return Frame(np.full((48, 64), 10, np.uint8), None, index, seconds)


def level(value: int, size: tuple[int, int] = (64, 48)) -> Image:
    return np.full((size[1], size[0], 3), value, np.uint8)


def levels(path: Path) -> list[int]:
    """The gray level in the middle of each picture of a video."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found: list[int] = []
    while True:
        arrived, picture = capture.read()
        if not arrived:
            capture.release()
            return found
        found.append(int(picture[picture.shape[0] // 2, picture.shape[1] // 2, 1]))


class TestVideo:
    @pytest.mark.parametrize("suffix", sorted(RECORDING_CODECS))
    def test_what_is_recorded_can_be_read_back(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"out{suffix}"
        values = list(range(20, 240, 20))
        with VideoSink(str(path), lambda frame, result: level(values[frame.index]), fps=25) as sink:
            for index in range(len(values)):
                sink.write(frame(index), RESULT)
        assert levels(path) == pytest.approx(values, abs=6)
        assert cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FPS) == pytest.approx(25)

    def test_a_live_recording_keeps_to_the_clock(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        times = [0.0, 0.1, 0.12, 0.5, 0.6]  # at 10 per second: one in time, one too many, one late
        with VideoSink(str(path), lambda frame, result: level(40 * (frame.index + 1)), fps=10, live=True) as sink:
            for index, seconds in enumerate(times):
                sink.write(frame(index, seconds), RESULT)
        assert levels(path) == pytest.approx([40, 80, 160, 160, 160, 160, 200], abs=6)

    def test_a_long_gap_in_a_live_source_becomes_a_cut(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        with VideoSink(str(path), lambda frame, result: level(100), fps=10, live=True) as sink:
            for index, seconds in enumerate([0.0, 0.1, 3600.0, 3600.1]):
                sink.write(frame(index, seconds), RESULT)
        assert len(levels(path)) == 4

    def test_pictures_of_another_size_are_fitted_into_the_first_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "out.avi"
        sizes = [(65, 49), (65, 49), (30, 60), (640, 100)]
        with VideoSink(str(path), lambda frame, result: level(200, sizes[frame.index])) as sink:
            for index in range(4):
                sink.write(frame(index), RESULT)
        assert levels(path) == pytest.approx([200] * 4, abs=6)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        pictures = [capture.read()[1] for _ in range(4)]
        assert pictures[0].shape == (48, 64, 3)  # even, as codecs want it
        assert pictures[2][:, :5].max() < 20  # a tall picture has black beside it
        assert pictures[3][:5].max() < 20  # a wide one above

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("out.wmv", r"its name must end in \.mkv, \.mp4, \.avi"),
            ("out", "its name must end in"),
            ("gone/out.mkv", "the folder .*gone does not exist"),
            ("folder.mkv", "is no file that may be replaced"),
        ],
    )
    def test_what_cannot_be_recorded_is_refused_before_the_first_frame(
        self, tmp_path: Path, name: str, message: str
    ) -> None:
        (tmp_path / "folder.mkv").mkdir()
        with pytest.raises(SinkError, match=message):
            VideoSink(str(tmp_path / name), lambda frame, result: level(0))

    def test_no_frames_make_no_file(self, tmp_path: Path) -> None:
        with VideoSink(str(tmp_path / "out.mkv"), lambda frame, result: level(0)):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_a_recording_that_vanished_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        sink = VideoSink(str(path), lambda frame, result: level(0))
        sink.write(frame(), RESULT)
        path.unlink()
        with pytest.raises(SinkError, match="was not written"):
            sink.close()
