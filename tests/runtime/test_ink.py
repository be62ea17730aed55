from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.ink import Ink, InkSettings
from runtime.values import Box, Image, Polarity

SETTINGS = InkSettings()


def page(level: int = 200) -> Image:
    return np.full((240, 320), level, np.uint8)


def noisy(luma: Image, sigma: float) -> Image:
    noise = np.random.default_rng(0).normal(0, sigma, luma.shape)
    return np.clip(luma + noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(("paper", "level", "polarity"), [(200, 120, "dark"), (60, 140, "light")])
def test_ink_is_what_stands_out_from_its_paper(paper: int, level: int, polarity: Polarity) -> None:
    luma = page(paper)
    luma[100:140, 50:58] = level
    (piece,) = Ink(luma, SETTINGS).pieces
    assert (piece.box, piece.polarity) == (Box(50, 100, 8, 40), polarity)


def test_strength_is_the_difference_from_the_paper() -> None:
    luma = page()
    luma[100:140, 50:58] = 120
    strength = Ink(luma, SETTINGS).strength(Box(45, 95, 20, 50), "dark")
    assert strength.shape == (50, 20)
    np.testing.assert_allclose(strength[10:40, 6:12], 80, atol=1)
    assert strength[:, 15:].max() <= 1


def test_paper_follows_the_edge_of_a_shadow() -> None:
    luma = page()
    luma[:, 160:] = 110
    luma[100:140, 200:208] = 60
    luma[100:140, 60:68] = 120  # as bright as the shadow, and ink
    boxes = [piece.box for piece in Ink(luma, SETTINGS).pieces if piece.box.height > 20 and piece.polarity == "dark"]
    assert sorted(box.x for box in boxes) == [60, 200]
    # No wider than the map's cells: a sharp edge itself.
    assert all(box.width <= 2 * SETTINGS.cell for box in boxes)


def test_pale_ink_is_found_on_lit_paper_between_shadows() -> None:
    luma = page()
    luma[:, :120] = luma[:, 200:] = 110  # most of what is around the strokes
    for x, y in [(5, 40), (18, 52), (31, 36), (44, 60), (9, 100), (25, 118), (40, 96), (12, 160), (33, 175)]:
        luma[y : y + 20, x + 132 : x + 135] = 170
    mask = Ink(luma, SETTINGS).masks["dark"] > 0
    np.testing.assert_array_equal(mask[:, 130:190], luma[:, 130:190] == 170)


@pytest.mark.parametrize("level", [0, 60, 90])
def test_what_strokes_of_light_ink_enclose_is_no_dark_ink(level: int) -> None:
    board = np.full((480, 640), level, np.uint8)
    for x in range(60, 500, 80):
        cv2.ellipse(board, (x, 200), (18, 40), 0, 0, 360, 230, 6)
    cv2.rectangle(board, (560, 300), (595, 400), 230, cv2.FILLED)  # nearly as wide as a stroke may be
    assert not Ink(board, SETTINGS).masks["dark"].any()


@pytest.mark.parametrize(("sigma", "contrast"), [(5.0, 4.0), (8.0, 4.0), (8.0, 2.4)])
def test_a_noisy_picture_is_softened_so_that_faint_ink_is_found_and_noise_is_not(sigma: float, contrast: float) -> None:
    luma = page()
    luma[100:160, 50:62] = 200 - int(contrast * sigma)
    ink = Ink(noisy(luma, sigma), SETTINGS)
    large = [piece for piece in ink.pieces if piece.box.height >= 9]
    assert [piece.box.iou(Box(50, 100, 12, 60)) > 0.6 for piece in large] == [True]
    assert ink.noise == pytest.approx(sigma, rel=0.15)


def test_a_picture_without_noise_is_left_as_it_is() -> None:
    luma = page()
    assert Ink(luma, SETTINGS).luma is luma
