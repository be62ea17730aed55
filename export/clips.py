"""What a camera may see, with known truth: the demo clip, and rendered frames of all kinds."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from runtime.demo import FRAME_COUNT, demo_frames
from runtime.errors import DataError, SinkError
from runtime.scoring import TrueDigit
from runtime.values import Box, Image
from train.data import Mnist

FRAMES = 500
"""Rendered frames, clean and hard by turns."""

_SEED = 47
_MADE_FROM = "made-from"


@dataclass(frozen=True, slots=True, eq=False)
class ClipFrame:
    """A frame and what stands on it.

    Attributes:
        luma: uint8 (H, W).
        digits: what is to be read.
        ignore: where ink is that is neither a digit nor none.
    """

    luma: Image
    digits: Sequence[TrueDigit]
    ignore: Sequence[Box] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames to be read by the whole pipeline.

    Attributes:
        name: ``demo`` or ``frames``.
        count: of the frames.
        frames: in the order of time; a sequence where each is read by itself.
        moving: whether they follow each other, so that digits are tracked.
    """

    name: str
    count: int
    frames: Iterable[ClipFrame]
    moving: bool


@dataclass(frozen=True, slots=True)
class _Digit:
    label: str
    box: Box


def make_clip(name: str, load: Callable[[], Mnist], cache: Path) -> Clip:
    """The clip of this name, ``demo`` or ``frames``.

    Args:
        name: of the clip.
        load: loads MNIST, whose validation digits are on the rendered frames.
        cache: folder for the rendered frames, which are made once.

    Raises:
        DataError: the folder's frames are broken.
        SinkError: the folder holds something else, or cannot be written.
        BackendError: a package is missing.
    """
    if name == "demo":
        frames = (ClipFrame(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), digits) for picture, digits in demo_frames())
        return Clip(name, FRAME_COUNT, frames, moving=True)
    return rendered_clip(load(), cache)


def rendered_clip(data: Mnist, folder: Path, count: int = FRAMES, processes: int = 2) -> Clip:
    """Rendered camera frames with MNIST's validation digits, as ``train.scenes`` makes them from what training may see.

    Args:
        data: MNIST.
        folder: where they are, or are put; frames that other code or other digits made are made anew.
        count: how many.
        processes: that render at a time.
    """
    from train.crops import sources  # these here, since they load matplotlib
    from train.scenes import LABELS, SceneSettings, write_scenes

    settings = SceneSettings(count, _SEED, "train", "mixed")
    digits = data.validation_images, data.validation_labels
    origin = hashlib.sha256(json.dumps(asdict(settings)).encode() + b"".join(each.tobytes() for each in digits))
    for path in sources("train.scenes"):
        origin.update(path.read_bytes())
    mark = folder / _MADE_FROM
    try:
        if not mark.is_file() or mark.read_text() != origin.hexdigest():
            if folder.exists() and any(folder.iterdir()) and not mark.is_file():
                raise SinkError(f"the folder {folder} holds no rendered frames; name another with --frames")
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Under its name only once it is whole: one that was stopped leaves nothing in its way.
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
                partial = Path(scratch) / folder.name
                write_scenes(partial, settings, digits, processes)
                (partial / _MADE_FROM).write_text(origin.hexdigest())
                partial.rename(folder)
        entries = json.loads((folder / LABELS).read_text(encoding="utf-8"))
    except OSError as error:
        raise SinkError(f"cannot write frames into {folder} ({error}); name another with --frames") from error
    return Clip("frames", len(entries), _Rendered(folder, entries), moving=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Rendered(Sequence[ClipFrame]):
    """Frames in a folder, each read from it when it is asked for."""

    folder: Path
    entries: Sequence[dict[str, list[list[int | str]]]]

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> ClipFrame: ...
    @overload
    def __getitem__(self, index: slice) -> _Rendered: ...
    def __getitem__(self, index: int | slice) -> ClipFrame | _Rendered:
        if isinstance(index, slice):
            return _Rendered(self.folder, self.entries[index])
        entry = self.entries[index]
        path = self.folder / str(entry["file"])
        luma = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if luma is None:
            raise DataError(f"cannot read {path}; delete {self.folder}, so that it is rendered anew")
        digits = [_Digit(str(label), Box(*map(int, box))) for *box, label in entry["boxes"]]
        return ClipFrame(np.asarray(luma, np.uint8), digits, [Box(*map(int, box)) for box in entry["ignore"]])
