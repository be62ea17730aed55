"""A long run: how far the machine falls from its first seconds to what it keeps up in heat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.monitor import Moment, Monitor
from benchmarks.summary import percentile
from benchmarks.workers import Worker

WINDOW_SECONDS = 5.0
KEPT = 40
"""Samples of a window that are kept, evenly spaced; the calls between them are made and dropped, for the heat."""


@dataclass(frozen=True, slots=True)
class Window:
    """A few seconds of a long run: when they began, samples, and the machine at their end."""

    seconds: float
    samples_ns: tuple[int, ...]
    machine: Moment


@dataclass(frozen=True, slots=True)
class Sustained:
    """A subject at one operation without a pause.

    Attributes:
        subject: what ran.
        operation: which was called.
        windows: in order.
    """

    subject: str
    operation: str
    windows: tuple[Window, ...]

    @property
    def burst_ns(self) -> int:
        """Median of the first window."""
        return percentile(self.windows[0].samples_ns, 50)

    @property
    def kept_ns(self) -> int:
        """Median of the last fifth of the windows: what the machine keeps up."""
        last = self.windows[-max(len(self.windows) // 5, 1) :]
        return percentile([sample for window in last for sample in window.samples_ns], 50)


def measure_sustained(
    subject: str,
    worker: Worker,
    operation: str,
    minutes: float,
    monitor: Monitor,
    step: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> Sustained:
    """Call one operation for so many minutes.

    Args:
        subject: name of what the worker is.
        worker: ready to run.
        operation: that it is told.
        minutes: at least one window is run.
        monitor: of the machine; looked at between windows.
        step: called after each window.
        clock: seconds that go on.
    """
    started = clock()
    took = min(worker.run(operation, 3, 1).samples["total"])
    calls = max(round(WINDOW_SECONDS * 1e9 / max(took, 1)), 1)
    windows: list[Window] = []
    while not windows or clock() - started < 60 * minutes:
        begun = clock() - started
        samples = worker.run(operation, calls, 0).samples["total"]
        monitor.look()
        windows.append(Window(round(begun, 1), tuple(samples[:: max(len(samples) // KEPT, 1)]), monitor.moments[-1]))
        step()
    return Sustained(subject, operation, tuple(windows))
