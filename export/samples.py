"""The pictures that an export is calibrated, proven and later recognized by: each set with a fixed seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from runtime.preprocess import FIELD
from runtime.values import Image
from train.augment import AugmentSettings, augment, draw_digits
from train.data import Mnist

CALIBRATION_COUNT = 1_000
"""Training images that ranges are calibrated on."""

GATE_COUNT = 50_000
"""Augmented validation images that an artifact is compared on before it may be shipped."""

GOLDEN_COUNT = 16
"""Pictures in the golden vectors."""

_SEEDS = {"calibration": 41, "gate": 42, "golden": 43, "calibration subsets": 44}


def calibration_set(data: Mnist, count: int = CALIBRATION_COUNT) -> Image:
    """Training images, half as they are and half through the runtime's preprocessing: uint8 (count, 28, 28)."""
    rng = np.random.default_rng(_SEEDS["calibration"])
    return _half_preprocessed(data.train_images[rng.choice(len(data.train_images), count, replace=False)], rng)


def calibration_subsets(data: Mnist, count: int = CALIBRATION_COUNT) -> tuple[Image, Image]:
    """Two sets like ``calibration_set`` that share no image; smaller where there are not enough images for two."""
    rng = np.random.default_rng(_SEEDS["calibration subsets"])
    count = min(count, len(data.train_images) // 2)
    chosen = data.train_images[rng.choice(len(data.train_images), 2 * count, replace=False)]
    return _half_preprocessed(chosen[:count], rng), _half_preprocessed(chosen[count:], rng)


def gate_set(data: Mnist, count: int = GATE_COUNT) -> tuple[Image, npt.NDArray[np.uint8]]:
    """Validation images, varied as in training: uint8 (count, 28, 28) and their labels."""
    rng = np.random.default_rng(_SEEDS["gate"])
    rounds = -(-count // len(data.validation_images))
    bar = tqdm(range(rounds), desc="drawing the gate set", unit="round", delay=1)
    images = [augment(data.validation_images, AugmentSettings(), rng) for _ in bar]
    return np.concatenate(images)[:count], np.tile(data.validation_labels, rounds)[:count]


def golden_inputs(answer: Callable[[Image], npt.NDArray[np.float32]]) -> Image:
    """Drawn digits of all classes, one blank picture, one of noise: uint8 (GOLDEN_COUNT, 28, 28).

    Drawn, since golden vectors travel with the bundle and MNIST does not.

    Args:
        answer: the float model, uint8 (n, 28, 28) -> logits. Of each class those that it reads with the clearest lead
            are taken, so that their labels hold in every precision.
    """
    rng = np.random.default_rng(_SEEDS["golden"])
    images, labels = draw_digits(20 * GOLDEN_COUNT, rng)
    logits = answer(images)
    rows = np.arange(len(labels))
    lead = logits[rows, labels].copy()
    logits[rows, labels] = -np.inf
    lead -= logits.max(axis=1)
    clearest = np.argsort(-lead, kind="stable")
    by_class = [images[clearest[labels[clearest] == label]] for label in range(10)]
    digits = [by_class[i % 10][i // 10] for i in range(GOLDEN_COUNT - 2)]
    noise = rng.integers(0, 256, (FIELD, FIELD), dtype=np.uint8)
    return np.stack([*digits, np.zeros_like(noise), noise])


def _half_preprocessed(images: Image, rng: np.random.Generator) -> Image:
    half = len(images) // 2
    return np.concatenate([images[:half], augment(images[half:], AugmentSettings(through_preprocess=1.0), rng)])
