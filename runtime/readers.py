"""The model in use, twice: for the source's frames and for pictures that are sent, so that neither waits for the other.

A new bundle takes its place while frames are read, once it has proven to be what its manifest says.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime.backends import ArtifactClassifier
from runtime.bundle import MANIFEST
from runtime.detect import detect
from runtime.errors import BundleError
from runtime.pictures import decode_picture, to_frame
from runtime.quiet import native_stderr_silent
from runtime.recognizer import Recognizer, RecognizerSettings
from runtime.sinks import write_errors
from runtime.values import Crop, Frame, Prediction, Reading, Result

_MAX_BUNDLE_BYTES = 64_000_000
_MAX_BUNDLE_FILES = 100
_MOST_REST = 10
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class Readers:
    """Reads the frames of a source, and pictures by themselves, with one model that can be replaced."""

    def __init__(
        self,
        load: Callable[[str], ArtifactClassifier],
        model: str,
        settings: RecognizerSettings,
        max_pixels: int,
    ) -> None:
        """Load the model.

        Args:
            load: loads and proves a classifier, by the name of a shipped model or a bundle's folder.
            model: what to load first.
            settings: how the source's frames are read. Pictures are read without tracking and region of interest.
            max_pixels: of a picture that is sent.

        Raises:
            BundleError: there is no such model, or it is damaged.
            BackendError: what should run it is not installed.
        """
        self._load = load
        self._settings = settings
        self._max_pixels = max_pixels
        self._lock = threading.Lock()
        self._use(model)

    def frame(self, frame: Frame) -> Result:
        """Read a frame of the source; one thread may."""
        return self._live(frame)

    def picture(self, data: bytes) -> tuple[Frame, Result]:
        """Read a picture that was sent, an image file's content; any thread may.

        Raises:
            SourceError: it is no picture, is damaged, or is too large.
        """
        with self._lock:
            frame = to_frame(decode_picture(data, "the picture", self._max_pixels), 0, 0.0)
            return frame, self._still(frame)

    def rest(self, frame: Frame, result: Result) -> list[Reading]:
        """What the model made of the other ink of a picture, where no digit was read: the largest pieces first.

        Args:
            frame: the picture.
            result: what ``picture`` read in it.

        Returns:
            At most ``_MOST_REST``, each with its likeliest label, which may be that of no digit.
        """
        taken = [reading.box for reading in (*result.readings, *result.unsure)]
        crops: list[Crop] = []
        for crop in sorted(detect(frame.luma, self._settings.detect).crops, key=lambda crop: -crop.box.area):
            if len(crops) < _MOST_REST and all(3 * crop.box.intersection_area(box) <= crop.box.area for box in taken):
                taken.append(crop.box)
                crops.append(crop)
        if not crops:
            return []
        with self._lock:
            answers = self._classifier.probabilities(np.stack([crop.pixels for crop in crops]))
            labels = self._classifier.labels
        return [
            Reading(crop.box, labels[int(p.argmax())], float(p.max()), Prediction(p), pixels=crop.pixels)
            for crop, p in zip(crops, answers, strict=True)
        ]

    def install(self, archive: bytes, folder: Path) -> None:
        """Verify a bundle and read with it from now on.

        Args:
            archive: a ZIP file with the bundle's manifest and files, at its top or in one folder.
            folder: where the bundle is kept; one that is there already is replaced once the new one has proven itself.

        Raises:
            BundleError: it is no bundle, or altered, or answers its golden vectors otherwise than it should. The model
                in use stays.
            BackendError: what should run it is not installed.
            SinkError: it cannot be written.
        """
        files = _bundle_files(archive)
        with write_errors(f"the bundle to {folder}"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder.parent))
            try:
                for name, content in files.items():
                    (incoming / name).write_bytes(content)
                try:
                    self._use(str(incoming))
                except BundleError as error:  # our own folders are nothing to the sender
                    raise BundleError(str(error).replace(f"{incoming}/", "")) from error
                if folder.exists():
                    shutil.rmtree(folder)
                incoming.rename(folder)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        self.model["name"] = str(folder)

    def _use(self, model: str) -> None:
        with native_stderr_silent():  # LiteRT announces its delegate
            live, still = self._load(model), self._load(model)
        self.labels = live.labels
        self._live = Recognizer(live, self._settings)
        with self._lock:
            self._classifier = still
            self._still = Recognizer(still, replace(self._settings, track=False, roi=None))
        artifact = live.artifact
        self.model: dict[str, Any] = {"name": model, "artifact": artifact.name, "sha256": artifact.sha256}


def _bundle_files(archive: bytes) -> dict[str, bytes]:
    """The files of a bundle that a ZIP file holds, by name: the manifest and what it names, and nothing else."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            count, size = len(entries), sum(entry.file_size for entry in entries)
            if count > _MAX_BUNDLE_FILES or size > _MAX_BUNDLE_BYTES:
                raise BundleError(
                    f"the archive holds {count} files of {size / 1e6:.0f} MB; a bundle has at most "
                    f"{_MAX_BUNDLE_FILES} of {_MAX_BUNDLE_BYTES / 1e6:.0f} MB: leave out what is not the bundle's"
                )
            tops = [e.filename.removesuffix(MANIFEST) for e in entries if e.filename.rsplit("/", 1)[-1] == MANIFEST]
            if len(tops) != 1:
                raise BundleError(f"the archive holds {len(tops)} files named {MANIFEST}; expected one bundle")
            manifest = opened.read(tops[0] + MANIFEST)
            stored = json.loads(manifest)
            names = [stored["golden"], *(artifact["file"] for artifact in stored["artifacts"])]
            if not all(isinstance(name, str) and _PLAIN_NAME.fullmatch(name) and name != MANIFEST for name in names):
                raise BundleError(f"{MANIFEST} names files outside its folder; export the bundle again")
            return {MANIFEST: manifest} | {name: opened.read(tops[0] + name) for name in names}
    except zipfile.BadZipFile as error:
        raise BundleError(f"not a ZIP file that can be read ({error}); send the bundle's folder as a ZIP") from error
    except KeyError as error:
        raise BundleError(f"the bundle is not complete: {error.args[0]}") from error
    except (ValueError, TypeError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BundleError(f"the archive is damaged or holds no bundle ({error})") from error
