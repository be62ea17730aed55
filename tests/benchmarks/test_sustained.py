from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.monitor import Monitor
from benchmarks.sustained import KEPT, measure_sustained
from benchmarks.workers import Block


class Heating:
    """Takes a millisecond, and half again as much once five minutes are over; its clock goes on with its work."""

    facts: Mapping[str, object] = {}
    operations: tuple[str, ...] = ("work",)

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def run(self, operation: str, calls: int, settle: int) -> Block:
        took = 1_000_000 if self.seconds < 300 else 1_500_000
        self.seconds += took * (calls + settle) / 1e9
        return Block({"total": [took] * calls}, 1.0)

    def close(self) -> None:
        raise AssertionError("not ours to close")


def test_the_fall_from_burst_to_heat_is_seen(tmp_path: Path) -> None:
    worker = Heating()
    steps: list[None] = []
    monitor = Monitor(root=tmp_path, vcgencmd=lambda: "", clock=worker)
    found = measure_sustained("edge", worker, "work", 10.0, monitor, lambda: steps.append(None), worker)
    assert (found.subject, found.operation) == ("edge", "work")
    assert (found.burst_ns, found.kept_ns) == (1_000_000, 1_500_000)
    assert 600 <= worker.seconds < 610
    assert len(steps) == len(found.windows) == pytest.approx(60 + 40, abs=2)
    assert all(KEPT <= len(window.samples_ns) <= 2 * KEPT for window in found.windows)
    assert [window.seconds for window in found.windows] == sorted(window.seconds for window in found.windows)


def test_a_run_of_no_time_has_one_window(tmp_path: Path) -> None:
    worker = Heating()
    found = measure_sustained("edge", worker, "work", 0.0, Monitor(root=tmp_path, clock=worker), lambda: None, worker)
    assert len(found.windows) == 1
    assert found.burst_ns == found.kept_ns
