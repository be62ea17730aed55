from __future__ import annotations

import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.numbers import group_numbers
from runtime.sinks import RECORDING_CODECS, JsonSink, TextSink, VideoSink, unused_path
from runtime.values import Box, Frame, Image, Prediction, Reading, Result

SIZE = 64, 48


def frame(index: int = 0, seconds: float | None = None, size: tuple[int, int] = SIZE) -> Frame:
    return Frame(np.full(size[::-1], 10, np.uint8), None, index, index / 30 if seconds is None else seconds)


def reading(label: str, x: int, y: int = 10, confidence: float = 0.98765) -> Reading:
    return Reading(Box(x, y, 10, 20), label, confidence, Prediction(np.ones(11, np.float32) / 11), 3, 5)


def result(text: str = "", unsure: str = "") -> Result:
    """The digits of ``text``, neighbors of each other."""
    numbers = group_numbers([reading(label, 100 + 14 * i) for i, label in enumerate(text)])
    return Result(
        tuple(digit for number in numbers for digit in number.readings),
        tuple(reading(label, 10, 200, 0.4) for label in unsure),
        numbers,
        {"detect": 0.71234, "classify": 0.2, "total": 1.1},
        "" if text else "no digit in view",
    )


def level(value: int, size: tuple[int, int] = SIZE) -> Image:
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


class TestJson:
    def test_the_line_is_that_of_the_design(self) -> None:
        out = io.StringIO()
        with JsonSink("-", "demo", out) as sink:
            sink.write(frame(12, 0.4), result("40", unsure="7"))
        assert out.getvalue() == (
            '{"frame":12,"seconds":0.4,"source":"demo","width":64,"height":48,"readings":['
            '{"label":"4","confidence":0.9877,"box":[100,10,10,20],"track":3},'
            '{"label":"0","confidence":0.9877,"box":[114,10,10,20],"track":3}],'
            '"unsure":[{"label":"7","confidence":0.4,"box":[10,200,10,20],"track":3}],'
            '"numbers":[{"text":"40","box":[100,10,24,20],"confidence":0.9877}],'
            '"milliseconds":{"detect":0.712,"classify":0.2,"total":1.1}}\n'
        )

    def test_every_line_is_written_through_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        with JsonSink(str(path), "größe.mp4") as sink:
            for index in range(3):
                sink.write(frame(index), result("7"))
                lines = path.read_text(encoding="utf-8").splitlines()
                assert [json.loads(line)["frame"] for line in lines] == list(range(index + 1))
        assert json.loads(path.read_text(encoding="utf-8").splitlines()[0])["source"] == "größe.mp4"

    def test_standard_output_stays_open(self) -> None:
        out = io.StringIO()
        with JsonSink("-", "demo", out):
            pass
        assert not out.closed

    def test_a_file_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match=r"cannot write JSON lines to .*gone/out.jsonl: No such file"):
            JsonSink(str(tmp_path / "gone" / "out.jsonl"), "demo")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_is_one_error(self) -> None:
        with pytest.raises(SinkError, match="No space left"), JsonSink("/dev/full", "demo") as sink:
            sink.write(frame(), result())

    def test_a_reader_that_has_gone_is_left_to_the_command(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w", closefd=False) as out:
            with pytest.raises(BrokenPipeError), JsonSink("-", "demo", out) as sink:
                sink.write(frame(), result())
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, writer)  # lets the closing flush of the half-written line succeed
            os.close(nowhere)
        os.close(writer)


class TestText:
    def script(self, *steps: tuple[float, str], quiet_seconds: float = 0.5) -> list[str]:
        out = io.StringIO()
        with TextSink(out, quiet_seconds) as sink:
            for index, (seconds, text) in enumerate(steps):
                sink.write(frame(index, seconds), result(text))
        return out.getvalue().splitlines()

    def test_a_line_comes_when_what_is_read_changes(self) -> None:
        lines = self.script((0, "407"), (1, "407"), (2, "408"), (3, "408"), (4, ""))
        assert lines == ["    0.0 s  407", "    2.0 s  408", "    4.0 s  -"]

    def test_flicker_does_not_flood_and_the_latest_change_is_kept(self) -> None:
        steps = [(i / 30, "1" if i % 2 else "7") for i in range(60)]
        lines = self.script(*steps)
        assert 4 <= len(lines) <= 5
        assert lines[-1].endswith("1")

    def test_a_flicker_that_has_gone_is_not_told(self) -> None:
        assert self.script((0, "7"), (0.1, "1"), (0.2, "7"), (3, "7")) == ["    0.0 s  7"]

    def test_unrelated_pictures_each_have_their_line(self) -> None:
        assert len(self.script((0, "1"), (0.03, "2"), (0.07, "3"), quiet_seconds=0)) == 3

    def test_nothing_read_from_the_start_is_silence(self) -> None:
        assert self.script((0, ""), (1, "")) == []


class TestVideo:
    @pytest.mark.parametrize("suffix", sorted(RECORDING_CODECS))
    def test_what_is_recorded_can_be_read_back(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"out{suffix}"
        values = list(range(20, 240, 20))
        with VideoSink(str(path), lambda frame, result: level(values[frame.index]), fps=25) as sink:
            for index in range(len(values)):
                sink.write(frame(index), result())
        assert levels(path) == pytest.approx(values, abs=6)
        assert cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FPS) == pytest.approx(25)

    def test_a_live_recording_keeps_to_the_clock(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        times = [0.0, 0.1, 0.12, 0.5, 0.6]  # at 10 per second: one in time, one too many, one late
        with VideoSink(str(path), lambda frame, result: level(40 * (frame.index + 1)), fps=10, live=True) as sink:
            for index, seconds in enumerate(times):
                sink.write(frame(index, seconds), result())
        assert levels(path) == pytest.approx([40, 80, 160, 160, 160, 160, 200], abs=6)

    def test_a_long_gap_in_a_live_source_becomes_a_cut(self, tmp_path: Path) -> None:
        path = tmp_path / "out.mkv"
        with VideoSink(str(path), lambda frame, result: level(100), fps=10, live=True) as sink:
            for index, seconds in enumerate([0.0, 0.1, 3600.0, 3600.1]):
                sink.write(frame(index, seconds), result())
        assert len(levels(path)) == 4

    def test_pictures_of_another_size_are_fitted_into_the_first_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "out.avi"
        sizes = [(65, 49), (65, 49), (30, 60), (640, 100)]
        with VideoSink(str(path), lambda frame, result: level(200, sizes[frame.index])) as sink:
            for index in range(4):
                sink.write(frame(index), result())
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
        sink.write(frame(), result())
        path.unlink()
        with pytest.raises(SinkError, match="was not written"):
            sink.close()


def test_an_unused_path_is_found_beside_those_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for name in ("a.png", "a-2.png", "a-3.png"):
        assert unused_path(path).name == name
        unused_path(path).touch()
