from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from runtime.detect import detect
from runtime.pages import draw_page
from runtime.separate import _by_cores
from runtime.strokes import PENS
from runtime.values import Box, Crop, Image

PAPER, INK = 220, 40


def written(rows: list[str], *, seed: int = 3, height: float = 90) -> tuple[Image, list[Box]]:
    """A page's luma uint8 (480, 640) and the boxes of its digits."""
    drawn = draw_page(rows, (640, 480), np.random.default_rng(seed), pen=PENS["marker"], digit_height=height)
    return np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_BGR2GRAY)), [digit.box for digit in drawn.digits]


def ruled(luma: Image, level: int, pitch: int = 40, drop: int = 0) -> Image:
    """With lines of this brightness under the ink, each falling by ``drop`` pixels from left to right."""
    lines = np.full(luma.shape, 255, np.uint8)
    for y in range(10, luma.shape[0], pitch):
        cv2.line(lines, (0, y), (luma.shape[1] - 1, y + drop), level, 2, cv2.LINE_AA)
    return np.minimum(luma, lines)


def rings(gap: int, count: int = 2, radius: int = 40, thickness: int = 9) -> tuple[Image, list[Box]]:
    """Round zeros in a row, so far apart; less than 0 where they overlap."""
    luma = np.full((480, 640), PAPER, np.uint8)
    boxes = []
    for i in range(count):
        x = 100 + i * (2 * radius + thickness + gap)
        cv2.ellipse(luma, (x, 240), (radius, int(1.4 * radius)), 0, 0, 360, INK, thickness, cv2.LINE_AA)
        wide, high = radius + thickness // 2, int(1.4 * radius) + thickness // 2
        boxes.append(Box(x - wide, 240 - high, 2 * wide + 1, 2 * high + 1))
    return luma, boxes


def best(crops: tuple[Crop, ...], box: Box) -> Crop:
    return max(crops, key=lambda crop: crop.box.iou(box))


@pytest.mark.parametrize(("level", "drop"), [(190, 0), (160, 12), (120, -20)])
def test_digits_on_a_weaker_ruling_are_found_without_it(level: int, drop: int) -> None:
    luma, boxes = written(["407 1985", "62 30"])
    crops = detect(ruled(luma, level, drop=drop)).crops
    plain = detect(luma).crops
    in_place = []
    for box in boxes:
        found = best(crops, box)
        assert found.box.iou(box) >= 0.6
        # Where a digit's middle is about half a pixel in, chance places it a pixel further.
        pixels = np.pad(found.pixels, 1)
        shifted = [pixels[y : y + 28, x : x + 28] for y in range(3) for x in range(3)]
        expected = best(plain, box).pixels
        assert max(np.corrcoef(each.ravel(), expected.ravel())[0, 1] for each in shifted) > 0.9
        in_place.append(np.corrcoef(found.pixels.ravel(), expected.ravel())[0, 1])
    assert np.median(in_place) > 0.95


@pytest.mark.parametrize("gap", [-6, -3, 0])
@pytest.mark.parametrize("count", [2, 4])
def test_each_of_touching_digits_is_a_candidate_and_shares_no_ink_with_the_next(gap: int, count: int) -> None:
    luma, boxes = rings(gap, count)
    found = [best(detect(luma).crops, box) for box in boxes]
    assert min(crop.box.iou(box) for crop, box in zip(found, boxes, strict=True)) >= 0.7
    assert len({crop.group for crop in found}) == 1
    for left, right in pairwise(found):
        assert not left.parts & right.parts


def test_ink_that_may_be_two_digits_is_offered_whole_as_well() -> None:
    luma, boxes = rings(-3)
    (whole,) = (crop for crop in detect(luma).crops if crop.parts == crop.whole)
    both, rim = boxes[0].union(boxes[1]), 4
    assert whole.box.intersection_area(both) == both.area
    assert whole.box.width <= both.width + 2 * rim
    assert whole.box.height <= both.height + 2 * rim
    assert sum(crop.parts < whole.parts for crop in detect(luma).crops if crop.group == whole.group) >= 2


def test_ink_that_is_settled_is_not_taken_apart() -> None:
    luma = np.full((480, 640), PAPER, np.uint8)
    pair, _ = rings(-3)
    luma[:240], luma[240:] = pair[120:360], pair[120:360]
    candidates = detect(luma).candidates
    first, second = wholes = candidates.wholes()
    assert candidates.all(wholes) == wholes
    everything = candidates.all()
    left = candidates.all([first])
    assert left[0] is first
    assert np.array_equal(left[1].pixels, second.pixels)
    assert {crop.group for crop in left[2:]} == {second.group}
    assert len(left) - 2 == sum(crop.group == second.group for crop in everything[2:]) > 1
    for crop in everything[2:]:
        assert crop.parts < everything[crop.group].parts == crop.whole


def test_narrow_ink_is_one_candidate() -> None:
    luma = np.full((480, 640), PAPER, np.uint8)
    cv2.ellipse(luma, (200, 240), (30, 60), 0, 0, 360, INK, 9, cv2.LINE_AA)
    (crop,) = detect(luma).crops
    assert len(crop.parts) == 1


def test_digits_of_two_rows_that_touch_are_each_a_candidate() -> None:
    luma = np.full((480, 640), PAPER, np.uint8)
    boxes = []
    for x in range(60, 600, 80):  # seven on a line, two of which touch those of the next
        for y in (100, 197) if x in (140, 380) else (100,):
            cv2.ellipse(luma, (x, y), (28, 44), 0, 0, 360, INK, 9, cv2.LINE_AA)
            boxes.append(Box(x - 32, y - 48, 65, 97))
    crops = detect(luma).crops
    for box in boxes:
        assert best(crops, box).box.iou(box) >= 0.8
    upper, lower = (best(crops, box) for box in boxes[1:3])
    assert upper.group == lower.group
    assert not upper.parts & lower.parts


def test_known_digits_tell_how_tall_others_are_where_most_ink_is_much_taller() -> None:
    luma = np.full((480, 640), PAPER, np.uint8)
    boxes = []
    for x in range(160, 521, 40):  # the last of ten touches one of the next row
        for y in (200, 237) if x == 520 else (200,):
            cv2.ellipse(luma, (x, y), (11, 17), 0, 0, 360, INK, 4, cv2.LINE_AA)
            boxes.append(Box(x - 13, y - 19, 27, 39))
    for x in (40, 90, 600):  # edges of sheets
        cv2.line(luma, (x, 30), (x - 30, 440), INK, 9, cv2.LINE_AA)
    candidates = detect(luma).candidates
    wholes = candidates.wholes()
    assert max(crop.box.iou(boxes[-1]) for crop in candidates.all()) < 0.7
    single = [best(tuple(wholes), box) for box in boxes[:9]]
    candidates.expect(single[:3])  # too few to tell
    assert max(crop.box.iou(boxes[-1]) for crop in candidates.all()) < 0.7
    candidates.expect(single)
    upper, lower = (best(tuple(candidates.all(single)), box) for box in boxes[-2:])
    assert min(upper.box.iou(boxes[-2]), lower.box.iou(boxes[-1])) >= 0.7
    assert not upper.parts & lower.parts


class TestByCores:
    @staticmethod
    def blurred(gap: int) -> tuple[Image, Image]:
        """Strength and mask of two rings, so far apart before they are blurred."""
        luma, boxes = rings(gap, radius=9, thickness=3)
        both = boxes[0].union(boxes[1])
        strength = PAPER - cv2.GaussianBlur(luma, (0, 0), 2.0)
        strength = strength[both.y - 6 : both.bottom + 6, both.x - 6 : both.right + 6]
        own = np.where(strength > 12, 255, 0).astype(np.uint8)
        return np.where(own > 0, strength, 0).astype(np.uint8), own

    def test_what_touches_only_by_its_blur_is_parted(self) -> None:
        strength, own = self.blurred(gap=6)
        assert cv2.connectedComponents(own)[0] == 2  # the paper and all of the ink
        owners = _by_cores(strength, own, 28)
        assert owners is not None
        middle = own.shape[1] // 2
        left, right = (set(np.unique(half[half >= 0])) for half in (owners[:, : middle - 2], owners[:, middle + 2 :]))
        assert (len(left), len(right)) == (1, 1)
        assert left != right
        assert (owners[own == 0] == -1).all()
        assert (owners[strength > 100] >= 0).all()

    def test_strokes_that_cross_stay_together(self) -> None:
        strength, own = self.blurred(gap=-3)
        owners = _by_cores(strength, own, 28)
        assert owners is not None
        assert owners.max() == 0

    def test_where_no_core_is_as_tall_as_half_a_digit_there_is_none(self) -> None:
        strength, own = self.blurred(gap=6)
        assert _by_cores(strength, own, 80) is None


def test_a_digit_inside_a_large_loop_is_offered_once() -> None:
    luma, boxes = written(["47", "62"])
    cv2.ellipse(luma, (320, 240), (310, 230), 0, 0, 360, 90, 9, cv2.LINE_AA)
    cv2.ellipse(luma, (320, 240), (306, 226), 0, 0, 360, INK, 3, cv2.LINE_AA)
    crops = detect(luma).crops
    for box in boxes:
        assert sum(crop.box.iou(box) > 0.8 and crop.parts == crop.whole for crop in crops) == 1
