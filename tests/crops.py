"""Labeled crops for the tests of ``train`` and ``export``, in the place of those of rendered frames."""

from __future__ import annotations

from functools import cache

import numpy as np

from runtime.values import Image
from tests.mnist import drawn_digits
from train.crops import LabeledCrops
from train.data import NONE
from train.epochs import CropPools


@cache
def drawn_crops(train: int = 100, validation: int = 60) -> CropPools:
    """Drawn digits, and as many inverted, which are to be ``none``."""

    def pool(images: Image, labels: Image) -> LabeledCrops:
        both = np.concatenate([labels, np.full(len(labels), NONE, np.uint8)])
        pixels = np.concatenate([images, 255 - images])
        return LabeledCrops(pixels, both, (both == NONE).astype(np.uint8), np.arange(len(both), dtype=np.int32))

    digits = drawn_digits()
    return CropPools(
        pool(digits.train_images[-train:], digits.train_labels[-train:]),
        pool(digits.validation_images[:validation], digits.validation_labels[:validation]),
    )
