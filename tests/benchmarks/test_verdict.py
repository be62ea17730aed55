from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks.monitor import Moment
from benchmarks.report import Limits, Report
from benchmarks.verdict import (
    TEN,
    Point,
    Ratio,
    duration,
    front,
    judge,
    noise,
    points,
    ratio,
    verdict_lines,
)
from tests.benchmarks.conftest import MODEL, Machine, simulate, usual_times

INT8, FLOAT = "edge litert-int8 in litert", "edge litert-float32 in litert"


def best(report: Report, **limits: float) -> str:
    found = judge(replace(report, limits=Limits(**limits)))
    assert found is not None
    return found.best.subject.name if found.best else ""


def test_the_fastest_is_shipped(report: Report) -> None:
    assert best(report) == INT8
    assert best(simulate(Machine(), usual_times(int8=90_000))) == FLOAT


def test_limits_rule_out_what_does_not_keep_them(report: Report) -> None:
    assert best(report, min_accuracy=0.9969) == FLOAT
    assert best(report, min_accuracy=0.9969, max_kb=100) == ""
    assert best(report, max_ms=2.5) == INT8
    assert best(report, max_ms=2.0) == ""
    assert best(report, max_kb=90) == INT8
    assert best(report, max_kb=89.9) == ""


def test_an_artifact_of_unknown_accuracy_keeps_no_limit_of_it(report: Report) -> None:
    unknown = replace(MODEL, artifacts=tuple(replace(a, accuracy=None) for a in MODEL.artifacts))
    assert best(replace(report, models=(unknown,)), min_accuracy=0.1) == ""
    assert best(replace(report, models=(unknown,))) == INT8


def test_of_two_that_cannot_be_told_apart_the_smaller_is_shipped() -> None:
    # Float seems faster by one percent, which processes' luck of three percent hides.
    times = usual_times(int8=50_500, float32=50_000)
    assert best(simulate(Machine(seed=4, process=0.03), times)) == INT8
    assert best(simulate(Machine(seed=4, call=0.0), times)) == FLOAT


def test_ten_digits_decide_where_no_frame_was_read(report: Report) -> None:
    alone = replace(report, series=tuple(s for s in report.series if "," not in s.operation or "invoke" in s.operation))
    found = judge(alone)
    assert found is not None
    assert found.measure == TEN
    assert "ten digits in 204 µs" in verdict_lines(alone)[0]


def test_without_any_candidate_there_is_no_verdict(report: Report) -> None:
    assert judge(replace(report, subjects=(), series=())) is None
    assert verdict_lines(replace(report, subjects=(), series=())) == []


def test_the_lines_say_what_to_ship_and_why(report: Report) -> None:
    lines = verdict_lines(report)
    assert lines[0].startswith("Ship litert-int8 of edge in litert here: a frame with ten digits (640×480) in 2.")
    assert "90.0 kB, 99.68% on MNIST" in lines[0]
    assert "edge in litert: int8 is faster, one digit takes 0.48 ×" in lines[1]
    assert any("take 1.06 ×" in line and "ten bare" in line for line in lines)
    assert any("plain chain" in line and "2.99 ×" in line and "9 and 9 of 10" in line for line in lines)


def test_int8_that_is_no_faster_is_said_to_be_none() -> None:
    lines = verdict_lines(simulate(Machine(seed=2, process=0.02), usual_times(int8=50_000, float32=50_000)))
    assert any("int8 is not faster here" in line for line in lines)


def test_what_misses_the_limits_is_named_with_what_it_misses(report: Report) -> None:
    (line, *_) = verdict_lines(replace(report, limits=Limits(max_ms=1.0, max_kb=100)))
    assert line.startswith("Nothing keeps within the limits (at most 1 ms, at most 100 kB); nearest is")
    assert re.search(r": 2\.(3|4)\d ms over 1 ms", line)


def test_a_ratio_is_of_the_same_sessions_and_has_their_interval() -> None:
    report = simulate(Machine(seed=5, process=0.05, drift=0.02))
    one, other = (report.find(name, "probabilities") for name in (INT8, FLOAT))
    found = ratio(one, other)
    assert found is not None
    assert found.low < 0.48 < found.high
    assert 0.03 < found.high - found.low < 0.12
    assert ratio(one, None) is None
    same = ratio(one, one)
    assert same is not None
    assert (same.value, same.low, same.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.479, "0.48 × (0.48–0.48)"), (35.31, "35.3 × (35.3–35.3)"), (3886.02, "3,886 × (3,886–3,886)")],
)
def test_ratios_have_three_digits(value: float, text: str) -> None:
    assert str(Ratio(value, value, value)) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(24_123, "24.1 µs"), (999_400, "999 µs"), (2_391_000, "2.39 ms"), (3_452_000_000, "3.45 s"), (999_600, "1.00 ms")],
)
def test_times_stand_in_the_unit_that_suits_them(nanoseconds: float, text: str) -> None:
    assert duration(nanoseconds) == text


def test_a_quiet_machine_raises_no_doubt(report: Report) -> None:
    share, words = noise(report)
    assert share < 0.05
    assert words == []


def test_a_restless_machine_is_told_with_how_much() -> None:
    share, words = noise(simulate(Machine(seed=1, block=0.1)))
    assert share > 0.1
    assert f"took up to {share:.0%} longer" in words[0]


def test_interrupted_blocks_are_told_with_their_share() -> None:
    _, words = noise(simulate(Machine(seed=1, busy=0.2)))
    assert any(re.search(r"other programs interrupted (19|20|21|22|18)% of the blocks", word) for word in words)


def test_stolen_time_and_throttling_are_told(report: Report) -> None:
    moments = (Moment(0.0, 2400, 48.0, 0x0, 0.1, 1, 0.0), Moment(1.0, 1500, 81.0, 0x6, 0.1, 1, 0.12))
    _, words = noise(replace(report, timeline=moments))
    assert "6% of this virtual machine's time" in words[0]
    assert "frequency capped, throttled" in words[1]


def test_the_front_is_what_no_smaller_network_equals() -> None:
    found = [
        Point("", size, accuracy, True, "") for size, accuracy in ((1, 0.9), (2, 0.9), (3, 0.95), (4, 0.94), (3, 0.93))
    ]
    assert [(p.bytes, p.accuracy) for p in front(found)] == [(1, 0.9), (3, 0.95)]


def test_measured_and_published_networks_stand_side_by_side(report: Report) -> None:
    found = points(report)
    own = {p.name: p for p in found if not p.source}
    assert own["edge litert-int8, litert"].time_ns == pytest.approx(24_000, rel=0.05)
    published = {p.name: p for p in found if p.source}
    assert {"BitNetMCU", "Efficient-CapsNet"} <= set(published)
    assert not published["Efficient-CapsNet"].quantized
    assert published["Efficient-CapsNet"].bytes == 4 * 161_824
    assert [p.bytes for p in found] == sorted(p.bytes for p in found)
