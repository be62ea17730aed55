from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

import numpy as np
import pytest

from runtime.background import Background
from runtime.errors import SinkError
from runtime.values import Frame, Result
from tests.runtime.fakes import Recorder

RESULT = Result((), (), ())


def frame(index: int) -> Frame:
    return Frame(np.zeros((4, 4), np.uint8), None, index, index / 30)


class Slow(Recorder):
    """Is busy with each frame until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, frame: Frame, result: Result) -> None:
        self.go.wait(10)
        super().write(frame, result)


class Scripted(Recorder):
    """Fails with frames of these numbers."""

    def __init__(self, failing: range, error: Callable[[], Exception] = lambda: SinkError("disk full")) -> None:
        super().__init__()
        self.failing, self.raising = failing, error

    def write(self, frame: Frame, result: Result) -> None:
        if frame.index in self.failing:
            raise self.raising()
        super().write(frame, result)

    def __enter__(self) -> Self:
        return self


def settled(background: Background, count: int) -> None:
    deadline = time.monotonic() + 10
    while background.written + background.failed < count and time.monotonic() < deadline:
        time.sleep(0.001)


def test_every_frame_reaches_a_sink_that_keeps_up() -> None:
    sink = Recorder()
    with Background("sink", sink) as background:
        for index in range(25):
            background.write(frame(index), RESULT)
    assert sink.indices == list(range(25))
    assert (background.written, background.dropped, background.failed) == (25, 0, 0)
    assert not [thread for thread in threading.enumerate() if thread.name == "sink sink"]


def test_a_sink_that_hangs_holds_nobody_up_and_loses_the_oldest_frames(caplog: pytest.LogCaptureFixture) -> None:
    sink = Slow()
    with caplog.at_level(logging.WARNING), Background("recording", sink, capacity=5) as background:
        started = time.monotonic()
        for index in range(1000):
            background.write(frame(index), RESULT)
        assert time.monotonic() - started < 1
        assert background.dropped >= 1000 - 5 - 1
        sink.go.set()
    assert sink.indices[-5:] == [995, 996, 997, 998, 999]
    assert background.written + background.dropped == 1000
    assert [record.message for record in caplog.records] == ["recording is too slow: 1 frames dropped so far"]


def test_trouble_is_said_once_a_minute() -> None:
    now = [0.0]
    said: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Handler()
    logging.getLogger("runtime.background").addHandler(handler)
    sink = Slow()
    try:
        with Background("recording", sink, capacity=1, clock=lambda: now[0]) as background:
            for index in range(130):
                now[0] = float(index)
                background.write(frame(index), RESULT)
            sink.go.set()
    finally:
        logging.getLogger("runtime.background").removeHandler(handler)
    assert len(said) == 3


def test_what_fails_is_counted_and_the_next_frame_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    sink = Scripted(range(2, 6))
    with caplog.at_level(logging.WARNING), Background("recording", sink) as background:
        for index in range(8):
            background.write(frame(index), RESULT)
        settled(background, 8)
    assert sink.indices == [0, 1, 6, 7]
    assert (background.written, background.failed) == (4, 4)
    assert [record.message for record in caplog.records] == [
        "disk full; 1 frames lost so far, trying on",
        "recording works again",
    ]


def test_what_fails_to_the_last_is_an_error_in_the_end() -> None:
    with pytest.raises(SinkError, match="disk full"), Background("recording", Scripted(range(9))) as background:
        background.write(frame(0), RESULT)


def test_a_reader_that_has_gone_ends_the_run() -> None:
    background = Background("--json", Scripted(range(9), BrokenPipeError))
    background.write(frame(0), RESULT)
    thread = next(thread for thread in threading.enumerate() if thread.name == "sink --json")
    thread.join(10)
    with pytest.raises(BrokenPipeError):
        background.write(frame(1), RESULT)
    with pytest.raises(BrokenPipeError):
        background.close()


def test_a_sink_that_cannot_finish_is_said_to_have_failed() -> None:
    class Unfinished(Recorder):
        def __exit__(self, *_: object) -> None:
            raise SinkError("the recording was not written")

    with pytest.raises(SinkError, match="was not written"), Background("recording", Unfinished()) as background:
        background.write(frame(0), RESULT)
