from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.bars import is_stroke
from runtime.values import Box, Image

PAPER, INK, DESK = 220, 60, 90
BOX = Box(150, 60, 8, 80)


def page() -> Image:
    return np.full((200, 300), PAPER, np.uint8)


def test_a_stroke_on_paper_is_one() -> None:
    luma = page()
    luma[60:140, 150:158] = INK
    assert is_stroke(luma, BOX)


@pytest.mark.parametrize("height", [9, 12, 15, 16])
def test_a_short_stroke_is_one_and_a_short_piece_of_a_line_none(height: int) -> None:
    luma = page()
    luma[60 : 60 + height, 150:153] = INK
    box = Box(150, 60, 3, height)
    assert is_stroke(luma, box)
    luma[:, 150:153] = INK
    assert not is_stroke(luma, box)


@pytest.mark.parametrize("lean", [-30, 0, 30])
def test_a_leaning_stroke_is_one(lean: int) -> None:
    luma = page()
    cv2.line(luma, (150 + lean, 60), (150, 140), INK, 8)
    assert is_stroke(luma, Box(min(150, 150 + lean) - 4, 56, abs(lean) + 8, 88))


def test_the_edge_of_a_sheet_is_none() -> None:
    luma = page()
    luma[:, 153:] = DESK
    assert not is_stroke(luma, BOX)


@pytest.mark.parametrize("lean", [-20, 0, 20])
def test_a_piece_of_a_longer_line_is_none(lean: int) -> None:
    luma = page()
    cv2.line(luma, (154 + 2 * lean, 0), (154 - 2 * lean, 199), INK, 4)
    assert not is_stroke(luma, Box(min(154 - lean, 154 + lean) - 4, 50, 2 * abs(lean) + 8, 100))


def test_a_stroke_between_the_lines_of_a_ruling_is_one() -> None:
    luma = page()
    luma[60:140, 150:158] = INK
    luma[[50, 51, 146, 147]] = 150
    assert is_stroke(luma, BOX)


@pytest.mark.parametrize("x", [0, 292])
def test_ink_at_the_border_of_the_picture_is_none(x: int) -> None:
    luma = page()
    luma[60:140, x : x + 8] = INK
    assert not is_stroke(luma, Box(x, 60, 8, 80))


@pytest.mark.parametrize("box", [Box(2, 0, 1, 1), Box(5, 0, 3, 200), Box(3, 190, 290, 10)])
def test_any_box_is_answered(box: Box) -> None:
    assert is_stroke(page(), box) in (True, False)
