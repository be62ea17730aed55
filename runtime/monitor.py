"""What a run is doing: counts for whoever asks, and whether all is well."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, Protocol

from runtime.live import LiveSource
from runtime.sinks import Closing
from runtime.sources import FrameSource
from runtime.values import Frame, Result

HEALTHY_SECONDS = 10.0
"""How long no frame may come before the answer is that something is wrong."""


class Output(Protocol):
    """A sink that may lose frames, and counts them."""

    name: str
    written: int
    dropped: int
    failed: int


class Monitor(Closing):
    """Counts what a run does; a sink that keeps nothing.

    Attributes:
        source: where the frames come from.
        outputs: the sinks that may drop frames.
        frames: frames read.
        readings: digits read in all of them, by label.
        unsure: pieces of ink that it was unsure of, in all of them.
        hints: frames in which nothing was read, by the reason given.
    """

    def __init__(
        self, source: FrameSource, outputs: Sequence[Output] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source = source
        self.outputs = outputs
        self.frames = self.unsure = 0
        self.readings: Counter[str] = Counter()
        self.hints: Counter[str] = Counter()
        self._clock = clock
        self._started_at = clock()
        self._frame_at: float | None = None
        self._passed_at, self._passed_over = -inf, ""

    def pass_over(self, why: str) -> None:
        """Note a frame that came and could not be read: the reason is the trouble until one can."""
        self._passed_at, self._passed_over = self._clock(), why

    def write(self, frame: Frame, result: Result) -> None:
        """Count a frame."""
        self._frame_at = self._clock()
        self._passed_over = ""
        self.frames += 1
        self.unsure += len(result.unsure)
        self.readings.update(reading.label for reading in result.readings)
        if result.hint:
            self.hints[result.hint] += 1

    @property
    def trouble(self) -> str:
        """Why all is not well, in a line; empty where it is."""
        if isinstance(self.source, LiveSource) and self.source.trouble:
            return self.source.trouble
        if self._passed_over:
            return self._passed_over
        if self._frame_at is None:
            return "no frame has come yet"
        silent = self._clock() - self._frame_at
        return f"no frame for {silent:.0f} seconds" if silent > HEALTHY_SECONDS else ""

    def alive(self, seconds: float) -> bool:
        """Whether something moved within so many seconds: a frame was read, or the source tried to get one again.

        A camera that is gone is no reason to start the process anew, since it is tried again; a driver or a recognizer
        that hangs is one.
        """
        last = self._started_at if self._frame_at is None else self._frame_at
        if isinstance(self.source, LiveSource) and (self.source.trouble or self._frame_at is None):
            last = max(last, self.source.alive_at)
        return self._clock() - max(last, self._passed_at) <= seconds

    def health(self) -> dict[str, Any]:
        """The state in plain values; ``healthy`` turns false when frames stop."""
        faults = self.source.faults if isinstance(self.source, LiveSource) else {}
        return {
            "healthy": not self.trouble,
            "trouble": self.trouble,
            "source": self.source.name,
            "frames": self.frames,
            "dropped": self.source.dropped,
            "faults": dict(faults),
            "reconnects": self.source.reconnects if isinstance(self.source, LiveSource) else 0,
            "seconds_since_frame": None if self._frame_at is None else round(self._clock() - self._frame_at, 3),
            "outputs": {
                output.name: {"written": output.written, "dropped": output.dropped, "failed": output.failed}
                for output in self.outputs
            },
        }
