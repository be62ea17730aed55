from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.detect import detect
from runtime.pages import draw_page
from runtime.rulings import without_rulings
from runtime.strokes import PENS
from runtime.values import Image

SIZE = (480, 640)


def ruled(slope: float, *, pitch: int = 40, thickness: int = 3, upright: bool = False) -> Image:
    """A mask of lines of this slope."""
    mask = np.zeros(SIZE[::-1] if upright else SIZE, np.uint8)
    for y in range(-300, 900, pitch):
        cv2.line(mask, (0, y), (mask.shape[1], round(y + slope * mask.shape[1])), 255, thickness)
    return np.ascontiguousarray(mask.T) if upright else mask


def stroke(width: int = 5) -> Image:
    """A mask of a ring and a slanted bar, which cross lines of that pitch."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, (200, 250), (20, 35), 0, 0, 360, 255, width)
    cv2.line(mask, (420, 200), (390, 290), 255, width)
    return mask


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.07, -0.2, 0.3])
def test_rulings_are_erased_and_the_strokes_that_they_cross_are_not(slope: float, upright: bool) -> None:
    lines, ink = ruled(slope, upright=upright), stroke()
    left = without_rulings(cv2.bitwise_or(lines, ink))
    assert left is not None
    alone = cv2.bitwise_and(lines, cv2.bitwise_not(cv2.dilate(ink, np.ones((9, 9), np.uint8))))
    # What the picture's corners cut short may stay.
    assert cv2.countNonZero(cv2.bitwise_and(left, alone)) < 0.1 * cv2.countNonZero(alone)
    assert cv2.countNonZero(cv2.bitwise_and(left, ink)) > 0.95 * cv2.countNonZero(ink)


def test_a_grid_is_erased_in_both_directions() -> None:
    grid = cv2.bitwise_or(ruled(0.05), ruled(-0.05, upright=True))
    left = without_rulings(grid)
    assert left is not None
    assert cv2.countNonZero(left) < 0.15 * cv2.countNonZero(grid)  # crossings stay


def test_ink_without_rulings_is_left_as_it_is() -> None:
    assert without_rulings(stroke()) is None
    assert without_rulings(np.zeros(SIZE, np.uint8)) is None


def test_one_line_may_be_a_stroke_and_thick_ones_are() -> None:
    alone = np.zeros(SIZE, np.uint8)
    cv2.line(alone, (320, 20), (300, 460), 255, 4)
    assert without_rulings(alone) is None
    assert without_rulings(ruled(0.1, thickness=9, pitch=60)) is None


def test_large_digits_of_a_thin_pen_are_no_rulings() -> None:
    ones = np.zeros(SIZE, np.uint8)
    for x in (200, 280, 360):
        cv2.line(ones, (x, 140), (x - 10, 340), 255, 4)
    assert without_rulings(ones) is None


def test_what_is_more_ink_than_paper_is_not_looked_at() -> None:
    dense = ruled(0.0, pitch=10, thickness=5)
    assert without_rulings(dense) is None
    assert without_rulings(cv2.bitwise_and(dense, ruled(0.0, pitch=20, thickness=5))) is not None


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 3), (40, 40), (170, 165), (200, 200)])
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_any_ink_is_taken_without_an_error_and_none_is_added(shape: tuple[int, int], share: float) -> None:
    for seed in range(5):
        mask = np.where(np.random.default_rng(seed).random(shape) < share, 255, 0).astype(np.uint8)
        before = mask.copy()
        left = without_rulings(mask)
        np.testing.assert_array_equal(mask, before)
        if left is not None:
            assert left.shape == mask.shape
            assert not cv2.countNonZero(cv2.bitwise_and(left, cv2.bitwise_not(mask)))


def test_digits_are_found_on_rulings_that_are_darker_than_they_are() -> None:
    drawn = draw_page(["407 1985", "62 30"], (640, 480), np.random.default_rng(3), pen=PENS["marker"], digit_height=60)
    luma = np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_BGR2GRAY))
    pale = np.where(luma < 200, 110 + luma // 3, luma).astype(np.uint8)
    lines = ruled(0.06, pitch=38, thickness=2)
    crops = detect(np.where(lines > 0, np.uint8(70), pale)).crops
    found = [max(crop.box.iou(digit.box) for crop in crops) for digit in drawn.digits]
    assert np.mean(np.array(found) > 0.7) >= 0.9
