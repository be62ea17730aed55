from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.preprocess import FIELD
from runtime.values import Image
from train.augment import AugmentSettings
from train.data import NONE, Mnist
from train.epochs import Counts, EpochSettings, Material, gather, make_epoch

STILL = AugmentSettings(0, 0, 0, 0, 0, through_preprocess=0)
"""Everything off."""


def flat(levels: range) -> Image:
    """Pictures that no digit looks like: full of one gray level each."""
    return np.stack([np.full((FIELD, FIELD), level, np.uint8) for level in levels])


@pytest.fixture
def material(drawn: Mnist) -> Material:
    """300 digits, and pools that are known by their gray."""
    digits = drawn.train_images[:300], drawn.train_labels[:300]
    crops = flat(range(100, 130)), np.full(30, 7, np.uint8)
    return Material(digits, flat(range(1, 8)), crops, flat(range(180, 220)), Counts(300, 0, 36, 60, 20))


def generator(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_digit_occurs_once_with_its_own_label(material: Material) -> None:
    alone = replace(material, counts=Counts(300, 0, 0, 0, 0))
    pictures, classes = make_epoch(alone, STILL, generator())
    images, labels = material.digits
    assert (pictures.dtype, classes.dtype) == (np.uint8, np.uint8)
    assert (pictures != images).any()  # in another order
    found = sorted((picture.tobytes(), int(label)) for picture, label in zip(pictures, classes, strict=True))
    assert found == sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


def test_each_pool_gives_as_many_as_asked_under_its_class(material: Material) -> None:
    pictures, classes = make_epoch(material, STILL, generator())
    assert len(pictures) == sum(material.counts)
    middle = pictures[:, FIELD // 2, FIELD // 2].astype(int)
    gray = (pictures[:, 8:20, 8:20] == middle[:, None, None]).all(axis=(1, 2))
    # Crops get brighter by a third at the most, and darker by 40 levels before that.
    distractors = gray & (middle > 0) & (middle < 8)
    cut = gray & (middle >= 8)
    assert (distractors.sum(), cut.sum()) == (36, 80)
    assert (classes[distractors] == NONE).all()
    assert ((classes[cut] == NONE).sum(), (classes[cut] == 7).sum()) == (20, 60)
    assert middle[cut & (classes == NONE)].min() > middle[cut & (classes == 7)].min()


def test_nothing_of_a_pool_comes_twice_before_all_has_come(material: Material) -> None:
    pool = np.arange(30)
    crops = flat(range(30)), pool.astype(np.uint8)
    for wanted, least, most in ((30, 1, 1), (75, 2, 3), (20, 0, 1)):
        epoch = replace(material, crops=crops, counts=Counts(300, 0, 0, wanted, 0))
        _, classes = make_epoch(epoch, STILL, generator())
        times = np.bincount(classes, minlength=30)[10:]  # under 10 are MNIST's own
        assert (times.min(), times.max()) == (least, most)


def test_the_same_state_gives_the_same_epoch_and_another_another(material: Material) -> None:
    once, again, other = (make_epoch(material, AugmentSettings(), generator(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once[0], again[0])
    np.testing.assert_array_equal(once[1], again[1])
    assert (once[0] != other[0]).any()


@pytest.mark.parametrize("share", [0.0, 0.12, 2.0])
def test_counts_are_shares_of_mnists_digits(share: float) -> None:
    settings = EpochSettings(drawn=share, nones=share, crops=share, crop_nones=share)
    wanted = round(300 * share)
    assert settings.counts(300, with_crops=True) == (300, *[wanted] * 4)
    assert settings.counts(300, with_crops=False) == (300, wanted, wanted, 0, 0)


def test_what_is_drawn_is_never_more_than_the_epochs_use(drawn: Mnist) -> None:
    settings = EpochSettings(drawn=0.1, nones=0.1, none_pool=50)
    digits = drawn.train_images[:200], drawn.train_labels[:200]
    for epochs, pool in ((1, 20), (2, 40), (3, 50)):
        material = gather(digits, settings, epochs, AugmentSettings(), None, seed=0)
        assert len(material.nones) == pool
        assert len(material.digits[0]) == 220
        assert len(make_epoch(material, AugmentSettings(), generator())[0]) == sum(material.counts)
