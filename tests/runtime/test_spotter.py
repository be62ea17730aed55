from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import BackendError
from runtime.spotter import (
    ACROSS,
    BOTTOM,
    CELL,
    DIGIT,
    DOWN,
    LEFT,
    MARGIN,
    MIDDLE,
    NETWORK,
    OWNED,
    RIGHT,
    TOP,
    Reader,
    digit_boxes,
    spot,
    to_strip,
)
from runtime.values import Image


def rings(gap: int, count: int, radius: int = 20, thickness: int = 6) -> tuple[Image, npt.NDArray[np.intp]]:
    """Strength of round zeros in a row, and for each pixel of ink whose it is; where two overlap, the right one's."""
    width = 2 * radius + thickness
    strength = np.zeros((int(2.8 * radius) + thickness + 1, count * width + (count - 1) * gap), np.uint8)
    owners = np.full(strength.shape, -1)
    for i in range(count):
        own = np.zeros_like(strength)
        middle = (width // 2 + i * (width + gap), strength.shape[0] // 2)
        cv2.ellipse(own, middle, (radius, int(1.4 * radius)), 0, 0, 360, 200, thickness, cv2.LINE_AA)
        np.maximum(strength, own, out=strength)
        owners[own > 60] = i
    return strength, owners


def answers_with(boxes: list[tuple[int, int, int, int]], sure: list[float]) -> npt.NDArray[np.float32]:
    """What the network would say of a strip of 64 by 160 with these boxes; each digit has a middle of one cell."""
    answers = np.zeros((8, 64 // CELL, 160 // CELL), np.float32)
    answers[[MIDDLE, OWNED]] = -8
    for (left, top, right, bottom), probability in zip(boxes, sure, strict=True):
        column, row = (left + right) // 2 // CELL, (top + bottom) // 2 // CELL
        x, y = column * CELL + CELL / 2, row * CELL + CELL / 2
        answers[MIDDLE, row, column] = np.log(probability / (1 - probability))
        for side, distance in ((LEFT, x - left), (TOP, y - top), (RIGHT, right - x), (BOTTOM, bottom - y)):
            answers[side, row, column] = distance / DIGIT
    return answers


@pytest.mark.parametrize(("height", "width"), [(20, 31), (48, 48), (130, 400)])
def test_a_strip_has_digits_of_one_height_and_full_ink(height: int, width: int) -> None:
    strength = np.zeros((height, width), np.uint8)
    strength[2:-2, 2:-2] = 90
    strip = to_strip(strength, height)
    assert strip.size[1] == DIGIT
    assert all(side % 16 == 0 for side in strip.pixels.shape)
    assert strip.pixels.max() == 255
    inside = np.s_[MARGIN : MARGIN + strip.size[1], MARGIN : MARGIN + strip.size[0]]
    assert strip.pixels[inside].any()
    strip.pixels[inside] = 0
    assert not strip.pixels.any()
    assert strip.scale == pytest.approx((DIGIT / height, DIGIT / height), rel=0.02)


def test_a_taller_row_leaves_its_digits_their_height() -> None:
    assert to_strip(np.full((100, 60), 50, np.uint8), 50.0).size == (58, 96)


def test_boxes_are_where_the_network_says_the_surest_first() -> None:
    boxes = [(10, 8, 40, 56), (60, 8, 90, 56)]
    found, sure = digit_boxes(answers_with(boxes, [0.6, 0.9]))
    assert found == pytest.approx(np.array(boxes[::-1]), abs=1e-3)
    assert sure == pytest.approx([0.9, 0.6], abs=1e-3)


def test_of_boxes_of_one_digit_the_surest_is_kept() -> None:
    boxes = [(10, 8, 40, 56), (16, 8, 46, 56)]
    found, _ = digit_boxes(answers_with(boxes, [0.6, 0.9]))
    assert found == pytest.approx(np.array(boxes[1:]), abs=1e-3)


def test_what_is_hardly_a_digit_has_no_box() -> None:
    found, sure = digit_boxes(answers_with([(10, 8, 40, 56)], [0.1]))
    assert found.shape == (0, 4)
    assert sure.shape == (0,)


@pytest.mark.parametrize("gap", [-6, -3, 0])
@pytest.mark.parametrize("count", [2, 3])
def test_ink_of_touching_digits_goes_to_each(gap: int, count: int) -> None:
    strength, truth = rings(gap, count)
    found, *_ = spot(strength, (truth >= 0).astype(np.uint8), strength.shape[0])
    assert found.max() + 1 == count
    order = np.argsort([np.nonzero(found == i)[1].mean() for i in range(count)])
    share = [(found[truth == i] == order[i]).mean() for i in range(count)]
    assert min(share) > 0.8
    assert (found[truth < 0] == -1).all()


def test_two_zeros_above_each_other_are_not_an_8() -> None:
    ring, truth = rings(0, 1)
    strength, inked = np.vstack([ring, ring]), np.vstack([truth, truth]) >= 0
    found, *_ = spot(strength, inked.astype(np.uint8), len(ring))
    assert found.max() + 1 == 2
    upper, lower = (half[half >= 0] for half in np.split(found, 2))
    assert abs(np.median(upper) - np.median(lower)) == 1
    assert min((half == np.median(half)).mean() for half in (upper, lower)) > 0.9


def test_a_line_is_no_digit() -> None:
    strength = np.zeros((30, 300), np.uint8)
    cv2.line(strength, (2, 15), (297, 12), 200, 3, cv2.LINE_AA)
    assert not spot(strength, strength, 30)


def test_threads_that_ask_at_once_are_answered_alike() -> None:
    some = [rings(gap, count)[0] for count in (2, 3, 4) for gap in (-4, 0)] * 6
    alone = [spot(strength, strength, strength.shape[0]) for strength in some]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda strength: spot(strength, strength, strength.shape[0]), some))
    assert all(
        np.array_equal(a, b)
        for one, other in zip(alone, together, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_the_network_is_small_and_takes_strips_of_any_size() -> None:
    assert NETWORK.stat().st_size < 250_000
    reader = Reader()
    for shape in ((64, 64), (64, 320), (240, 96), (64, 64)):
        assert reader(np.zeros(shape, np.uint8)).shape == (DOWN + 1, shape[0] // CELL, shape[1] // CELL)
    assert ACROSS < DOWN


def test_a_network_that_is_missing_or_broken_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"gone.onnx is missing or broken \(No such file or directory\); install"):
        Reader(tmp_path / "gone.onnx")
    broken = tmp_path / "half.onnx"
    broken.write_bytes(NETWORK.read_bytes()[:1000])
    with pytest.raises(BackendError, match=r"half.onnx is missing or broken \(not a network"):
        Reader(broken)
