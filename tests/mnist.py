"""Digits for the tests of ``train`` and ``export``: MNIST where it is at hand, drawn ones where any digits will do."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from runtime.preprocess import preprocess
from runtime.strokes import PENS, digit_strokes, draw_ink
from runtime.values import Image
from train.augment import NONE
from train.crops import LabeledCrops
from train.data import Mnist, load_mnist
from train.epochs import CropPools

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"


def mnist_folder() -> Path:
    """The folder that holds MNIST here; skips the test where there is none, since tests download nothing."""
    if os.environ.get("MNIST_DIR"):
        return Path(os.environ["MNIST_DIR"])
    cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"
    for folder, file in ((cached, "mnist.npz"), (_BESIDE, "train-images-idx3-ubyte.gz")):
        if (folder / file).is_file():
            return folder
    pytest.skip(f"MNIST is not at hand: no $MNIST_DIR, no mnist.npz in {cached}, nothing in {_BESIDE}")


@cache
def mnist() -> Mnist:
    """MNIST; skips the test where it is not at hand."""
    return load_mnist(mnist_folder())


@cache
def drawn_digits(train: int = 1000, validation: int = 200, test: int = 100) -> Mnist:
    """Digits drawn by ``runtime.strokes``, in the place of MNIST: each class in turn, the same in every run."""
    rng = np.random.default_rng(7)
    labels = np.arange(train + validation + test, dtype=np.uint8) % 10
    images = np.stack([_draw(int(label), rng) for label in labels])
    first, second = train, train + validation
    return Mnist(
        images[:first],
        labels[:first],
        images[first:second],
        labels[first:second],
        images[second:],
        labels[second:],
        {"drawn": "by tests/mnist.py"},
    )


@cache
def drawn_crops(train: int = 100, validation: int = 60) -> CropPools:
    """In the place of crops of rendered frames: drawn digits, and as many inverted, which are to be ``none``."""

    def pool(images: Image, labels: Image) -> LabeledCrops:
        both = np.concatenate([labels, np.full(len(labels), NONE, np.uint8)])
        pixels = np.concatenate([images, 255 - images])
        return LabeledCrops(pixels, both, (both == NONE).astype(np.uint8), np.arange(len(both), dtype=np.int32))

    digits = drawn_digits()
    return CropPools(
        pool(digits.train_images[-train:], digits.train_labels[-train:]),
        pool(digits.validation_images[:validation], digits.validation_labels[:validation]),
    )


def _draw(label: int, rng: np.random.Generator) -> Image:
    paths = [path * 40 + 8 for path in digit_strokes(str(label), rng)]
    width = int(max(path[:, 0].max() for path in paths)) + 9
    ink = draw_ink(paths, (width, 57), rng, pen=PENS["gel"], width=rng.uniform(3, 6))
    return preprocess((255 * ink).astype(np.uint8))[0]
