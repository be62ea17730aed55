"""The latest picture for any number of viewers: drawn and encoded once for all, and not at all where nobody looks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.recording import Draw
from runtime.sinks import Closing
from runtime.values import Frame, Result


class Broadcast(Closing):
    """A sink that keeps the latest frame, and viewers that ask for what is newer than what they saw.

    A slow viewer skips frames; it holds up neither the recognizer nor the other viewers.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._changed = threading.Condition()
        self._latest: tuple[int, Frame, Result] | None = None
        self._viewers = 0
        self._closed = False

    @property
    def viewers(self) -> int:
        """How many look now."""
        return self._viewers

    def write(self, frame: Frame, result: Result) -> None:
        """Make a frame the latest; never waits."""
        with self._changed:
            number = self._latest[0] + 1 if self._latest else 1
            self._latest = number, frame, result
            self._changed.notify_all()

    def close(self) -> None:
        """Let every viewer end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def viewer(self, timeout_seconds: float = 10.0) -> Iterator[Iterator[tuple[bytes, Result] | None]]:
        """Be a viewer for a while.

        Args:
            timeout_seconds: yield None where no frame came for so long, so that the viewer can be told.

        Yields:
            An iterator over the latest picture as JPEG and what was read in it; it ends with the sink.
        """
        with self._changed:
            self._viewers += 1
        try:
            yield self._pictures(timeout_seconds)
        finally:
            with self._changed:
                self._viewers -= 1

    def _pictures(self, timeout_seconds: float) -> Iterator[tuple[bytes, Result] | None]:
        seen = 0
        while True:
            latest = self._newer(seen, timeout_seconds)
            if self._closed:
                return
            if latest is None:
                yield None
            else:
                seen, frame, result = latest
                yield self._draw.jpeg(frame, result), result

    def _newer(self, seen: int, timeout_seconds: float) -> tuple[int, Frame, Result] | None:
        """The latest frame, once it is newer than the one seen; None where none came in time."""

        def ready() -> bool:
            return self._closed or (self._latest is not None and self._latest[0] > seen)

        with self._changed:
            return self._latest if self._changed.wait_for(ready, timeout_seconds) else None
