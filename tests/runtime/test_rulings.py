from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.detect import detect
from runtime.ink import Ink, InkSettings
from runtime.pages import draw_page
from runtime.rulings import Rulings, find_rulings
from runtime.strokes import PENS
from runtime.values import Image, Polarity

SIZE = (480, 640)
PAPER = 220


def ruled(slope: float, *, pitch: int = 40, thickness: int = 2, upright: bool = False, upto: int = 900) -> Image:
    """A mask of lines of this slope, not aliased: 0 for paper to 255."""
    mask = np.zeros(SIZE[::-1] if upright else SIZE, np.uint8)
    for y in range(-300, upto, pitch):
        cv2.line(mask, (0, y), (mask.shape[1], round(y + slope * mask.shape[1])), 255, thickness, cv2.LINE_AA)
    return np.ascontiguousarray(mask.T) if upright else mask


def stroke(width: int = 5) -> Image:
    """A mask of a ring and a slanted bar, which cross lines of that pitch."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, (200, 250), (20, 35), 0, 0, 360, 255, width, cv2.LINE_AA)
    cv2.line(mask, (420, 200), (390, 290), 255, width, cv2.LINE_AA)
    return mask


def printed(*layers: tuple[Image, int], noise: float = 1.0, seed: int = 1) -> Image:
    """Masks on paper, each at most as dark as that many gray levels, as a camera sees them."""
    dark = np.max([mask.astype(float) / 255 * levels for mask, levels in layers], axis=0)
    grain = np.random.default_rng(seed).normal(0, noise, SIZE)
    return np.clip(np.rint(PAPER - dark + grain), 0, 255).astype(np.uint8)


def rulings_of(luma: Image) -> Rulings:
    found = find_rulings(luma, 1.0)
    assert found is not None
    return found


@pytest.mark.parametrize("strength", [25, 50, 100])
@pytest.mark.parametrize("slope", [0.0, 0.07, -0.2, 0.3])
@pytest.mark.parametrize("upright", [False, True])
def test_rulings_are_taken_off_and_the_strokes_that_they_cross_are_not(
    strength: int, slope: float, upright: bool
) -> None:
    lines, ink = ruled(slope, upright=upright), stroke()
    left = rulings_of(printed((lines, strength), (ink, 130))).taken_off(printed((lines, strength), (ink, 130)))
    alone = (lines > 200) & (cv2.dilate(ink, np.ones((13, 13), np.uint8)) == 0)
    margin = 20  # lines that the picture's corners cut short may stay
    inside = np.zeros(SIZE, bool)
    inside[margin:-margin, margin:-margin] = True
    darkness = PAPER - left.astype(int)
    assert darkness[alone & inside].mean() < 0.15 * strength
    assert (darkness[ink == 255] > 65).mean() > 0.95


def test_a_grid_is_taken_off_in_both_directions_and_so_are_its_crossings() -> None:
    lines = [ruled(0.05, pitch=20), ruled(-0.05, pitch=20, upright=True)]
    grid = printed((lines[0], 60), (lines[1], 60))
    left = rulings_of(grid).taken_off(grid)
    crossings = (lines[0] == 255) & (lines[1] == 255)
    crossings[:20], crossings[-20:], crossings[:, :20], crossings[:, -20:] = False, False, False, False
    assert (PAPER - left.astype(int))[crossings].mean() < 10


def test_light_rulings_on_a_board_are_taken_off() -> None:
    board = cv2.bitwise_not(printed((ruled(0.05), 60), (stroke(), 150)))
    rulings = rulings_of(board)
    assert rulings.polarity == "light"
    left = rulings.taken_off(board)
    alone = (ruled(0.05) > 200) & (cv2.dilate(stroke(), np.ones((13, 13), np.uint8)) == 0)
    assert (left.astype(int) - (255 - PAPER))[alone].mean() < 10


def test_a_part_of_a_larger_picture_is_relieved_as_well() -> None:
    luma = printed((ruled(0.07), 60), (stroke(), 130))
    rulings = rulings_of(luma)
    x, y, scale = 160.0, 190.0, 2.5
    to_picture = np.array([[1 / scale, 0, x + 0.5 / scale - 0.5], [0, 1 / scale, y + 0.5 / scale - 0.5]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(luma, to_picture, (250, 250), flags=how)
    expected = cv2.warpAffine(rulings.taken_off(luma), to_picture, (250, 250), flags=how)
    assert np.abs(rulings.taken_off(part, to_picture).astype(int) - expected).mean() < 2


@pytest.mark.parametrize("noise", [0.0, 2.0, 8.0])
def test_writing_paper_and_noise_have_no_rulings(noise: float) -> None:
    assert find_rulings(printed((stroke(), 130), noise=noise), noise) is None
    assert find_rulings(printed((np.zeros(SIZE, np.uint8), 0), noise=noise), noise) is None
    page = draw_page(["407 1985 3", "62 30 7714", "558 21 96"], (640, 480), np.random.default_rng(3), digit_height=30)
    assert find_rulings(np.asarray(cv2.cvtColor(page.pixels, cv2.COLOR_BGR2GRAY)), 1.0) is None


def test_two_lines_may_be_strokes_and_thick_ones_are() -> None:
    two = ruled(0.0, upto=-300 + 11 * 40)
    two[: 2 * 40 - 20] = 0
    assert find_rulings(printed((two, 60)), 1.0) is None
    assert find_rulings(printed((ruled(0.1, thickness=9, pitch=60), 60)), 1.0) is None


def test_large_digits_of_a_thin_pen_are_no_rulings() -> None:
    ones = np.zeros(SIZE, np.uint8)
    for x in (200, 280, 360):
        cv2.line(ones, (x, 140), (x - 10, 340), 255, 4, cv2.LINE_AA)
    assert find_rulings(printed((ones, 130)), 1.0) is None


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 3), (13, 64), (40, 40), (64, 13), (170, 165), (200, 200)])
@pytest.mark.parametrize("noise", [0.0, 60.0])
def test_any_picture_is_taken_without_an_error_and_not_changed(shape: tuple[int, int], noise: float) -> None:
    for seed in range(5):
        luma = np.random.default_rng(seed).normal(128, noise, shape).clip(0, 255).astype(np.uint8)
        luma[:: 2 + seed] //= 2
        before = luma.copy()
        found = find_rulings(luma, 1.0)
        np.testing.assert_array_equal(luma, before)
        if found is not None:
            assert found.taken_off(luma).shape == found.strength.shape == found.paper.shape == shape


@pytest.mark.parametrize("polarity", ["dark", "light"])
def test_ink_is_what_stands_out_from_rulings_and_paper(polarity: Polarity) -> None:
    lines = cv2.max(ruled(0.05, pitch=24), ruled(-0.05, pitch=24, upright=True))
    luma = printed((lines, 60), (stroke(), 150))
    ink = Ink(luma if polarity == "dark" else cv2.bitwise_not(luma), InkSettings())
    mask = ink.masks[polarity] > 0
    assert mask[stroke() == 255].mean() > 0.95
    away = cv2.dilate(stroke(), np.ones((13, 13), np.uint8)) == 0
    assert mask[20:-20, 20:-20][away[20:-20, 20:-20]].mean() < 0.003


@pytest.mark.parametrize("level", [70, 110, 150, 180])
def test_digits_are_found_on_rulings_that_are_darker_or_not_as_dark_as_they_are(level: int) -> None:
    drawn = draw_page(["407 1985", "62 30"], (640, 480), np.random.default_rng(3), pen=PENS["marker"], digit_height=60)
    luma = np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_BGR2GRAY))
    pale = np.where(luma < 200, 110 + luma // 3, luma).astype(np.uint8)
    lines = np.zeros(SIZE, np.uint8)
    for y in range(-300, 900, 38):
        cv2.line(lines, (0, y), (640, round(y + 0.06 * 640)), 255, 2)
    crops = detect(np.where(lines > 0, np.uint8(level), pale)).crops
    found = [max(crop.box.iou(digit.box) for crop in crops) for digit in drawn.digits]
    assert np.mean(np.array(found) > 0.7) >= 0.9
