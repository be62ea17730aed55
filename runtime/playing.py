"""Videos, pictures and the demo as if they were a camera: at their own pace, over and over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from runtime.sources import FrameSource
from runtime.values import Frame


class PlayingSource:
    """A source with an end, played again and again.

    Attributes:
        name: what the user called it.
        live: False: no picture is lost.
        fps: its own rate.
        dropped: pictures of it that could not be read.
    """

    live = False

    def __init__(
        self,
        first: FrameSource,
        again: Callable[[], FrameSource],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Play a source.

        Args:
            first: the source, open.
            again: opens it once more.
            clock: seconds.
            sleep: waits for so many seconds.
        """
        self._source, self._again = first, again
        self._clock, self._sleep = clock, sleep
        self.name, self.fps, self.dropped = first.name, first.fps, first.dropped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Frame]:
        """Yield its frames when their time has come; without end, unless it has none."""
        lost = 0
        while True:
            started, shown = self._clock(), 0
            for frame in self._source:
                self._sleep(max(started + frame.seconds - self._clock(), 0.0))
                shown += 1
                self.dropped = lost + self._source.dropped
                yield frame
            if not shown:
                return
            self._sleep(1 / self.fps)
            lost += self._source.dropped
            self._source.__exit__(None, None, None)
            self._source = self._again()
