from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.preprocess import (
    FIELD,
    INK_LEVEL,
    INK_SIDE,
    MIN_STROKE,
    PREPROCESS_VERSION,
    preprocess,
    stroke_width,
)
from runtime.values import Box, Image

# Up to 60 pixels a side, so that even one pixel of the faintest ink is more than rounding after shrinking to 20:
# 96 · (20/60)² = 10.7.
inks = npst.arrays(
    np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=60), elements=st.sampled_from([0, 0, 60, 96, 180, 255])
)
sketches = npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=6))
"""Drawn in at most 6 × 6 solid cells, whose strokes are never thickened: one cell is 20/6 pixels of the field, and the
stroke width of anything made of cells is at least 2/π of a cell (2 · area / (4 sides · π/4)), 2.1 > MIN_STROKE."""


def extent(ink: Image) -> Box:
    """Where there is any ink at all."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def center_of_mass(pixels: Image) -> tuple[float, float]:
    weights = pixels / pixels.sum(dtype=float)
    return float(weights.sum(axis=0) @ np.arange(FIELD)), float(weights.sum(axis=1) @ np.arange(FIELD))


def has_ink(ink: Image) -> bool:
    return bool((ink >= INK_LEVEL).any())


def enlarged(sketch: Image, cell: int) -> Image:
    return np.kron(sketch, np.full((cell, cell), 255)).astype(np.uint8)


def rectangle(width: int, height: int) -> Image:
    return np.full((height, width), 255, np.uint8)


def test_a_drawn_7_comes_out_pixel_by_pixel_as_computed_by_hand() -> None:
    # Five cells of 8 pixels are 40, so a cell is 4 pixels of the field.
    seven = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0]])
    # Center of mass of the nine cells, counted from the first pixel's middle, and the corner that puts it at 14:
    # x: (10 + 3 + 2 + 2 + 1) / 9 cells · 4 + 1.5 = 9.5, 14 − 9.5 = 4.5, to even: 4;
    # y: (0 + 1 + 2 + 3 + 4) / 9 cells · 4 + 1.5 = 5.94, 14 − 5.94 = 8.06: 8.
    expected = np.zeros((28, 28), np.uint8)
    expected[8:28, 4:24] = np.kron(seven, np.full((4, 4), 255))
    pixels, transform = preprocess(np.pad(enlarged(seven, 8), ((3, 0), (5, 9))))
    np.testing.assert_array_equal(pixels, expected)
    # Half the size; the ink's corner (5, 3) comes to (4, 8).
    np.testing.assert_array_equal(transform, np.array([[0.5, 0, 4 - 2.5], [0, 0.5, 8 - 1.5]], np.float32))


def test_a_thin_soft_corner_comes_out_as_in_the_golden_picture_of_this_version() -> None:
    # A hairline with a soft edge: thickened, shrunk and stretched to full strength. A change here is a new
    # PREPROCESS_VERSION, with a golden picture of its own.
    ink = np.zeros((60, 40), np.uint8)
    ink[5:55, 6] = ink[54, 6:33] = 200
    ink[5:55, 7] = ink[53, 7:33] = 90
    pixels, _ = preprocess(ink)
    box = extent(pixels)
    assert (PREPROCESS_VERSION, box) == (1, GOLDEN_CORNER)
    golden = np.zeros((28, 28), np.uint8)
    golden[box.y : box.bottom, box.x : box.right] = [list(bytes.fromhex(row)) for row in GOLDEN_ROWS]
    # OpenCV's versions round area averages differently by one level.
    assert np.abs(pixels.astype(int) - golden).max() <= 1


@given(inks)
def test_the_longest_side_of_the_ink_is_20_pixels_at_full_strength(ink: Image) -> None:
    assume(has_ink(ink))
    pixels, _ = preprocess(ink)
    box = extent(pixels)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (FIELD, FIELD))
    assert max(box.width, box.height) == INK_SIDE
    assert pixels.max() == 255


@given(inks)
def test_the_center_of_mass_is_at_14_unless_the_field_ends_there(ink: Image) -> None:
    assume(has_ink(ink))
    pixels, _ = preprocess(ink)
    x, y = center_of_mass(pixels)
    box = extent(pixels)
    # Whole pixels: the nearest place is at most half a pixel off.
    assert abs(x - 14) <= 0.5 + 1e-9 or box.x == 0 or box.right == FIELD
    assert abs(y - 14) <= 0.5 + 1e-9 or box.y == 0 or box.bottom == FIELD


def test_ink_heavier_at_one_end_than_the_field_has_room_for_stops_at_the_border() -> None:
    # A foot of 20×4 pixels under a stem of 2×16: mass at y = (80 · 17.5 + 32 · 7.5) / 112 = 14.6, so the corner would
    # be at −0.6, beside the field.
    ink = np.zeros((20, 20), np.uint8)
    ink[16:] = 255
    ink[:, 9:11] = 255
    pixels, _ = preprocess(ink)
    np.testing.assert_array_equal(pixels[:20, 4:24], ink)
    assert pixels[20:].max() == 0


@given(st.integers(8, 80), st.integers(8, 80))
def test_aspect_is_kept_to_half_a_pixel(width: int, height: int) -> None:
    assume(max(width, height) <= 5 * min(width, height))  # a thinner one would be thickened
    box = extent(preprocess(rectangle(width, height))[0])
    scale = INK_SIDE / max(width, height)
    assert abs(box.width - width * scale) <= 0.5
    assert abs(box.height - height * scale) <= 0.5


@given(inks, st.tuples(*[st.integers(0, 40)] * 4))
def test_paper_around_the_ink_changes_nothing_but_the_transform(ink: Image, margins: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = margins
    pixels, transform = preprocess(ink)
    padded, moved = preprocess(np.pad(ink, ((top, bottom), (left, right))))
    np.testing.assert_array_equal(padded, pixels)
    if has_ink(ink):
        # float32 holds 24 bits; offsets are under 2000 (60 pixels, 20-fold), so to 2000 · 2⁻²³ twice.
        np.testing.assert_allclose(moved @ [left, top, 1], transform @ [0, 0, 1], atol=5e-4)
        np.testing.assert_array_equal(moved[:, :2], transform[:, :2])


@given(sketches, st.integers(4, 9), st.integers(2, 4))
def test_a_picture_with_more_pixels_gives_the_same_input(sketch: Image, cell: int, factor: int) -> None:
    assume(sketch.any())
    box = extent(sketch)
    assume(max(box.width, box.height) * cell >= INK_SIDE)  # enlarging interpolates, it does not average
    small, large = preprocess(enlarged(sketch, cell))[0], preprocess(enlarged(sketch, cell * factor))[0]
    a, b = extent(small), extent(large)
    assert (a.width, a.height) == (b.width, b.height)
    # A mass just between two pixels may fall to either side.
    assert abs(a.x - b.x) <= 1
    assert abs(a.y - b.y) <= 1
    # Averages over the same areas: each rounded once, by half a level, and once more when stretched to full strength.
    ink_a = small[a.y : a.bottom, a.x : a.right].astype(int)
    ink_b = large[b.y : b.bottom, b.x : b.right].astype(int)
    assert np.abs(ink_a - ink_b).max() <= 2


@pytest.mark.parametrize("side", [24, 40, 60, 96, 150, 300])
def test_hairlines_are_thickened_to_a_stroke_that_the_model_knows(side: int) -> None:
    ring = rectangle(side, side)
    ring[1:-1, 1:-1] = 0
    pixels, _ = preprocess(ring)
    # A square ring of stroke w holds 20² − (20 − 2w)² of ink.
    stroke = (INK_SIDE - np.sqrt(INK_SIDE**2 - pixels.sum() / 255)) / 2
    # What is added is MIN_STROKE less the stroke there is, taken for 4/π of a pixel along the axes, to the nearest
    # pixel; then the ring, grown by as much, is shrunk to 20 pixels again.
    wanted = MIN_STROKE * side / INK_SIDE - 4 / np.pi
    least, most = ((1 + wanted + off) * INK_SIDE / (side + wanted + off) for off in (-0.5, 0.5))
    assert least - 0.05 <= stroke <= most + 0.05
    assert stroke > 1.3 * INK_SIDE / side  # it would have been that much without


@pytest.mark.parametrize("width", [3, 8, 15])
def test_the_width_of_a_stroke_is_measured_whatever_its_direction(width: int) -> None:
    measured = []
    for angle in np.radians(np.arange(0, 90, 5)):
        along = 150 * np.array([np.cos(angle), np.sin(angle)])
        across = width / 2 * np.array([-np.sin(angle), np.cos(angle)])
        corners = 200 + np.array([-along - across, -along + across, along + across, along - across])
        solid = np.zeros((400, 400), np.uint8)
        cv2.fillPoly(solid, [np.rint(16 * corners).astype(np.int32)], 255, cv2.LINE_8, 4)
        # fillPoly paints every pixel that the outline touches; what counts is what it painted.
        measured.append(stroke_width(solid) / (np.count_nonzero(solid) / 300))
    # Twice area over outline; the two ends of 300 pixels of stroke make it the width less width / 300.
    assert np.mean(measured) == pytest.approx(1 - width / 300, abs=0.05)
    # Along the axes by 4/π too much, on the diagonal by 4/π/√2.
    assert max(measured) <= 4 / np.pi + 0.05
    assert min(measured) >= 4 / np.pi / np.sqrt(2) - 0.05 - width / 300


@given(sketches)
def test_strokes_of_usual_width_are_left_as_they_are(sketch: Image) -> None:
    assume(sketch.any())
    box = extent(sketch)
    cells = max(box.width, box.height)
    # As many pixels a cell as make the whole exactly 20: nothing is left to do but to place it.
    assume(INK_SIDE % cells == 0)
    pixels, _ = preprocess(enlarged(sketch, INK_SIDE // cells))
    placed = extent(pixels)
    np.testing.assert_array_equal(
        pixels[placed.y : placed.bottom, placed.x : placed.right],
        enlarged(sketch[box.y : box.bottom, box.x : box.right], INK_SIDE // cells),
    )


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 95)))
def test_where_no_pixel_is_solid_ink_there_is_nothing(ink: Image) -> None:
    assert preprocess(ink)[0].max() == 0


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (2, 1), (1, 2), (3, 3), (500, 1), (1, 500), (1000, 3), (20, 20), (28, 28), (700, 500)]
)
def test_ink_of_any_shape_fits_the_field(width: int, height: int) -> None:
    box = extent(preprocess(rectangle(width, height))[0])
    assert (box.width if width >= height else box.height) == INK_SIDE
    assert min(box.width, box.height) >= 1
    assert min(box.width, box.height) <= max(round(INK_SIDE * min(width, height) / max(width, height)), 2)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 20), st.integers(0, 20))
def test_the_transform_takes_the_corners_of_the_ink_to_where_they_are_in_the_field(
    width: int, height: int, x: int, y: int
) -> None:
    pixels, transform = preprocess(np.pad(rectangle(width, height), ((y, 3), (x, 3))))
    box = extent(pixels)
    (left, top), (right, bottom) = transform @ [x, y, 1], transform @ [x + width, y + height, 1]
    # Thickening grows the ink by as much on either side, or by one pixel of the picture more on one.
    across, down = transform[0, 0], transform[1, 1]
    assert abs(left + right - box.x - box.right) <= across + 1e-3
    assert abs(top + bottom - box.y - box.bottom) <= down + 1e-3
    # And never moves it out of its own outline.
    assert box.x - 1e-3 <= left < right <= box.right + 1e-3
    assert box.y - 1e-3 <= top < bottom <= box.bottom + 1e-3
    if box.width < width * across + 0.01 and box.height < height * down + 0.01:
        np.testing.assert_allclose([left, top, right, bottom], [box.x, box.y, box.right, box.bottom], atol=1e-3)


@given(inks)
def test_the_ink_given_is_left_alone_and_may_be_any_view(ink: Image) -> None:
    before = ink.copy()
    wide = np.repeat(np.repeat(ink, 2, axis=0), 2, axis=1)[::2, ::2]
    wide.flags.writeable = False
    np.testing.assert_array_equal(preprocess(wide)[0], preprocess(ink)[0])
    np.testing.assert_array_equal(ink, before)


GOLDEN_CORNER = Box(12, 2, 11, 20)
GOLDEN_ROWS = [
    "bba2090000000000000000",
    *["ffdf0f0000000000000000"] * 16,
    "ffdf251a1a1a1a1a1a1a08",
    "fffaebebebebebebebebb9",
    "bbedffffffffffffffffbb",
]
