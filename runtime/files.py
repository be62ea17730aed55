"""Sources with an end: videos and pictures in files. No frame of theirs is ever dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from runtime.errors import SourceError
from runtime.pictures import PICTURE_SUFFIXES, UPRIGHT, Orientation, picture_paths, picture_size, read_picture, to_frame
from runtime.values import Frame, Image

log = logging.getLogger(__name__)

_HEADER_BYTES = 65536
_SHORTFALL = 0.9  # a video that ends before this share of its promised length was cut off


def open_file(text: str, fps: float, orientation: Orientation) -> VideoSource | PictureSource:
    """Open a folder of pictures, a picture or a video, told apart by content.

    Args:
        text: the path.
        fps: rate at which a folder's pictures count as shown.
        orientation: how to turn what it holds.

    Raises:
        SourceError: it cannot be read, or holds nothing to see.
    """
    path = Path(text)
    if path.is_dir():
        return PictureSource(text, picture_paths(path), fps=fps, orientation=orientation)
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
    except OSError as error:
        raise SourceError(f"cannot open {text}: {error.strerror}") from error
    if not start:
        raise SourceError(f"{text} is empty: 0 bytes")
    if path.suffix.lower() in PICTURE_SUFFIXES or picture_size(start):
        return PictureSource(text, [path], fps=fps, orientation=orientation)
    if b"\0" in start:  # FFmpeg would show text as a film of a terminal, and follow what a playlist names
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if capture.isOpened():
            return VideoSource(text, capture, orientation=orientation)
        capture.release()
    raise SourceError(f"{text} is neither a video nor a picture that can be read, or it is damaged")


class VideoSource:
    """A video with an end. Every frame is delivered, as fast as it is taken."""

    live = False

    def __init__(self, name: str, capture: cv2.VideoCapture, *, orientation: Orientation = UPRIGHT) -> None:
        """Take over an opened capture."""
        self.name = name
        self.dropped = 0
        self._capture = capture
        self._orientation = orientation
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate <= 1000 else 30.0
        self._promised = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yield each frame of the file.

        Raises:
            SourceError: after the last readable frame, where the file is cut off.
        """
        index, seconds = 0, 0.0
        while True:
            arrived, picture = self._capture.read()
            if not arrived:
                break
            # The file's own time, which may be uneven; some formats tell none.
            seconds = max(seconds, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000) or index / self.fps
            yield to_frame(picture, index, seconds, self._orientation)
            index += 1
        if index == 0:
            raise SourceError(f"{self.name} holds no readable picture: not a video, or damaged")
        # By count and by time: the count alone is an estimate where the frame rate varies.
        if index < _SHORTFALL * self._promised and seconds * self.fps < _SHORTFALL * self._promised:
            raise SourceError(
                f"{self.name} ended after {index} of {self._promised} pictures: the file is cut off or damaged"
            )


class PictureSource:
    """Picture files, one frame each. In a folder, those that cannot be read are named, counted and passed over."""

    live = False

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        *,
        fps: float = 30.0,
        orientation: Orientation = UPRIGHT,
        read: Callable[[Path], Image] = read_picture,
    ) -> None:
        """Prepare to read the files in this order, ``1 / fps`` seconds apart."""
        self.name = name
        self.fps = fps
        self.dropped = 0
        self._paths = paths
        self._orientation = orientation
        self._read = read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        """Yield each picture.

        Raises:
            SourceError: the only one cannot be read, or none could be.
        """
        for index, path in enumerate(self._paths):
            try:
                picture = self._read(path)
            except SourceError as error:
                if len(self._paths) == 1:
                    raise
                log.warning("left out: %s", error)
                self.dropped += 1
                continue
            yield to_frame(picture, index, index / self.fps, self._orientation, str(path))
        if self.dropped == len(self._paths):
            raise SourceError(f"none of the {len(self._paths)} pictures in {self.name} can be read")
