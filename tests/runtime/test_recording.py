from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.recording import RECORDING_SUFFIXES, Overlay, VideoSink, encoded
from runtime.values import Frame, Image, Result
from tests.runtime.fakes import nothing, sheet

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


class Levels:
    """Draws plain pictures: of these levels, and sizes, by the frame's index."""

    def __init__(self, values: Sequence[int], sizes: Sequence[tuple[int, int]] = ()) -> None:
        self.values, self.sizes = values, sizes

    def __call__(self, frame: Frame, result: Result) -> Image:
        size = self.sizes[frame.index] if self.sizes else (64, 48)
        return level(self.values[frame.index % len(self.values)], size)

    def jpeg(self, frame: Frame, result: Result) -> bytes:
        return encoded(self(frame, result))


class TestVideo:
    @pytest.mark.parametrize("suffix", RECORDING_SUFFIXES)
    def test_what_is_recorded_can_be_read_back(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"out{suffix}"
        values = list(range(20, 240, 20))
        with VideoSink(str(path), Levels(values), fps=25) as sink:
            for index in range(len(values)):
                sink.write(frame(index), RESULT)
        assert levels(path) == pytest.approx(values, abs=6)
        assert cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FPS) == pytest.approx(25)

    def test_a_live_recording_keeps_each_frame_s_time(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        times = [7.0, 7.1, 7.12, 7.5, 3600.0]
        with VideoSink(str(path), Levels([40, 80, 120, 160, 200]), fps=10, live=True) as sink:
            for index, seconds in enumerate(times):
                sink.write(frame(index, seconds), RESULT)
        assert levels(path) == pytest.approx([40, 80, 120, 160, 200], abs=6)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        found = []
        while capture.read()[0]:
            found.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        assert found == pytest.approx([0, 0.1, 0.12, 0.5, 3593], abs=0.001)

    def test_where_all_pictures_stand_equally_long_they_are_repeated_to_keep_to_the_clock(self, tmp_path: Path) -> None:
        path = tmp_path / "out.avi"
        times = [0.0, 0.1, 0.12, 0.5, 0.6]  # at 10 per second: one in time, one too many, one late
        with VideoSink(str(path), Levels([40, 80, 120, 160, 200]), fps=10, live=True) as sink:
            for index, seconds in enumerate(times):
                sink.write(frame(index, seconds), RESULT)
        assert levels(path) == pytest.approx([40, 80, 160, 160, 160, 160, 200], abs=6)

    def test_a_long_gap_in_a_live_source_becomes_a_cut_there(self, tmp_path: Path) -> None:
        path = tmp_path / "out.avi"
        with VideoSink(str(path), Levels([100]), fps=10, live=True) as sink:
            for index, seconds in enumerate([0.0, 0.1, 3600.0, 3600.1]):
                sink.write(frame(index, seconds), RESULT)
        assert len(levels(path)) == 4

    def test_pictures_of_another_size_are_fitted_into_the_first_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "out.avi"
        sizes = [(65, 49), (65, 49), (30, 60), (640, 100)]
        with VideoSink(str(path), Levels([200], sizes)) as sink:
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
            VideoSink(str(tmp_path / name), Levels([0]))

    def test_a_recording_cut_anywhere_is_read_up_to_there(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        with VideoSink(str(path), Levels([100]), fps=10) as sink:
            for index in range(10):
                sink.write(frame(index), RESULT)
                assert len(levels(path)) == index + 1  # before it is closed
        content = path.read_bytes()
        for share in (0.3, 0.55, 0.9):
            length = int(share * len(content))
            path.write_bytes(content[:length])
            assert abs(len(levels(path)) - 10 * share) <= 1.5

    def test_a_full_disk_costs_frames_and_neither_those_before_nor_those_after(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        limit = resource.RLIM_INFINITY
        try:
            with VideoSink(str(path), Levels([40, 80, 120]), fps=10, live=True) as sink:
                sink.write(frame(0, 0.0), RESULT)
                resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limit))  # the disk, full
                with pytest.raises(SinkError, match=r"out\.mkv: File too large"):
                    sink.write(frame(1, 0.1), RESULT)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                sink.write(frame(2, 0.2), RESULT)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        assert levels(path) == pytest.approx([40, 120], abs=6)

    def test_no_frames_make_no_file(self, tmp_path: Path) -> None:
        with VideoSink(str(tmp_path / "out.mkv"), Levels([0])):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_a_recording_that_vanished_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        sink = VideoSink(str(path), Levels([0]))
        sink.write(frame(), RESULT)
        path.unlink()
        with pytest.raises(SinkError, match="was not written"):
            sink.close()


class TestOverlay:
    def test_each_frame_is_drawn_once_though_asked_for_twice(self) -> None:
        overlay = Overlay(clock=iter(range(100)).__next__)
        frames = [Frame(sheet()[:, :, 0], sheet(), index, 0.0) for index in range(2)]
        first = overlay(frames[0], nothing(frames[0]))
        assert overlay(frames[0], nothing(frames[0])) is first
        assert overlay(frames[1], nothing(frames[1])) is not first

    def test_a_frame_of_luma_alone_can_be_drawn_on(self) -> None:
        frame = Frame(sheet()[:, :, 0], None, 0, 0.0)
        assert Overlay()(frame, nothing(frame)).shape[2] == 3
