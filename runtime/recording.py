"""A recorded video of what was read, and the pictures for it and for whoever watches.

A ``.mkv`` is readable whatever ends its writing; an ``.mp4`` or ``.avi`` is smaller, and lost if the process is killed.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Protocol

import cv2
import numpy as np

from runtime.annotate import annotate
from runtime.errors import SinkError
from runtime.matroska import MatroskaWriter
from runtime.sinks import Closing, write_errors
from runtime.values import Frame, Image, Result

_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}
RECORDING_SUFFIXES = (".mkv", *_CODECS)
"""Ends of the names that a recording may have."""

JPEG_QUALITY = 80
"""0 to 100; at 80 no box or letter of ours shows the coding."""

_REPEAT_SECONDS = 2.0  # a longer gap in a live source becomes a cut in a recording of constant rate
_RESERVE_BYTES = 8 * 1024 * 1024  # OpenCV's writer holds a quarter of a megabyte back


class Draw(Protocol):
    """Makes the picture of a frame and its result; ``Overlay`` is it."""

    def __call__(self, frame: Frame, result: Result) -> Image:
        """Uint8 BGR (H, W, 3); not to be drawn on."""
        ...

    def jpeg(self, frame: Frame, result: Result) -> bytes:
        """The same as JPEG."""
        ...


class Overlay:
    """Draws a result on its frame with the current frame rate, and encodes it: once, though several sinks ask."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: tuple[Frame, Image] | None = None
        self._jpeg: tuple[Frame, bytes] | None = None
        self._time: float | None = None
        self._period: float | None = None

    def __call__(self, frame: Frame, result: Result) -> Image:
        """The picture, uint8 BGR (H, W, 3); not to be drawn on."""
        with self._lock:
            if self._last is None or self._last[0] is not frame:
                now = self._clock()
                if self._time is not None:
                    period = now - self._time
                    self._period = period if self._period is None else 0.9 * self._period + 0.1 * period
                self._time = now
                fps = 1 / self._period if self._period else None
                scene = frame.luma if frame.color is None else frame.color
                self._last = frame, annotate(scene, result, fps=fps)
            return self._last[1]

    def jpeg(self, frame: Frame, result: Result) -> bytes:
        """The picture as JPEG."""
        picture = self(frame, result)
        with self._lock:
            if self._jpeg is None or self._jpeg[0] is not frame:
                self._jpeg = frame, encoded(picture)
            return self._jpeg[1]


class VideoSink(Closing):
    """A recorded video of pictures with what was read drawn on them."""

    def __init__(self, path: str, draw: Draw, *, fps: float = 30.0, live: bool = False) -> None:
        """Prepare the file; it is begun with the first frame.

        Args:
            path: ends in one of ``RECORDING_SUFFIXES`` and is replaced if it exists.
            draw: makes the picture of a frame and its result, as it is and as JPEG.
            fps: pictures per second.
            live: keep to the frames' own times; else each frame is ``1 / fps`` seconds after the last.

        Raises:
            SinkError: another suffix, or the folder cannot be written to.
        """
        self._path = Path(path)
        self._draw = draw
        self._fps = fps
        self._live = live
        self._writer: MatroskaWriter | _ConstantRate | None = None
        self._size = 0, 0
        self._start, self._count = 0.0, 0
        if self._path.suffix.lower() not in RECORDING_SUFFIXES:
            raise SinkError(f"cannot record to {path}: its name must end in {', '.join(RECORDING_SUFFIXES)}")
        if not os.access(self._path.parent, os.W_OK):
            reason = "may not be written to" if self._path.parent.is_dir() else "does not exist"
            raise SinkError(f"cannot record to {path}: the folder {self._path.parent} {reason}")
        if self._path.exists() and not (self._path.is_file() and os.access(self._path, os.W_OK)):
            raise SinkError(f"cannot record to {path}: it is there, and is no file that may be replaced")

    def write(self, frame: Frame, result: Result) -> None:
        """Write the picture.

        Raises:
            SinkError: there is no room for it.
        """
        picture = self._draw(frame, result)
        with write_errors(f"the recording {self._path}"):
            if self._writer is None:
                self._start, self._size = frame.seconds, _even(picture.shape[1], picture.shape[0])
                self._writer = self._begin()
            seconds = frame.seconds - self._start if self._live else self._count / self._fps
            fits = picture.shape[1::-1] == self._size
            if isinstance(self._writer, MatroskaWriter):
                jpeg = self._draw.jpeg(frame, result) if fits else encoded(_fitted(picture, self._size))
                self._writer.write(jpeg, seconds)
            else:
                self._writer.write(picture if fits else _fitted(picture, self._size), seconds)
        self._count += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            SinkError: pictures were written, and no file came of it.
        """
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        if not self._path.is_file() or not self._path.stat().st_size:
            raise SinkError(f"the recording {self._path} was not written: is the disk full?")

    def _begin(self) -> MatroskaWriter | _ConstantRate:
        suffix = self._path.suffix.lower()
        if suffix == ".mkv":
            return MatroskaWriter(str(self._path), self._size, self._fps)
        return _ConstantRate(self._path, self._size, self._fps, _CODECS[suffix])


class _ConstantRate:
    """OpenCV's writer, whose pictures all stand equally long: a late one is repeated, an early one left out."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float, codec: str) -> None:
        self._path, self._fps, self._count, self._behind = path, fps, 0, 0.0
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, size)
        if not self._writer.isOpened():
            raise SinkError(
                f"cannot record to {path}: OpenCV {cv2.__version__} does not begin a "
                f"{size[0]}x{size[1]} video at {fps:g} pictures per second"
            )

    def write(self, picture: Image, seconds: float) -> None:
        """Write a picture of this time as often as it takes."""
        if shutil.disk_usage(self._path.parent).free < _RESERVE_BYTES:  # it would lose the picture without a word
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        due = round((seconds - self._behind) * self._fps) + 1 - self._count
        if due > _REPEAT_SECONDS * self._fps:
            self._behind, due = seconds - self._count / self._fps, 1
        for _ in range(due):
            self._writer.write(picture)
        self._count += max(due, 0)

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()


def encoded(picture: Image) -> bytes:
    """A picture, uint8 BGR (H, W, 3), as JPEG."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _even(width: int, height: int) -> tuple[int, int]:
    """The size that codecs take, and JPEG with half the colors does best."""
    return max(width // 2 * 2, 2), max(height // 2 * 2, 2)


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
