"""A camera or stream as a source that one can leave alone: the only capture thread of the project.

The thread keeps the latest picture alone, so that a slow consumer sees the present and not a queue of the past. What
goes away, stalls or freezes is opened again, with pauses that double up to ``LONGEST_PAUSE_SECONDS``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from runtime.capture import AS_THEY_COME, Capture, SourceSettings
from runtime.errors import SourceError
from runtime.pictures import Orientation, to_frame
from runtime.values import Frame, Image

log = logging.getLogger(__name__)

CAMERA_TIMEOUT_SECONDS = 10.0
"""How long a camera may take to its first picture."""

LONGEST_PAUSE_SECONDS = 1.0
"""Longest pause between two attempts to open what went away: it is back within that and the time opening takes."""

_FIRST_PAUSE_SECONDS = 0.1
_GRACE_SECONDS = 1.0  # failed reads in a row for so long are the end; one corrupt JPEG is one failed read
_RETRY_SECONDS = 0.02
_CLOSE_SECONDS = 2.0


class LiveSource:
    """A camera or stream, read by a thread of its own into a one-slot mailbox.

    The thread opens the capture, so a driver that hangs delays nobody for longer than the time-out. What it cannot
    mend, it raises in whoever iterates.

    Attributes:
        name: what the user called it.
        live: True: pictures not taken in time are dropped.
        fps: the rate asked for.
        dropped: pictures that arrived and were never taken.
        faults: how often what happened: ``unreadable`` (single pictures), ``resized``, ``lost``, ``frozen``.
        reconnects: how often it was opened again and delivered.
        trouble: why no pictures come now; empty while they do.
        alive_at: when the thread last came back from its driver, by ``time.monotonic``.
        while_waiting: called ten times a second while whoever iterates waits for a picture; None: nothing is.
    """

    live = True

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], Capture],
        settings: SourceSettings = AS_THEY_COME,
        *,
        timeout_seconds: float = CAMERA_TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread and, unless ``settings.wait``, wait for the first picture.

        Raises:
            SourceError: the capture did not open, or delivered no picture within the time-out.
        """
        self.name = name
        self.fps = settings.fps
        self.dropped = self.reconnects = 0
        self.faults: Counter[str] = Counter()
        self.trouble = ""
        self.alive_at = clock()
        self.while_waiting: Callable[[], None] | None = None
        self._settings = settings
        self._orientation = Orientation(settings.rotate, settings.flip)
        self._clock = clock
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._slot: tuple[Image, int, float] | None = None
        self._error: BaseException | None = None
        self._count = 0
        self._last: Image | None = None
        self._frozen = False
        self._thread = threading.Thread(target=self._capture, args=(open_capture,), name=f"capture {name}", daemon=True)
        self._thread.start()
        if settings.wait:
            return
        try:
            self._await_first(timeout_seconds)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the latest picture each time; ends only by an error or ``close``."""
        first: float | None = None
        while True:
            while not self._wait():
                if self.while_waiting:
                    self.while_waiting()
            with self._changed:
                taken, self._slot = self._slot, None
            if taken is None:
                if self._error:
                    raise self._error
                return
            picture, index, at = taken
            first = at if first is None else first
            yield to_frame(picture, index, at - first, self._orientation)

    def close(self) -> None:
        """Ask the thread to end and wait for it; it releases the device after the read that it is in."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)

    def _wait(self) -> bool:
        """Wait until there is something to do; for a moment only, where there is something to do meanwhile."""
        with self._changed:
            ready = self._changed.wait_for(
                lambda: self._slot or self._error or self._stopping.is_set(), 0.1 if self.while_waiting else None
            )
            return bool(ready)

    def _await_first(self, timeout_seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._slot or self._error, timeout_seconds)
            if self._slot:
                return
            raise self._error or SourceError(
                f"{self.name} delivered no picture within {timeout_seconds:g} seconds: "
                "is another program using it? Try --size 640x480"
            )

    def _capture(self, open_capture: Callable[[], Capture]) -> None:
        """The thread: open, read, release, and again, until asked to stop or what happens cannot be mended."""
        try:
            self._keep_reading(open_capture)
        except BaseException as error:  # noqa: BLE001 - handed over: the consumer raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _keep_reading(self, open_capture: Callable[[], Capture]) -> None:
        good_at, pause = self._clock(), _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            count = self._count
            try:
                capture = open_capture()
                try:
                    self._read(capture)
                finally:
                    capture.release()
            except SourceError as error:
                if not self._count and not self._settings.wait:
                    raise
                now = self.alive_at = self._clock()
                if self._count > count:
                    good_at, pause = now, _FIRST_PAUSE_SECONDS
                limit = self._settings.give_up_seconds
                if limit is not None and now - good_at >= limit:
                    raise
                if not self.trouble:
                    log.warning("%s; trying again", error)
                self.trouble = str(error)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _read(self, capture: Capture) -> None:
        """Read until asked to stop.

        Raises:
            SourceError: no picture comes any more, or always the same one.
        """
        delivered_at = changed_at = self._clock()
        failures = delivered = 0
        while not self._stopping.is_set():
            try:
                arrived, picture = capture.read()
            except cv2.error:
                arrived, picture = False, None
            now = self.alive_at = self._clock()
            if not arrived or picture is None:
                failures += 1
                if now - delivered_at > _GRACE_SECONDS:
                    self.faults["lost"] += 1
                    raise SourceError(
                        f"{self.name} stopped delivering pictures after {self._count}: unplugged or ended?"
                    )
                self._stopping.wait(_RETRY_SECONDS)
                continue
            if failures:
                self.faults["unreadable"] += failures
            failures, delivered_at, delivered = 0, now, delivered + 1
            same = self._last is not None and _same(self._last, picture)
            if self._last is not None and self._last.shape != picture.shape:
                self.faults["resized"] += 1
            if not same:
                changed_at, self._frozen = now, False
            if self.trouble and not self._frozen:
                log.warning("%s is back", self.name)
                self.trouble = ""
            if delivered == 1 and self._count:
                self.reconnects += 1
            self._deliver(picture, now)
            if same and 0 < self._settings.frozen_seconds < now - changed_at:
                self.faults["frozen"] += 1
                self._frozen = True
                raise SourceError(
                    f"{self.name} is frozen: the same picture for {now - changed_at:.0f} seconds "
                    "(where that may be, --frozen-seconds 0)"
                )

    def _deliver(self, picture: Image, now: float) -> None:
        with self._changed:
            self.dropped += self._slot is not None
            self._slot = picture, self._count, now
            self._count += 1
            self._last = picture
            self._changed.notify_all()


def _same(a: Image, b: Image) -> bool:
    """Whether two pictures are equal, bit by bit; a few rows tell most that are not."""
    return a.shape == b.shape and np.array_equal(a[::16], b[::16]) and np.array_equal(a, b)
