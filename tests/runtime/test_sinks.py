from __future__ import annotations

import io
import json
import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.numbers import group_numbers
from runtime.sinks import JsonSink, TextSink, unused_path
from runtime.values import Box, Frame, Prediction, Reading, Result

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

    def test_a_name_that_is_no_utf_8_is_told_as_json_can(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        with JsonSink(str(path), "b\udce9.jpg") as sink:  # as Python has a file's name of the byte E9
            sink.write(frame(0), result("7"))
        assert json.loads(path.read_bytes())["source"] == "b\udce9.jpg"
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # strict, as standard output mostly is
        JsonSink("-", "b\udce9.jpg", out).write(frame(0), result("7"))
        assert out.buffer.getvalue() == path.read_bytes()

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

    def test_a_line_that_the_disk_cuts_short_is_taken_back(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))  # the disk, full at 600 bytes
        try:
            with JsonSink(str(path), "demo") as sink:
                sink.write(frame(), result("40"))
                with pytest.raises(SinkError, match="File too large"):
                    sink.write(frame(1), result("4040404040"))
                whole = path.read_text()
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                sink.write(frame(2), result("7"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert len(whole) < 600
        assert [json.loads(line)["frame"] for line in path.read_text().splitlines()] == [0, 2]

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
    def script(self, *steps: tuple[float, str]) -> list[str]:
        out = io.StringIO()
        with TextSink(out) as sink:
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

    def test_pictures_of_files_each_have_their_line_though_it_be_the_same(self) -> None:
        out = io.StringIO()
        with TextSink(out) as sink:
            for name, text in (("a.png", "407"), ("b.png", "407"), ("c.png", "")):
                sink.write(replace(frame(), file=name), replace(result(text), left_out=3 if text else 0))
        assert out.getvalue().splitlines() == [
            *(f"{name}.png: 407 (3 digits, 3 more candidates not looked at)" for name in "ab"),
            "c.png: nothing read (no digit in view)",
        ]

    def test_nothing_read_from_the_start_is_silence(self) -> None:
        assert self.script((0, ""), (1, "")) == []


def test_an_unused_path_is_found_beside_those_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for name in ("a.png", "a-2.png", "a-3.png"):
        assert unused_path(path).name == name
        unused_path(path).touch()
