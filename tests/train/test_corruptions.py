from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.values import Image
from train.corruptions import CORRUPTIONS, Corruption, corrupt
from train.data import Mnist

by_name = {each.name: each for each in CORRUPTIONS}
each_family = pytest.mark.parametrize("family", CORRUPTIONS, ids=lambda family: family.name)


@pytest.fixture(scope="module")
def digits(drawn: Mnist) -> Image:
    return drawn.test_images[:30]


def test_there_are_the_fifteen_of_the_paper() -> None:
    assert len(by_name) == 15


@each_family
def test_a_family_changes_pictures_and_the_seed_decides_how(digits: Image, family: Corruption) -> None:
    once, again, other = (corrupt(digits, family, seed) for seed in (0, 0, 1))
    assert (once.shape, once.dtype) == (digits.shape, np.uint8)
    np.testing.assert_array_equal(once, again)
    assert (once != digits).any(axis=(1, 2)).all()
    # All but these four draw lots.
    assert (once != other).any() == (family.name not in ("scale", "brightness", "stripe", "canny_edges"))


def apply(name: str, picture: np.ndarray) -> np.ndarray:
    return corrupt(picture[None].astype(np.uint8), by_name[name])[0]


def test_brightness_adds_half_of_the_range() -> None:
    np.testing.assert_array_equal(apply("brightness", np.full((28, 28), 51)), 178)
    np.testing.assert_array_equal(apply("brightness", np.full((28, 28), 204)), 255)


def test_stripes_are_inverted_seven_columns_wide() -> None:
    striped = apply("stripe", np.full((28, 28), 55))
    assert np.unique(striped[:, :7]).tolist() == np.unique(striped[:, 21:]).tolist() == [200]
    assert np.unique(striped[:, 7:21]).tolist() == [55]


def test_translation_is_by_three_pixels_each_way() -> None:
    picture = np.zeros((28, 28))
    picture[14, 14] = 255
    ((row, column),) = np.argwhere(apply("translate", picture))
    assert {abs(row - 14), abs(column - 14)} == {3}


def test_scaling_is_to_seven_tenths_about_the_middle() -> None:
    picture = np.zeros((28, 28))
    picture[4:24, 4:24] = 255
    x, y, width, height = cv2.boundingRect((apply("scale", picture) > 127).astype(np.uint8))
    assert (x, y, width, height) == (7, 7, 14, 14)


def test_rotation_is_by_four_tenths_of_a_radian() -> None:
    picture = np.zeros((28, 28))
    picture[4:24, 13:15] = 255
    rows, columns = np.nonzero(apply("rotate", picture) > 100)
    slope = np.polyfit(rows, columns, 1)[0]
    assert abs(np.arctan(slope)) == pytest.approx(0.4, abs=0.02)


def test_impulses_hit_a_sixth_of_the_pixels_half_of_them_white() -> None:
    gray = np.full((200, 28, 28), 100, np.uint8)
    noisy = corrupt(gray, by_name["impulse_noise"])
    # 156,800 pixels: four standard deviations are under 0.4 points.
    assert (noisy == 255).mean() == pytest.approx(0.085, abs=0.004)
    assert (noisy == 0).mean() == pytest.approx(0.085, abs=0.004)


def test_shot_noise_counts_three_photons_for_white() -> None:
    values = np.unique(corrupt(np.full((50, 28, 28), 255, np.uint8), by_name["shot_noise"]))
    assert values.tolist() == [0, 85, 170, 255]


def test_motion_blur_keeps_the_ink_but_for_what_leaves_the_picture() -> None:
    picture = np.zeros((28, 28))
    picture[13:15, 13:15] = 255
    moved = apply("motion_blur", picture)
    assert moved.sum() == pytest.approx(picture.sum(), rel=0.02)  # rounded down to whole gray levels
    # Most where the two largest taps meet: (1 + exp(-1/18)) of a sum of 4.26.
    assert moved.max() <= 255 * (1 + np.exp(-1 / 18)) / 4.26


def test_edges_leave_the_inside_of_a_square_black() -> None:
    picture = np.zeros((28, 28))
    picture[6:22, 6:22] = 255
    edges = apply("canny_edges", picture)
    assert np.unique(edges).tolist() == [0, 255]
    assert not edges[9:19, 9:19].any()
    assert edges[5:8, 10:18].any(axis=0).all()


def test_a_dotted_line_leaves_out_every_other_pair_of_columns() -> None:
    ink = apply("dotted_line", np.zeros((28, 28))).any(axis=0)
    assert ink.tolist() == [i // 2 % 2 == 1 for i in range(27)] + [False]
