"""Keeps pictures of the ink that the recognizer was unsure of, to look at or to train on, within a limit of space."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2

from runtime.sinks import Closing, write_errors
from runtime.values import Frame, Image, Reading, Result

_NAME = re.compile(r"unsure-\d{8}T\d{12}-\d-\d\.\d\d\.png(\.part)?")
_BLOCK = 4096  # what a small file takes on most disks
_MARGIN = 0.25  # around the ink, as a share of its longer side
_REMEMBERED = 512


class UnsureSink(Closing):
    """Saves a crop of each track that stayed unsure, once; the oldest files make room.

    Files are named after the time (UTC), the likeliest label and its confidence. Other files in the folder are left
    alone and do not count.
    """

    def __init__(self, folder: str, limit_megabytes: float, clock: Callable[[], float] = time.time) -> None:
        """Make the folder, if it is not there, and bring what is in it under the limit.

        Args:
            folder: where to save.
            limit_megabytes: 10^6 bytes that the files may take together, in whole blocks of 4096 bytes.
            clock: seconds since 1970.

        Raises:
            SinkError: the folder cannot be made or listed.
        """
        self._folder = Path(folder)
        self._limit = int(limit_megabytes * 1e6)
        self._clock = clock
        self._seen: deque[int] = deque(maxlen=_REMEMBERED)
        with write_errors(f"unsure crops to {folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            ours = sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
            self._kept = deque((path, _space(path.stat().st_size)) for path in ours)
        self._total = sum(size for _, size in self._kept)
        self._make_room(0)

    def write(self, frame: Frame, result: Result) -> None:
        """Save what is unsure and was not saved yet.

        Raises:
            SinkError: it cannot be written.
        """
        for reading in result.unsure:
            if reading.track and reading.track in self._seen:
                continue
            self._save(_around(frame, reading), reading)
            self._seen.append(reading.track)

    def _save(self, crop: Image, reading: Reading) -> None:
        data = cv2.imencode(".png", crop)[1].tobytes()
        size = _space(len(data))
        if size > self._limit:
            return
        self._make_room(size)
        moment = datetime.fromtimestamp(self._clock(), UTC)
        name = f"unsure-{moment:%Y%m%dT%H%M%S%f}-{reading.label}-{min(reading.confidence, 0.99):.2f}.png"
        path = self._folder / name
        part = path.with_name(f"{name}.part")
        with write_errors(f"{path}"):
            try:
                part.write_bytes(data)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
        self._kept.append((path, size))
        self._total += size

    def _make_room(self, size: int) -> None:
        while self._kept and self._total + size > self._limit:
            path, freed = self._kept.popleft()
            with write_errors(f"to {self._folder}"):
                path.unlink(missing_ok=True)
            self._total -= freed


def _space(size: int) -> int:
    """What a file of this many bytes takes on a disk."""
    return -(-size // _BLOCK) * _BLOCK


def _around(frame: Frame, reading: Reading) -> Image:
    """The ink with some paper around it, uint8 (h, w), as the camera saw it."""
    box = reading.box
    margin = round(_MARGIN * max(box.width, box.height))
    top, left = max(box.y - margin, 0), max(box.x - margin, 0)
    return frame.luma[top : box.bottom + margin, left : box.right + margin]
