"""Ctrl-C and SIGTERM end a command between two frames."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from runtime.values import Frame


class StopSignals:
    """Makes the first Ctrl-C or SIGTERM end the run between two frames, so that every line and file is whole.

    While nothing is under way (opening, waiting for a frame) it ends that at once; the second one ends anything.

    Attributes:
        asked: whether one has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._at_once = True
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def frames(self, source: Iterable[Frame]) -> Iterator[Frame]:
        """The source's frames, until it ends or a signal comes."""
        iterator = iter(source)
        try:
            while not self.asked:
                self._at_once = True
                frame = next(iterator, None)
                self._at_once = False
                if frame is None:
                    return
                yield frame
        except KeyboardInterrupt:
            return
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self._at_once:
            self.asked = True
            raise KeyboardInterrupt
        self.asked = True
