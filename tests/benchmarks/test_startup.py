from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.startup import STEPS, Launch, Start, measure_startup, start_process
from runtime.bundle import load_bundle
from runtime.errors import BackendError

ONE = Launch("one", "edge", "litert", "int8", "litert")
TWO = replace(ONE, name="two")
START = Start((1, 2, 3, 4), (5, 6, 7), 8, 10, None)


def test_every_launch_is_started_so_many_times_and_idles_once() -> None:
    started: list[tuple[str, float]] = []
    steps: list[None] = []

    def start(launch: Launch, idle_seconds: float) -> Start:
        started.append((launch.name, idle_seconds))
        return START

    found = measure_startup([ONE, TWO], 4, 2.5, lambda: steps.append(None), start)
    assert [(each.name, len(each.starts)) for each in found] == [("one", 4), ("two", 4)]
    assert len(steps) == 8
    # In every round each once; in the last each idles.
    assert [sorted(name for name, _ in started[i : i + 2]) for i in range(0, 8, 2)] == [["one", "two"]] * 4
    assert [idle for _, idle in started] == [0.0] * 6 + [2.5] * 2
    assert [name for name, _ in started] != ["one", "two"] * 4


def test_what_is_not_installed_is_left_out() -> None:
    def start(launch: Launch, idle_seconds: float) -> Start:
        if launch is TWO:
            raise BackendError("not installed")
        return START

    assert [each.name for each in measure_startup([ONE, TWO], 2, 0.0, lambda: None, start)] == ["one"]


def test_a_fresh_process_reads_its_first_digits() -> None:
    launch = replace(ONE, model=str(load_bundle().folder))
    start = start_process(launch, 0.2)
    assert len(start.steps_ns) == len(STEPS)
    assert min(start.steps_ns) > 0
    assert sum(start.steps_ns) < 60e9
    assert start.digits == 10
    assert start.peak_bytes >= max(start.resident_bytes) > 20_000_000
    assert list(start.resident_bytes) == sorted(start.resident_bytes)
    assert start.idle_cpu is not None
    assert 0 < start.idle_cpu < 4


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(BackendError, match=r"one: .*no model absent"):
        start_process(replace(ONE, model="absent"), 0.0)
