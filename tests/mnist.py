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
from train.data import Mnist, load_mnist

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


def _draw(label: int, rng: np.random.Generator) -> Image:
    paths = [path * 40 + 8 for path in digit_strokes(str(label), rng)]
    width = int(max(path[:, 0].max() for path in paths)) + 9
    ink = draw_ink(paths, (width, 57), rng, pen=PENS["gel"], width=rng.uniform(3, 6))
    return preprocess((255 * ink).astype(np.uint8))[0]
