from __future__ import annotations

import logging

import numpy as np
import pytest

from runtime.errors import SinkError, SourceError, UsageError
from runtime.pipeline import run
from runtime.scoring import Score
from runtime.values import Box, Frame, Prediction, Reading, Result
from tests.runtime.fakes import ListSource, Recorder, drawn, nothing, sheet


def test_every_sink_gets_every_frame_in_order() -> None:
    sinks = [Recorder(), Recorder()]
    summary = run(ListSource([sheet()] * 5), nothing, sinks)
    assert [sink.indices for sink in sinks] == [[0, 1, 2, 3, 4]] * 2
    assert (summary.frames, summary.score) == (5, None)
    assert 0 < summary.recognizing < summary.seconds


def test_it_ends_after_as_many_frames_as_asked() -> None:
    sink = Recorder()
    assert run(ListSource([sheet()] * 5), nothing, [sink], max_frames=2).frames == 2
    assert sink.indices == [0, 1]


def test_it_ends_when_a_sink_asks_it_to() -> None:
    sink = Recorder()
    assert run(ListSource([sheet()] * 5), nothing, [sink], stop=lambda: len(sink.indices) == 3).frames == 3


def test_readings_are_scored_against_the_truth_of_their_frame() -> None:
    def read(frame: Frame) -> Result:
        return Result((Reading(Box(10, 10, 12, 48), "7", 0.9, Prediction(np.ones(1))),), (), ())

    truths = [(drawn("7", 10, 10),), (drawn("1", 10, 10), drawn("7", 90, 10)), ()]
    summary = run(ListSource([sheet()] * 3), read, [], truth=lambda index: truths[index])
    assert summary.score == Score(right=1, wrong=1, missed=1, invented=1)


def test_what_was_read_before_the_source_broke_is_with_the_sinks() -> None:
    sink = Recorder()
    with pytest.raises(SourceError, match="unplugged"):
        run(ListSource([sheet()] * 3, SourceError("unplugged")), nothing, [sink])
    assert sink.indices == [0, 1, 2]


def test_a_sink_that_fails_ends_it() -> None:
    with pytest.raises(SinkError, match="disk full"):
        run(ListSource([sheet()] * 3), nothing, [Recorder(SinkError("disk full"))])


def test_frames_that_do_not_hold_the_region_are_passed_over_once_one_did(caplog: pytest.LogCaptureFixture) -> None:
    def read(frame: Frame) -> Result:
        if frame.luma.shape[0] < 200:
            raise UsageError("the region lies outside")
        return nothing(frame)

    small, sink = sheet(size=(64, 48)), Recorder()
    with caplog.at_level(logging.WARNING):
        summary = run(ListSource([sheet(), small, small, sheet()]), read, [sink])
    assert sink.indices == [0, 3]
    assert (summary.frames, summary.unfit) == (2, 2)
    assert [record.message for record in caplog.records] == ["frame 1 is passed over: the region lies outside"]
    with pytest.raises(UsageError, match="the region lies outside"):
        run(ListSource([small, sheet()]), read, [sink])
