"""How far a benchmark is, on stderr: a line redrawn on a terminal, a new line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 5.0
_BAR = 30


class Progress:
    """Counts steps to a known total; nothing is drawn while a step runs, so nothing is timed with it."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        """Start counting.

        Args:
            label: what is going on.
            total: steps to come.
            stream: where to draw; stderr if None.
        """
        self._label, self._total, self._done = label, max(total, 1), 0
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        # On a terminal at once; in a log only what takes longer than two seconds.
        self._next = self._started + (0.0 if self._terminal else 2.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=self._stream, flush=True)

    def step(self) -> None:
        """One more step is done."""
        self._done += 1
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS)
        share = min(self._done / self._total, 1.0)
        left = f"{(now - self._started) * (1 - share) / share:.0f} s left"
        if self._terminal:
            bar = "#" * round(share * _BAR)
            print(
                f"\r\x1b[K{self._label}  [{bar:.<{_BAR}}] {share:4.0%}  {left}", end="", file=self._stream, flush=True
            )
        else:
            print(f"{self._label}: {share:.0%}, {left}", file=self._stream, flush=True)
