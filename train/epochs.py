"""What an epoch is made of: MNIST, drawn digits, distractors, and crops cut from rendered frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from runtime.errors import DataError
from runtime.preprocess import FIELD
from runtime.values import Image
from train.augment import AugmentSettings, augment, draw_digits, draw_nones, vary_crops
from train.crops import CropSettings, LabeledCrops, labeled_crops
from train.data import NONE, Mnist


class CropPools(NamedTuple):
    """Crops of rendered frames: to train on, and of other digits and frames to validate with."""

    train: LabeledCrops
    validation: LabeledCrops


_SEEDS = {"train": 101, "validation": 102}


def crop_pools(data: Mnist, frames: int, cache: Path) -> CropPools:
    """Render frames of MNIST's training digits, and a twentieth as many of its validation digits, and cut them up.

    Both are of the train split's pens, papers and clutter, and the same whatever the seed of a training. There are at
    most 500 to validate on: more would cost time and say nothing more.

    Args:
        data: MNIST.
        frames: to train on.
        cache: folder that keeps what was cut out.

    Raises:
        SinkError: the cache cannot be written.
    """
    train = CropSettings(frames, _SEEDS["train"])
    validation = CropSettings(min(-(-frames // 20), 500), _SEEDS["validation"], most=None)
    return CropPools(
        labeled_crops(train, (data.train_images, data.train_labels), cache),
        labeled_crops(validation, (data.validation_images, data.validation_labels), cache),
    )


class Counts(NamedTuple):
    """Pictures in an epoch."""

    digits: int
    drawn: int
    nones: int
    crops: int
    crop_nones: int


@dataclass(frozen=True, slots=True)
class EpochSettings:
    """What stands beside MNIST's digits, each of which comes once. Shares are of their number.

    Attributes:
        drawn: share of digits drawn with a pen; the same in every epoch.
        nones: share of drawn pictures of what is no digit.
        crops: share of digits cut out of rendered frames, where there are any.
        crop_nones: share of what else was cut out of them.
        none_pool: pictures of what is no digit drawn before training, or as many as all epochs use, if fewer.
    """

    drawn: float = 0.12
    nones: float = 0.1
    crops: float = 0.8
    crop_nones: float = 0.7
    none_pool: int = 40_000

    @property
    def labels(self) -> int:
        """How many answers such epochs teach: the digits and, where there are any, ``none``."""
        return NONE + 1 if self.nones or self.crop_nones else NONE

    def counts(self, digits: int, with_crops: bool) -> Counts:
        """How many pictures of each kind an epoch has beside so many of MNIST's."""
        cut = (round(digits * self.crops), round(digits * self.crop_nones)) if with_crops else (0, 0)
        return Counts(digits, round(digits * self.drawn), round(digits * self.nones), *cut)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What epochs are made of.

    Attributes:
        digits: MNIST's and drawn digits, uint8 (n, 28, 28), and their labels, uint8 (n,).
        nones: drawn pictures of what is no digit, uint8 (n, 28, 28).
        crops: digits cut out of frames, and their labels.
        crop_nones: what else was cut out of them.
        counts: how many of each an epoch has.
    """

    digits: tuple[Image, Image]
    nones: Image
    crops: tuple[Image, Image]
    crop_nones: Image
    counts: Counts


def gather(
    digits: tuple[Image, Image],
    settings: EpochSettings,
    epochs: int,
    augmentation: AugmentSettings,
    crops: CropPools | None,
    seed: int,
) -> Material:
    """Draw what is to be drawn, once for all epochs.

    Args:
        digits: MNIST's pictures, uint8 (n, 28, 28), and labels.
        settings: what an epoch is made of.
        epochs: how many there will be.
        augmentation: how far to vary what is drawn.
        crops: cut out of frames, or None.
        seed: of everything random.

    Raises:
        DataError: a pool of crops lacks digits or ``none``s.
    """
    for pool in crops or ():
        held = len(pool.digits[0]), len(pool.nones)
        if not all(held):
            raise DataError(f"too few frames: they gave crops of {held[0]} digits and {held[1]} others; render more")
    counts = settings.counts(len(digits[0]), crops is not None)
    drawn = draw_digits(counts.drawn, np.random.default_rng([seed, 2]))
    both = np.concatenate([digits[0], drawn[0]]), np.concatenate([digits[1], drawn[1]])
    rng = np.random.default_rng([seed, 0])
    count = min(settings.none_pool, epochs * counts.nones)
    chunks = [min(1000, count - start) for start in range(0, count, 1000)]
    bar = tqdm(chunks, desc="drawing what is not a digit", unit="k", disable=not chunks)
    empty = np.empty((0, FIELD, FIELD), np.uint8)
    nones = np.concatenate([empty, *(draw_nones(chunk, both[0], augmentation, rng) for chunk in bar)])
    if crops:
        return Material(both, nones, crops.train.digits, crops.train.nones, counts)
    return Material(both, nones, (empty, empty[:, 0, 0]), empty, counts)


def make_epoch(material: Material, augmentation: AugmentSettings, rng: np.random.Generator) -> tuple[Image, Image]:
    """One epoch in random order: every digit once, varied anew, and of the rest what chance takes.

    Args:
        material: what to take from.
        augmentation: how far to vary MNIST's and drawn digits.
        rng: source of all randomness; the same state gives the same epoch.

    Returns:
        Pictures uint8 (n, 28, 28) and their classes uint8 (n,), 0–10.
    """
    counts = material.counts
    nones = material.nones[_some(len(material.nones), counts.nones, rng)]
    chosen = _some(len(material.crops[0]), counts.crops, rng)
    others = _some(len(material.crop_nones), counts.crop_nones, rng)
    pictures = [
        augment(material.digits[0], augmentation, rng),
        vary_crops(material.crops[0][chosen], rng),
        nones,
        vary_crops(material.crop_nones[others], rng),
    ]
    classes = [material.digits[1], material.crops[1][chosen], np.full(len(nones) + len(others), NONE, np.uint8)]
    order = rng.permutation(sum(map(len, pictures)))
    return np.concatenate(pictures)[order], np.concatenate(classes)[order]


def _some(count: int, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Indices of a pool by chance; none comes twice before all have come."""
    rounds = [rng.permutation(count) for _ in range(-(-wanted // max(count, 1)))]
    return np.concatenate([np.empty(0, np.int64), *rounds])[:wanted]
