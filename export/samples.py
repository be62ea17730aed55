"""The pictures that an export is calibrated, proven and later recognized by: each set with a fixed seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from export.limits import GATE_COUNT, NONE_SHARE
from runtime.preprocess import FIELD
from runtime.values import Image
from train.augment import AugmentSettings, augment, draw_digits, draw_nones
from train.data import NONE, Mnist

CALIBRATION_COUNT = 1_000
"""Training images that ranges are calibrated on."""

GOLDEN_COUNT = 16
"""Pictures in the golden vectors."""

_SEEDS = {"calibration": 41, "gate": 42, "golden": 43, "calibration subsets": 44, "none": 45}


@dataclass(frozen=True, slots=True, eq=False)
class InputSet:
    """Images to compare on.

    Attributes:
        name: ``gate``, ``none`` or ``mnist``.
        images: uint8 (n, 28, 28).
        labels: uint8 (n,), the truth, 0–9 or ``NONE``.
        origins: int64 (n,), a number for the picture that each was made from: what two images of one origin show is
            not independent.
        gates: whether the limits hold on it; else it is only reported.
        camera: whether an answer is what a camera's ink would get, ``none_prior`` and all; else it is for a world of
            digits.
    """

    name: str
    images: Image
    labels: npt.NDArray[np.uint8]
    origins: npt.NDArray[np.int64]
    gates: bool = True
    camera: bool = False

    @property
    def sha256(self) -> str:
        """Of images and labels."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()

    def ask(self, answer: Callable[[Image], npt.NDArray[np.float32]], who: str) -> npt.NDArray[np.float32]:
        """The answers of a classifier to all images, a thousand at a time.

        Args:
            answer: uint8 (n, 28, 28) -> logits float32 (n, labels).
            who: whose they are, for the progress bar.
        """
        chunks = [self.images[i : i + 1000] for i in range(0, len(self.images), 1000)]
        return np.concatenate([answer(chunk) for chunk in tqdm(chunks, f"{self.name}: {who}", unit="k", delay=1)])

    def judged(self, logits: npt.NDArray[np.float32], none_prior: float) -> npt.NDArray[np.float32]:
        """The logits, float32 (n, labels), the largest of which is the answer here."""
        if not self.camera:
            return logits
        raised = logits.copy()
        raised[:, NONE] += none_prior
        return raised


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


def gate_set(data: Mnist, count: int = GATE_COUNT) -> InputSet:
    """Validation images, varied as in training, each as often as it takes to have ``count``."""
    rng = np.random.default_rng(_SEEDS["gate"])
    there = len(data.validation_images)
    rounds = -(-count // there)
    bar = tqdm(range(rounds), desc="drawing the gate set", unit="round", delay=1)
    images = np.concatenate([augment(data.validation_images, AugmentSettings(), rng) for _ in bar])[:count]
    origins = np.arange(count) % there
    return InputSet("gate", images, data.validation_labels[origins], origins)


def none_set(data: Mnist, count: int = GATE_COUNT // NONE_SHARE) -> InputSet:
    """What is not a digit, as training draws it but from validation digits, to be answered as a camera's ink."""
    rng = np.random.default_rng(_SEEDS["none"])
    chunks = [min(1000, count - start) for start in range(0, count, 1000)]
    bar = tqdm(chunks, desc="drawing what is not a digit", unit="k", delay=1)
    images = np.concatenate([draw_nones(n, data.validation_images, AugmentSettings(), rng) for n in bar])
    return InputSet("none", images, np.full(count, NONE, np.uint8), np.arange(count), camera=True)


def mnist_set(data: Mnist) -> InputSet:
    """MNIST's test set, which is reported and never gates."""
    return InputSet("mnist", data.test_images, data.test_labels, np.arange(len(data.test_labels)), gates=False)


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
