"""What the runtime's own detector cuts out of rendered camera frames, labeled by the ink that each crop holds.

A crop is a digit when it holds 85 % of the ink of one readable digit, and hardly anything else; ``none`` when it holds
no digit's ink, two digits, or part of one, under 60 %. All between is left out, and so is what is left of a 1, which is
a 1 still, and any upright bar. What counts is where the ink of each true digit comes to lie in the crop, not boxes.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt

from runtime.detect import detect
from runtime.errors import DataError, SinkError
from runtime.preprocess import FIELD, INK_LEVEL
from runtime.spotter import NETWORK
from runtime.values import Crop, Image
from train.compose import DigitInk, Scene
from train.data import NONE
from train.scenes import SceneSettings, each_frame

VALIDATION_CROPS = "validation-crops.npz"
"""In a run's folder: the crops that it was validated with, for export to fit temperature and thresholds on."""

Kind: TypeAlias = Literal["digit", "ink", "part", "joined"]
KINDS: tuple[Kind, ...] = ("digit", "ink", "part", "joined")
"""What a crop holds: a digit; ink of none; part of a digit; several digits."""

_WHOLE, _PART = 0.85, 0.6  # share of a digit's ink in the crop: from which it is that digit, under which it is none
_TOUCHED = 0.15  # share of a digit's ink under which the crop has nothing to do with it
_ALIEN = 0.2  # share of the crop's ink that may be another's
_BAR, _FILLED = 2.6, 0.5  # length against width, and share of that rectangle that is ink, from which ink may be a 1


@dataclass(frozen=True, slots=True)
class CropSettings:
    """Which frames to cut, and what to keep of them.

    Attributes:
        frames: how many; clean and hard by turns.
        seed: of everything random.
        most: crops kept of one frame and one kind of ``none``, so that a textured page does not outweigh the others;
            None for all, as often as a camera would meet them.
    """

    frames: int = 10_000
    seed: int = 0
    most: int | None = 6


@dataclass(frozen=True, slots=True, eq=False)
class LabeledCrops:
    """Crops with known truth.

    Attributes:
        images: uint8 (n, 28, 28), as ``runtime.detect`` cuts them.
        labels: uint8 (n,), 0–9 for digits, 10 for ``none``.
        kinds: uint8 (n,), index into ``KINDS``.
        frames: int32 (n,), the frame that each was cut from.
    """

    images: Image
    labels: Image
    kinds: Image
    frames: npt.NDArray[np.int32]

    @property
    def digits(self) -> tuple[Image, Image]:
        """Pictures and labels of the digits."""
        chosen = self.labels != NONE
        return self.images[chosen], self.labels[chosen]

    @property
    def nones(self) -> Image:
        """Pictures of what is no digit."""
        return self.images[self.labels == NONE]

    @property
    def sha256(self) -> str:
        """Hash of pictures and labels."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write an ``.npz``, so that a kill leaves the old file or the new one.

        Raises:
            SinkError: it cannot be written.
        """
        fresh = path.with_name(f"fresh-{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(fresh, images=self.images, labels=self.labels, kinds=self.kinds, frames=self.frames)
            fresh.replace(path)
        except OSError as error:
            raise SinkError(
                f"cannot write {path} ({error.strerror or error}); free it, or name another folder"
            ) from error

    @classmethod
    def load(cls, path: Path) -> LabeledCrops:
        """Read what ``save`` wrote.

        Raises:
            DataError: it is missing or broken.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(*(arrays[name] for name in ("images", "labels", "kinds", "frames")))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            reason = " ".join(str(error).split())[:160]
            raise DataError(f"{path} is missing or broken ({reason}); train again") from error


def labeled_crops(
    settings: CropSettings, digits: tuple[Image, Image], cache: Path | None = None, processes: int = 2
) -> LabeledCrops:
    """Render frames of the train split and cut them up, or take what an earlier call left.

    Args:
        settings: which frames.
        digits: MNIST's images uint8 (n, 28, 28) and labels uint8 (n,) to write with.
        cache: folder for the result, in a file named by a hash of all that decides it, the code included; None to
            render anew.
        processes: that render at a time; the result does not depend on it.

    Raises:
        SinkError: the cache cannot be written.
    """
    path = cache / f"crops-{_fingerprint(settings, digits)[:16]}.npz" if cache else None
    if path:
        with contextlib.suppress(DataError):  # missing or broken: made anew
            return LabeledCrops.load(path)
    scenes = SceneSettings(settings.frames, settings.seed, "train", "mixed")
    parts = list(each_frame(partial(_cut_frame, settings), scenes, digits, processes, "cutting up rendered frames"))
    images, labels, kinds = (np.concatenate([part[i] for part in parts]) for i in range(3))
    frames = np.repeat(np.arange(settings.frames, dtype=np.int32), [len(part[0]) for part in parts])
    crops = LabeledCrops(images, labels, kinds, frames)
    if path:
        crops.save(path)
    return crops


def label_crop(crop: Crop, inks: Sequence[DigitInk]) -> tuple[int, Kind] | None:
    """What a crop holds, by the ink of the frame's digits.

    Args:
        crop: from the frame.
        inks: of every digit in the frame.

    Returns:
        The label, 0–10, and the kind; None where a person might say either.
    """
    bright = cv2.dilate(crop.pixels, _NEIGHBORS) >= INK_LEVEL // 2
    total = float(crop.pixels.sum())
    if total == 0:
        return None
    held: list[tuple[float, float, DigitInk]] = []
    for ink in inks:
        cells = np.floor(ink.places @ crop.transform[:, :2].T + crop.transform[:, 2]).astype(int)
        cells = cells[((cells >= 0) & (cells < FIELD)).all(axis=1)]
        if len(cells) == 0:
            continue
        share = float(bright[cells[:, 1], cells[:, 0]].sum()) / len(ink.places) * ink.share
        center = np.zeros((FIELD, FIELD), np.uint8)
        center[cells[:, 1], cells[:, 0]] = 1
        # A pixel of the frame, and so its blur, may be several of the crop.
        reach = 1 + round(float(crop.transform[0, 0]))
        own = cv2.dilate(center, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
        held.append((share, float(crop.pixels[own].sum()) / total, ink))
    held = sorted((h for h in held if h[0] >= _TOUCHED or h[1] >= 0.5), key=lambda h: -h[0])
    if not held:
        return None if _is_bar(crop.pixels) else (NONE, "ink")
    share, own_share, ink = held[0]
    if len(held) > 1 and held[1][0] >= _PART:
        return None if _is_bar(crop.pixels) else (NONE, "joined")
    if ink.state == "whole" and share >= _WHOLE and own_share >= 1 - _ALIEN:
        return int(ink.label), "digit"
    if share >= _PART or any(other.label == "1" or other.state == "doubtful" for _, _, other in held):
        return None
    return None if _is_bar(crop.pixels) else (NONE, "part")


_NEIGHBORS = np.ones((3, 3), np.uint8)


def _is_bar(pixels: Image) -> bool:
    """Whether the ink is one upright stroke, however slanted: what a 1 is, with or without its flag."""
    points = np.argwhere(pixels >= INK_LEVEL)[:, ::-1].astype(np.int32)
    if not len(points):
        return True
    sides = np.sort(np.array(cv2.minAreaRect(points)[1]) + 1)  # from middles of pixels to their edges
    _, _, width, height = cv2.boundingRect(points)
    return bool(height > width and sides[1] >= _BAR * sides[0] and len(points) >= _FILLED * sides.prod())


def _cut_frame(settings: CropSettings, index: int, scene: Scene) -> tuple[Image, Image, Image]:
    return _cut(scene, settings, np.random.default_rng((settings.seed, index)))


def _cut(scene: Scene, settings: CropSettings, rng: np.random.Generator) -> tuple[Image, Image, Image]:
    """Pictures, labels and kinds of a frame's crops."""
    inks = [ink for ink in scene.inks if len(ink.places)]
    low = np.array([ink.places.min(axis=0) for ink in inks]).reshape(-1, 2)
    high = np.array([ink.places.max(axis=0) for ink in inks]).reshape(-1, 2)

    def known(crop: Crop) -> tuple[int, Kind] | None:
        scale, shift = crop.transform.diagonal(), crop.transform[:, 2]
        near = ((low * scale + shift < FIELD) & (high * scale + shift >= 0)).all(axis=1)
        return label_crop(crop, [inks[k] for k in np.flatnonzero(near)])

    detection = detect(cv2.cvtColor(scene.picture, cv2.COLOR_BGR2GRAY))
    # As the recognizer does, once it knows which digits are sure.
    detection.candidates.expect([crop for crop in detection.candidates.wholes() if (known(crop) or (NONE,))[0] != NONE])
    crops = detection.crops
    found: dict[Kind, dict[bytes, tuple[Image, int]]] = {kind: {} for kind in KINDS}
    for i in rng.permutation(len(crops)).tolist():
        if label := known(crops[i]):
            found[label[1]].setdefault(crops[i].pixels.tobytes(), (crops[i].pixels, label[0]))
    kept = [
        (pixels, label, KINDS.index(kind))
        for kind in KINDS
        for pixels, label in list(found[kind].values())[: None if kind == "digit" else settings.most]
    ]
    images = np.array([pixels for pixels, _, _ in kept], np.uint8).reshape(-1, FIELD, FIELD)
    labels, kinds = np.array([(label, kind) for _, label, kind in kept], np.uint8).reshape(-1, 2).T
    return images, labels, kinds


def _fingerprint(settings: CropSettings, digits: tuple[Image, Image]) -> str:
    """Hash of everything that decides the crops: settings, digits, libraries, and the code that this module uses."""
    content = hashlib.sha256(repr((asdict(settings), cv2.__version__, np.__version__)).encode())
    for array in digits:
        content.update(np.ascontiguousarray(array).tobytes())
    for path in [*sources("train.compose", "train.conditions", "runtime.detect"), NETWORK, Path(__file__)]:
        content.update(path.read_bytes())
    return content.hexdigest()


def sources(*modules: str) -> list[Path]:
    """The files of modules and of all that they import from this project, sorted."""
    found: dict[str, Path] = {}
    coming = list(modules)
    while coming:
        name = coming.pop()
        path = _origin(name)
        if name in found or path is None:
            continue
        found[name] = path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                coming += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return sorted(found.values())


def _origin(module: str) -> Path | None:
    """The file of one of this project's modules; None of anything else."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    return path if path.is_file() else None
