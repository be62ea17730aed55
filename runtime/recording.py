"""A recorded video of what was read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import SinkError
from runtime.sinks import Closing
from runtime.values import Frame, Image, Result

RECORDING_CODECS = {".mkv": "mp4v", ".mp4": "mp4v", ".avi": "MJPG"}
"""What each container is written with: the codecs that OpenCV's wheels bring, H.264 not among them."""

_REPEAT_SECONDS = 2.0  # a longer gap in a live source becomes a cut in its recording


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
