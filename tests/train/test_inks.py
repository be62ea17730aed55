from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.preprocess import stroke_width
from runtime.strokes import Pen
from runtime.values import Image
from train.inks import INKS, ink_image, ink_strokes, thin

SOLID = replace(INKS[0], pen=Pen(0.05, pressure=0.0))


@pytest.fixture
def ring() -> Image:
    """A zero: 20 pixels tall, lines of 3."""
    picture = np.zeros((28, 28), np.uint8)
    cv2.ellipse(picture, (14, 14), (6, 9), 0, 0, 360, 255, 3, cv2.LINE_AA)
    return picture


def loops(ink: np.ndarray) -> int:
    return cv2.connectedComponents((ink < 0.3).astype(np.uint8), connectivity=4)[0] - 2


@pytest.mark.parametrize("height", [14.0, 40.0, 150.0])
@pytest.mark.parametrize("share", [0.04, 0.08, 0.14])
def test_a_pictures_ink_gets_the_pens_width_and_the_height_asked_for(height: float, share: float, ring: Image) -> None:
    width = max(share * height, 1.0)
    ink = ink_image(ring, height, SOLID, width, np.random.default_rng(0))
    rows = np.flatnonzero((ink > 0.5).any(axis=1))
    # The pen's middle keeps its place: half of the change of width goes beyond the ink at either end.
    native = stroke_width((ring > 80).astype(np.uint8) * 255) / 20 * height
    assert len(rows) == pytest.approx(height + width - native, abs=0.06 * height + 1.5)
    # Averaged down, a line of about a pixel is nowhere full: its ink by its length is its width.
    length = np.pi * (12 + 18) / 2 / 20 * height
    assert ink.sum() / length == pytest.approx(width, rel=0.3)


@pytest.mark.parametrize("share", [0.03, 0.1, 0.19, 0.4])
def test_no_pen_breaks_or_closes_a_loop(share: float, ring: Image) -> None:
    ink = ink_image(ring, 80.0, SOLID, 80.0 * share, np.random.default_rng(0))
    assert loops(ink) == 1


def test_ink_keeps_clear_of_the_patchs_border(ring: Image) -> None:
    for share in (0.05, 0.19):
        ink = ink_image(ring, 60.0, SOLID, 60.0 * share, np.random.default_rng(0))
        assert max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max()) == 0


def test_thinning_leaves_one_connected_line_around_the_same_hole(ring: Image) -> None:
    solid = (cv2.resize(ring, (84, 84), interpolation=cv2.INTER_CUBIC) > 127).astype(np.uint8)
    line = thin(solid)
    assert (line <= solid).all()
    assert cv2.connectedComponents(line, connectivity=8)[0] == 2
    assert cv2.connectedComponents(1 - line, connectivity=4)[0] == 3
    # A line a pixel wide: no block of four.
    assert not cv2.erode(line, np.ones((2, 2), np.uint8)).any()


def test_strokes_come_with_their_place_on_the_page() -> None:
    path = np.array([(30.0, 50.0), (30.0, 90.0)], np.float32)
    ink, (x, y) = ink_strokes([path], SOLID, 4.0, np.random.default_rng(0))
    rows, columns = np.nonzero(ink > 0.5)
    assert columns.mean() + x == pytest.approx(30.0, abs=0.3)
    assert rows.min() + y == pytest.approx(48.0, abs=1.0)
    assert rows.max() + y == pytest.approx(92.0, abs=1.0)


def test_grainy_ink_lets_paper_through(ring: Image) -> None:
    (chalk,) = [ink for ink in INKS if ink.name == "chalk-white"]
    solid, grainy = (ink_image(ring, 100.0, ink, 12.0, np.random.default_rng(0)) for ink in (SOLID, chalk))
    inside = solid > 0.99
    assert grainy[inside].mean() < 0.85
    assert grainy[inside].std() > 0.1
