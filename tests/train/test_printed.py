from __future__ import annotations

import itertools

import numpy as np
import pytest

from train.printed import FONTS, Font, print_text


@pytest.mark.parametrize("font", FONTS, ids=lambda font: font.name)
@pytest.mark.parametrize("height", [14.0, 90.0])
def test_a_digit_has_the_height_asked_for(font: Font, height: float) -> None:
    ink = print_text("0", height, font)
    rows = np.flatnonzero((ink > 0.4).any(axis=1))
    assert len(rows) == pytest.approx(height, abs=0.1 * height + 1.0)


@pytest.mark.parametrize("font", FONTS, ids=lambda font: font.name)
def test_the_ten_digits_are_ten_shapes(font: Font) -> None:
    shapes = []
    for digit in "0123456789":
        ink = print_text(digit, 40.0, font)
        canvas = np.zeros((60, 60), np.float32)
        canvas[: ink.shape[0], : ink.shape[1]] = ink
        shapes.append(canvas)
    assert min(np.abs(a - b).sum() for a, b in itertools.combinations(shapes, 2)) > 30


def test_holes_stay_open() -> None:
    for font in FONTS:
        ink = print_text("0", 60.0, font)
        assert ink[ink.shape[0] // 2 - 12, ink.shape[1] // 2] < 0.5 or "mono" in font.name


def test_letters_that_hang_below_the_line_are_printed_whole() -> None:
    assert print_text("p", 60.0, FONTS[0]).shape[0] > print_text("n", 60.0, FONTS[0]).shape[0] + 8
