"""Where results go: lines of text, JSON lines, a recorded video; ``window`` has one more. Each is a context manager."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

import cv2
import numpy as np

from runtime.errors import SinkError
from runtime.values import Frame, Image, Reading, Result

RECORDING_CODECS = {".mkv": "mp4v", ".mp4": "mp4v", ".avi": "MJPG"}
"""What each container is written with: the codecs that OpenCV's wheels bring, H.264 not among them."""

_REPEAT_SECONDS = 2.0  # a longer gap in a live source becomes a cut in its recording


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
        "readings": [_reading_values(reading) for reading in result.readings],
        "unsure": [_reading_values(reading) for reading in result.unsure],
        "numbers": [
            {"text": number.text, "box": number.box.as_list(), "confidence": round(float(number.confidence), 4)}
            for number in result.numbers
        ],
        "milliseconds": {stage: round(float(value), 3) for stage, value in result.milliseconds.items()},
    }


def json_line(values: dict[str, Any]) -> str:
    """Plain values as one line of JSON."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def write_line(file: TextIO, line: str, what: str) -> None:
    """Write one line of results through to a file or to standard output.

    Args:
        file: where.
        line: without the line's end.
        what: names it in the error.

    Raises:
        SinkError: it cannot be written.
        BrokenPipeError: whoever read it has gone.
    """
    with _write_errors(what):
        file.write(line + "\n")
        file.flush()


class JsonSink(Closing):
    """One JSON object per frame and line, each written through at once."""

    def __init__(self, target: str, source: str, stdout: TextIO | None = None) -> None:
        """Open the file, or take standard output for ``-``.

        Args:
            target: path of the file, replaced if it exists; or ``-``.
            source: the source's name, for the lines.
            stdout: stands for standard output in tests.

        Raises:
            SinkError: the file cannot be written.
        """
        self._source = source
        self._target = target
        self._own = target != "-"
        with _write_errors(f"JSON lines to {target}"):
            self._file = Path(target).open("w", encoding="utf-8") if self._own else stdout or sys.stdout  # noqa: SIM115

    def write(self, frame: Frame, result: Result) -> None:
        """Write one line."""
        line = json_line(result_values(frame, result, self._source))
        write_line(self._file, line, f"JSON lines to {self._target}")

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._own:
            with _write_errors(f"JSON lines to {self._target}"):
                self._file.close()


class TextSink(Closing):
    """A line for a person whenever the numbers in view change, and no flood of them."""

    def __init__(self, file: TextIO, quiet_seconds: float = 0.5) -> None:
        """Write to ``file``, at most once in ``quiet_seconds`` of the source's time; the latest change is kept."""
        self._file = file
        self._quiet = quiet_seconds
        self._written: tuple[str, ...] = ()
        self._pending: tuple[float, tuple[str, ...]] | None = None
        self._last = -np.inf

    def write(self, frame: Frame, result: Result) -> None:
        """Write a line if what is read changed since the last one."""
        texts = tuple(number.text for number in result.numbers)
        if texts == self._written:
            self._pending = None
            return
        self._pending = frame.seconds, texts
        if frame.seconds - self._last >= self._quiet:
            self._flush()

    def close(self) -> None:
        """Write the change that was held back, if there is one."""
        self._flush()

    def _flush(self) -> None:
        if self._pending:
            seconds, texts = self._pending
            write_line(self._file, f"{seconds:7.1f} s  {'  '.join(texts) or '-'}", "readings")
            self._last, self._written, self._pending = seconds, texts, None


class VideoSink(Closing):
    """A recorded video of pictures with what was read drawn on them."""

    def __init__(
        self, path: str, draw: Callable[[Frame, Result], Image], *, fps: float = 30.0, live: bool = False
    ) -> None:
        """Check that the video can be written; it is begun with the first frame, which sets its size.

        Args:
            path: the file, replaced if it exists; its suffix (``.mkv``, ``.mp4``, ``.avi``) says which container. Only
                of ``.mkv`` and ``.avi`` something is left after the process was killed.
            draw: makes the picture, uint8 BGR (H, W, 3), of a frame and its result.
            fps: pictures per second.
            live: keep to the frames' own times, by repeating and leaving out; else each frame is written once.

        Raises:
            SinkError: another suffix, or the folder cannot be written to.
        """
        self._path = Path(path)
        self._draw = draw
        self._fps = fps
        self._live = live
        self._writer: cv2.VideoWriter | None = None
        self._size = 0, 0
        self._start, self._count = 0.0, 0
        if self._path.suffix.lower() not in RECORDING_CODECS:
            raise SinkError(f"cannot record to {path}: its name must end in {', '.join(RECORDING_CODECS)}")
        if not os.access(self._path.parent, os.W_OK):
            reason = "may not be written to" if self._path.parent.is_dir() else "does not exist"
            raise SinkError(f"cannot record to {path}: the folder {self._path.parent} {reason}")
        if self._path.exists() and not (self._path.is_file() and os.access(self._path, os.W_OK)):
            raise SinkError(f"cannot record to {path}: it is there, and is no file that may be replaced")

    def write(self, frame: Frame, result: Result) -> None:
        """Write the picture, once for a file's frame, as often as its time asks for with a live source."""
        times = self._due(frame.seconds)
        if not times:
            return
        picture = self._draw(frame, result)
        if self._writer is None:
            self._writer = self._begin(picture)
        if picture.shape[1::-1] != self._size:
            picture = _fitted(picture, self._size)
        for _ in range(times):
            self._writer.write(picture)
        self._count += times

    def close(self) -> None:
        """Finish the file.

        Raises:
            SinkError: pictures were written, and no file came of it.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if not self._path.is_file() or not self._path.stat().st_size:
            raise SinkError(f"the recording {self._path} was not written: is the disk full?")

    def _due(self, seconds: float) -> int:
        if not self._live:
            return 1
        if self._writer is None:
            self._start = seconds
        due = round((seconds - self._start) * self._fps) + 1 - self._count
        if due > _REPEAT_SECONDS * self._fps:
            self._start = seconds - self._count / self._fps
            return 1
        return max(due, 0)

    def _begin(self, picture: Image) -> cv2.VideoWriter:
        # The codecs want even sizes.
        self._size = max(picture.shape[1] // 2 * 2, 2), max(picture.shape[0] // 2 * 2, 2)
        codec = cv2.VideoWriter.fourcc(*RECORDING_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, codec, self._fps, self._size)
        if not writer.isOpened():
            raise SinkError(
                f"cannot record to {self._path}: OpenCV {cv2.__version__} does not begin a "
                f"{self._size[0]}x{self._size[1]} video at {self._fps:g} pictures per second"
            )
        return writer


def unused_path(path: Path) -> Path:
    """The path itself, or with the first of -2, -3, … behind its stem that makes it a new file."""
    free, number = path, 2
    while free.exists():
        free = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return free


@contextmanager
def _write_errors(what: str) -> Iterator[None]:
    """Turn what goes wrong with a file into a SinkError; but a reader of our output that has gone is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SinkError(f"cannot write {what}: {error.strerror}") from error


def _reading_values(reading: Reading) -> dict[str, Any]:
    return {
        "label": reading.label,
        "confidence": round(float(reading.confidence), 4),
        "box": reading.box.as_list(),
        "track": reading.track,
    }


def _fitted(picture: Image, size: tuple[int, int]) -> Image:
    """The picture as large as fits into size (width, height), on black."""
    height, width = picture.shape[:2]
    if 0 <= width - size[0] <= 1 and 0 <= height - size[1] <= 1:
        return np.ascontiguousarray(picture[: size[1], : size[0]])
    scale = min(size[0] / width, size[1] / height)
    small = cv2.resize(
        picture, (max(round(width * scale), 1), max(round(height * scale), 1)), interpolation=cv2.INTER_AREA
    )
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - small.shape[1]) // 2, (size[1] - small.shape[0]) // 2
    fitted[y : y + small.shape[0], x : x + small.shape[1]] = small
    return fitted
