from __future__ import annotations

import numpy as np
import pytest

from train.inks import INKS
from train.papers import DESKS, PAPERS, Stock, draw_stock

LUMA = np.array((0.114, 0.587, 0.299))


@pytest.mark.parametrize("stock", [*PAPERS, *DESKS], ids=lambda stock: stock.name)
def test_a_sheet_is_of_its_color_and_size(stock: Stock) -> None:
    sheet = draw_stock(stock, (320, 240), 30.0, np.random.default_rng(1))
    assert sheet.shape == (240, 320, 3)
    assert sheet.dtype == np.float32
    assert np.abs(np.median(sheet, axis=(0, 1)) - stock.color).max() < 35


@pytest.mark.parametrize("stock", PAPERS, ids=lambda stock: stock.name)
def test_every_pen_shows_on_the_papers_it_is_for(stock: Stock) -> None:
    for ink in INKS:
        if ink.polarity == stock.ink:
            contrast = LUMA @ (np.array(stock.color) - np.array(ink.color)) * (1 if ink.polarity == "dark" else -1)
            assert contrast > 50, ink.name


def test_ruled_lines_are_as_far_apart_as_asked_for() -> None:
    (stock,) = [stock for stock in PAPERS if stock.name == "ruled-blue"]
    sheet = draw_stock(stock, (300, 400), 40.0, np.random.default_rng(2))
    rows = sheet.mean(axis=(1, 2))
    lines = np.flatnonzero((rows < np.median(rows) - 4) & (rows <= np.roll(rows, 1)) & (rows < np.roll(rows, -1)))
    assert len(lines) >= 8
    assert np.diff(lines).tolist() == pytest.approx([40] * (len(lines) - 1), abs=2)
