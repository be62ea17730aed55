from __future__ import annotations

import inspect
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from runtime.values import Image
from train import distractors
from train.data import Mnist
from train.distractors import FAMILIES, SIDE, draw_distractor

Family = Callable[[np.random.Generator, Image], Image]


@pytest.fixture(scope="module")
def wide(drawn: Mnist) -> Image:
    """Digits flattened to a fifth of their height: what is left of them, cut in two, is not upright."""
    images = np.zeros((200, 28, 28), np.uint8)
    for image, digit in zip(images, drawn.train_images[:200], strict=True):
        image[11:17] = cv2.resize(digit, (28, 6), interpolation=cv2.INTER_AREA)
    return images


def test_the_table_holds_every_family() -> None:
    drawing = {
        function
        for _, function in inspect.getmembers(distractors, inspect.isfunction)
        if list(inspect.signature(function).parameters) == ["rng", "digits"]
    }
    assert set(FAMILIES) == drawing - {draw_distractor, distractors._digit}
    assert min(FAMILIES.values()) > 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_a_family_draws_ink(family: Family, wide: Image) -> None:
    rng = np.random.default_rng(11)
    pictures = [family(rng, wide) for _ in range(50)]
    assert {(picture.dtype, picture.shape[0], picture.ndim) for picture in pictures} == {(np.dtype(np.uint8), SIDE, 2)}
    # ``draw_distractor`` draws again what came out empty: that must be the exception.
    assert np.mean([picture.any() for picture in pictures]) > 0.5
    assert len({picture.tobytes() for picture in pictures}) > 25


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_the_same_state_draws_the_same(family: Family, drawn: Mnist) -> None:
    once, again = (family(np.random.default_rng(12), drawn.train_images) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_a_distractor_is_never_empty(drawn: Mnist) -> None:
    rng = np.random.default_rng(13)
    assert min(draw_distractor(rng, drawn.train_images).max() for _ in range(500)) > 0


def test_a_family_that_has_nothing_to_make_of_the_digits_leaves_its_turn_to_another() -> None:
    bar = np.zeros((1, 28, 28), np.uint8)  # what is left of it, cut anywhere, is upright
    bar[0, 4:24, 12:16] = 255
    rng = np.random.default_rng(3)
    assert not any(distractors._cut(rng, bar).any() for _ in range(50))
    assert all(draw_distractor(rng, bar).any() for _ in range(200))


def test_a_cut_digit_keeps_20_to_50_percent_of_its_ink(wide: Image) -> None:
    rng = np.random.default_rng(14)
    image = wide[2:3]  # one image only, so that the whole ink is known
    whole = cv2.resize(image[0], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).sum(axis=0, dtype=np.int64)
    kept = np.array([distractors._cut(rng, image).sum(dtype=np.int64) for _ in range(200)]) / whole.sum()
    kept = kept[kept > 0]
    column = whole.max() / whole.sum()  # the cut falls between columns
    assert kept.min() >= 0.2 - column
    assert kept.max() <= 0.5 + column
    assert np.ptp(kept) > 0.2


def test_what_is_left_of_an_upright_stroke_is_given_up(drawn: Mnist) -> None:
    rng = np.random.default_rng(14)
    ones = drawn.train_images[drawn.train_labels == 1]
    assert not any(distractors._cut(rng, ones).any() for _ in range(50))


def test_lines_are_no_steeper_than_a_slanted_1(drawn: Mnist) -> None:
    rng = np.random.default_rng(15)
    for _ in range(100):
        _, _, width, height = cv2.boundingRect(distractors._line(rng, drawn.train_images))
        # Up to 30° and three deviations of 3°; lines that lie apart, thickness and bend add height.
        assert height < 2.2 * width


def test_joined_digits_fill_the_width_of_all_but_their_overlaps(wide: Image) -> None:
    rng = np.random.default_rng(16)
    one = wide[2:3]
    _, _, width, _ = cv2.boundingRect(cv2.resize(one[0], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    # Two or three, each overlapping the one before by 0 to 6 pixels.
    allowed = {count * width - overlap * (count - 1) for count in (2, 3) for overlap in range(7)}
    assert {distractors._joined(rng, one).shape[1] for _ in range(300)} == allowed
