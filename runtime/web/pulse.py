"""The latest result in plain values, and how many frames come in a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from runtime.sinks import Closing, result_values
from runtime.values import Frame, Result


class Pulse(Closing):
    """A sink that keeps the latest result.

    Attributes:
        latest: what the JSON line has of it, and ``hint``; None before the first frame.
    """

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.latest: dict[str, Any] | None = None
        self._source = source
        self._clock = clock
        self._at: float | None = None
        self._period = 0.0

    def write(self, frame: Frame, result: Result) -> None:
        """Take a frame's result."""
        now = self._clock()
        if self._at is not None:
            period = now - self._at
            self._period = 0.9 * self._period + 0.1 * period if self._period else period
        self._at = now
        self.latest = result_values(frame, result, self._source) | {"hint": result.hint}

    @property
    def fps(self) -> float:
        """Frames per second of late; it falls while none come."""
        if self._at is None or not self._period:
            return 0.0
        return 1 / max(self._period, self._clock() - self._at)
