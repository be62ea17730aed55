"""A sink that runs by itself: slow or failing, it holds up neither recognition nor the other sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from runtime.errors import SinkError
from runtime.sinks import Closing, Sink
from runtime.values import Frame, Result

log = logging.getLogger(__name__)

CAPACITY = 30
"""Frames that wait for a slow sink, one second of a camera; then the oldest makes room."""

_REPORT_SECONDS = 60.0  # between two messages about the same trouble
_CLOSE_SECONDS = 5.0


class Background(Closing):
    """Hands frames to a sink in a thread of its own, for live sources: what it cannot keep up with is dropped.

    A SinkError is said and counted, and the sink is given the next frame: a disk may have room again. Whatever else the
    sink raises is raised in whoever writes.

    Attributes:
        name: what the user calls the sink.
        written: frames that the sink took.
        dropped: frames that found no room while it was busy.
        failed: frames that it could not write.
    """

    def __init__(
        self, name: str, sink: Sink, capacity: int = CAPACITY, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the thread."""
        self.name = name
        self.written = self.dropped = self.failed = 0
        self._sink = sink
        self._capacity = capacity
        self._clock = clock
        self._waiting: deque[tuple[Frame, Result]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: SinkError | None = None
        self._raised: BaseException | None = None
        self._reported_at = -_REPORT_SECONDS
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, result: Result) -> None:
        """Leave a frame for the sink; never waits."""
        with self._changed:
            if self._raised:
                raise self._raised
            if len(self._waiting) == self._capacity:
                self._waiting.popleft()
                self.dropped += 1
                self._report(f"{self.name} is too slow: {self.dropped} frames dropped so far")
            self._waiting.append((frame, result))
            self._changed.notify()

    def close(self) -> None:
        """Let the sink finish, for a few seconds at most.

        Raises:
            SinkError: it failed to the last.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("%s does not finish: left behind with %d frames unwritten", self.name, len(self._waiting))
        elif error := self._raised or self._error:
            self._raised = self._error = None
            raise error

    def _run(self) -> None:
        try:
            with self._sink:
                while item := self._next():
                    self._write(*item)
        except SinkError as error:
            self._error = error
        except BaseException as error:  # noqa: BLE001 - handed over: who writes raises it
            self._raised = error

    def _next(self) -> tuple[Frame, Result] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting else None

    def _write(self, frame: Frame, result: Result) -> None:
        try:
            self._sink.write(frame, result)
        except SinkError as error:
            self.failed += 1
            self._error = error
            self._report(f"{error}; {self.failed} frames lost so far, trying on")
            return
        self.written += 1
        if self._error:
            log.warning("%s works again", self.name)
            self._error, self._reported_at = None, -_REPORT_SECONDS

    def _report(self, message: str) -> None:
        now = self._clock()
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            log.warning("%s", message)
