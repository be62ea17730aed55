"""Where results go: what every sink shares, lines of text and JSON lines. Each is a context manager.

``recording`` and ``window`` have others.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from runtime.errors import SinkError
from runtime.values import Frame, Reading, Result


class Sink(Protocol):
    """A context manager that takes each frame with what was read in it."""

    def __enter__(self) -> Self:
        """Return itself: a sink is ready from its making on."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish what was begun and let go of it."""
        ...

    def write(self, frame: Frame, result: Result) -> None:
        """Take one frame and its result; neither is kept nor changed.

        Raises:
            SinkError: it cannot be written.
        """
        ...


class Closing:
    """What the sinks share: nothing to do on entry, ``close`` on exit."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish; calling it again does nothing."""


def result_values(frame: Frame, result: Result, source: str) -> dict[str, Any]:
    """What came of a frame in plain values, as the JSON line has them."""
    height, width = frame.luma.shape
    return {
        "frame": frame.index,
        "seconds": round(frame.seconds, 4),
        "source": source,
        "width": width,
        "height": height,
        "readings": [reading_values(reading) for reading in result.readings],
        "unsure": [reading_values(reading) for reading in result.unsure],
        "numbers": [
            {"text": number.text, "box": number.box.as_list(), "confidence": round(float(number.confidence), 4)}
            for number in result.numbers
        ],
        "milliseconds": {stage: round(float(value), 3) for stage, value in result.milliseconds.items()},
        **({"file": frame.file} if frame.file else {}),
    }


def json_line(values: dict[str, Any]) -> str:
    """Plain values as one line of JSON."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def described(result: Result) -> str:
    """What was read, in one line for a person."""
    counts = [f"{len(result.readings)} digit{'s' * (len(result.readings) != 1)}"] if result.readings else []
    if result.unsure:
        counts.append(f"{len(result.unsure)} unsure")
    if result.left_out:
        counts.append(f"{result.left_out} more candidates not looked at")
    if not result.readings and result.hint:
        counts.append(result.hint)
    text = " ".join(number.text for number in result.numbers) or "nothing read"
    return f"{text} ({', '.join(counts)})" if counts else text


def write_line(file: TextIO, line: str, what: str) -> None:
    """Write one line of results through to standard output.

    Args:
        file: where.
        line: without the line's end.
        what: names it in the error.

    Raises:
        SinkError: it cannot be written.
        BrokenPipeError: whoever read it has gone.
    """
    with write_errors(what):
        # A file's name may hold bytes that are no text: they are told by their numbers.
        file.write(line.encode(errors="backslashreplace").decode() + "\n")
        file.flush()


class JsonSink(Closing):
    """One JSON object per frame and line, each written through at once and whole, or not at all.

    Attributes:
        source: name of the source, for the lines.
    """

    def __init__(self, target: str, source: str, stdout: TextIO | None = None) -> None:
        """Open the file, or take standard output for ``-``.

        Args:
            target: path of the file, replaced if it exists; or ``-``.
            source: the source's name, for the lines.
            stdout: stands for standard output in tests.

        Raises:
            SinkError: the file cannot be written.
        """
        self.source = source
        self._what = f"JSON lines to {target}"
        self._stdout = stdout or sys.stdout
        self._file: int | None = None
        if target != "-":
            with write_errors(self._what):
                self._file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def write(self, frame: Frame, result: Result) -> None:
        """Write one line."""
        line = json_line(result_values(frame, result, self.source))
        if self._file is None:
            write_line(self._stdout, line, self._what)
            return
        with write_errors(self._what):
            _write_whole(self._file, f"{line}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._file is not None:
            file, self._file = self._file, None
            with write_errors(self._what):
                os.close(file)


class Changes:
    """Says when to tell that the numbers in view have changed: not at each flicker, and the latest is kept."""

    def __init__(self, quiet_seconds: float = 0.5) -> None:
        """Tell at most once in ``quiet_seconds`` of the source's time."""
        self._quiet = quiet_seconds
        self._told: tuple[str, ...] = ()
        self._last = -inf
        self.pending: tuple[float, tuple[str, ...]] | None = None
        """Seconds and numbers of a change that was held back."""

    def __call__(self, seconds: float, texts: tuple[str, ...]) -> bool:
        """Whether to tell these numbers, seen at this time, now."""
        self.pending = None
        if texts == self._told:
            return False
        if seconds - self._last < self._quiet:
            self.pending = seconds, texts
            return False
        self._last, self._told = seconds, texts
        return True


class TextSink(Closing):
    """Lines for a person: one for each picture file, else one whenever the numbers in view change."""

    def __init__(self, file: TextIO, quiet_seconds: float = 0.5) -> None:
        """Write to ``file``; of changes, at most one in ``quiet_seconds`` of the source's time."""
        self._file = file
        self._changes = Changes(quiet_seconds)

    def write(self, frame: Frame, result: Result) -> None:
        """Write a line, if there is something to tell."""
        texts = tuple(number.text for number in result.numbers)
        if frame.file:
            write_line(self._file, f"{frame.file}: {described(result)}", "readings")
        elif self._changes(frame.seconds, texts):
            self._tell(frame.seconds, texts)

    def close(self) -> None:
        """Write the change that was held back, if there is one."""
        if self._changes.pending:
            self._tell(*self._changes.pending)
            self._changes.pending = None

    def _tell(self, seconds: float, texts: tuple[str, ...]) -> None:
        write_line(self._file, f"{seconds:7.1f} s  {'  '.join(texts) or '-'}", "readings")


def unused_path(path: Path) -> Path:
    """The path itself, or with the first of -2, -3, … behind its stem that makes it a new file."""
    free, number = path, 2
    while free.exists():
        free = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return free


@contextmanager
def write_errors(what: str) -> Iterator[None]:
    """Turn what goes wrong with a file into a SinkError; but a reader of our output that has gone is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(f"cannot write {what}: {error.strerror}") from error


def _write_whole(file: int, data: bytes) -> None:
    """Write a line; where the disk fills in its middle, take back what was written of it."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        if len(view) < len(data):
            with suppress(OSError):  # a pipe has no end to cut off
                os.ftruncate(file, os.fstat(file).st_size - (len(data) - len(view)))
        raise


def reading_values(reading: Reading) -> dict[str, Any]:
    """A reading in plain values, as the JSON line has them."""
    return {
        "label": reading.label,
        "confidence": round(float(reading.confidence), 4),
        "box": reading.box.as_list(),
        "track": reading.track,
    }
