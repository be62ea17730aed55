"""Crops that a person may correct, and the labeled folder that this makes, for ``python -m train --extra DIR``."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path

import cv2

from runtime.errors import SinkError, UsageError
from runtime.sinks import Closing, write_errors
from runtime.values import Frame, Image, Reading, Result

LABELS = (*"0123456789", "none")
"""What a crop may be, and the names of the folders: ``none`` is no digit."""

MAX_FILES = 10_000
"""Corrections that are kept."""

_LASTING = 3  # frames that ink must have stayed unsure, so that a hand that passes is not asked about


@dataclass(frozen=True, slots=True, eq=False)
class SeenCrop:
    """Ink that the model saw.

    Attributes:
        name: made of its pixels, so that the same crop has one name; 16 hexadecimal digits.
        pixels: uint8 (28, 28), as the model saw it.
        label: the likeliest digit.
        confidence: probability of that, 0–1.
    """

    name: str
    pixels: Image
    label: str
    confidence: float


class SeenCrops(Closing):
    """A sink that remembers the latest crops: those to ask about, which stayed unsure, and those that were shown."""

    def __init__(self, limit: int = 100) -> None:
        """Remember so many of either kind; the oldest make room."""
        self._limit = limit
        self._unsure: OrderedDict[str, SeenCrop] = OrderedDict()
        self._shown: OrderedDict[str, SeenCrop] = OrderedDict()
        self._tracks: deque[int] = deque(maxlen=512)
        self._lock = threading.Lock()

    def write(self, frame: Frame, result: Result) -> None:
        """Take what has been unsure for some frames, each track once."""
        for reading in result.unsure:
            if reading.age >= _LASTING and reading.track not in self._tracks:
                self._tracks.append(reading.track)
                self.add(reading, unsure=True)

    def add(self, reading: Reading, *, unsure: bool) -> str:
        """Remember the crop of a reading.

        Returns:
            Its name; empty where the reading has no pixels.
        """
        if reading.pixels is None:
            return ""
        name = hashlib.sha256(reading.pixels.tobytes()).hexdigest()[:16]
        crop = SeenCrop(name, reading.pixels, reading.label, float(reading.confidence))
        with self._lock:
            crops = self._unsure if unsure else self._shown
            crops[name] = crop
            crops.move_to_end(name)
            if len(crops) > self._limit:
                crops.popitem(last=False)
        return name

    def waiting(self) -> list[SeenCrop]:
        """The crops to ask about, the latest first."""
        with self._lock:
            return list(reversed(self._unsure.values()))

    def find(self, name: str) -> SeenCrop | None:
        """A remembered crop by its name."""
        with self._lock:
            return self._unsure.get(name) or self._shown.get(name)

    def settle(self, name: str) -> None:
        """Ask about a crop no more."""
        with self._lock:
            crop = self._unsure.pop(name, None)
            if crop:  # it can still be corrected once more
                self._shown[name] = crop
                if len(self._shown) > self._limit:
                    self._shown.popitem(last=False)


class LabeledFolder:
    """Corrected crops as PNG files of 28×28 pixels in subfolders ``0`` to ``9`` and ``none``; made when needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def add(self, crop: SeenCrop, label: str) -> None:
        """Keep a crop under its true label; a second answer about the same crop takes the first one's place.

        Raises:
            UsageError: there is no such label.
            SinkError: it cannot be written, or there are ``MAX_FILES``.
        """
        if label not in LABELS:
            raise UsageError(f"label is {label!r}; expected one of {', '.join(LABELS)}")
        data = cv2.imencode(".png", crop.pixels)[1].tobytes()
        with self._lock, write_errors(f"to {self.folder}"):
            if sum(self.counts().values()) >= MAX_FILES:
                raise SinkError(f"{self.folder} holds {MAX_FILES:,} corrections, as many as are kept: train on them")
            path = self.folder / label / f"{crop.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            try:
                part.write_bytes(data)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            for other in LABELS:
                if other != label:
                    (self.folder / other / path.name).unlink(missing_ok=True)

    def counts(self) -> dict[str, int]:
        """Kept crops by label; labels without any are left out."""
        found = {label: sum(1 for _ in (self.folder / label).glob("*.png")) for label in LABELS}
        return {label: count for label, count in found.items() if count}

    def archive(self) -> bytes:
        """The folder as a ZIP file.

        Raises:
            SinkError: it cannot be read.
        """
        content = io.BytesIO()
        with (
            self._lock,
            write_errors(f"a copy of {self.folder}"),
            zipfile.ZipFile(content, "w", strict_timestamps=False) as archive,
        ):
            for label in LABELS:
                for path in sorted((self.folder / label).glob("*.png")):
                    archive.write(path, f"{self.folder.name}/{label}/{path.name}")
        return content.getvalue()
