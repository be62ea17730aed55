from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.detect import Detection, DetectSettings, detect
from runtime.pages import PAPERS, Page, draw_page
from runtime.strokes import PENS
from runtime.values import Box, Crop, Image

ROWS = ["407 1985", "62 30"]
DEFAULT = DetectSettings()


def page(size: tuple[int, int] = (640, 480), *, seed: int = 0, paper: str = "white", pen: str = "gel") -> Page:
    """Thirteen digits that fill most of a page."""
    return draw_page(
        ROWS,
        size,
        np.random.default_rng(seed),
        pen=PENS[pen],
        paper=PAPERS[paper],
        digit_height=0.22 * size[1],
    )


def luma_of(drawn: Page) -> Image:
    return np.asarray(cv2.cvtColor(drawn.pixels, cv2.COLOR_BGR2GRAY))


def shaded(luma: Image, darkest: float) -> Image:
    """Under light that falls off from the left to ``darkest`` on the right."""
    return (luma * np.linspace(1, darkest, luma.shape[1])).astype(np.uint8)


def noisy(luma: Image, sigma: float, seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).normal(0, sigma, luma.shape)
    return np.clip(luma + noise, 0, 255).round().astype(np.uint8)


def best_iou(crops: Iterable[Crop], box: Box) -> float:
    return max((crop.box.iou(box) for crop in crops), default=0.0)


def ink_at(crop: Crop, point: tuple[float, float]) -> int:
    """What the crop shows of a point of the frame; nothing outside its field."""
    x, y = np.floor(crop.transform @ np.array([*point, 1])).astype(int)
    return int(crop.pixels[y, x]) if 0 <= x < 28 and 0 <= y < 28 else 0


def assert_consistent(detection: Detection, luma: Image, settings: DetectSettings = DEFAULT) -> None:
    """What holds of every detection."""
    height, width = luma.shape
    for crop in detection.crops:
        assert (crop.pixels.dtype, crop.pixels.shape) == (np.uint8, (28, 28))
        assert (crop.transform.dtype, crop.transform.shape) == (np.float32, (2, 3))
        box = crop.box
        assert min(box.width, box.height) >= 1
        assert min(box.x, box.y) >= 0
        assert box.right <= width
        assert box.bottom <= height
        assert crop.parts
        # The middle of the ink's box is in the field.
        center = crop.transform @ np.array([*box.center, 1])
        assert (center >= 0).all()
        assert (center <= 28).all()
    alternatives = Counter((crop.group, crop.parts) for crop in detection.crops)
    assert all(count == 1 for count in alternatives.values())
    for group in {crop.group for crop in detection.crops}:
        members = [crop for crop in detection.crops if crop.group == group]
        assert len({crop.polarity for crop in members}) == 1
        # Parts are cut from connected ink of their group.
        assert all(crop.parts <= crop.whole and 0 < crop.held <= len(crop.parts) for crop in members)
        cut = {crop.whole for crop in members if crop.parts < crop.whole}
        assert sum(map(len, cut)) == len(frozenset().union(*cut))
    assert len(detection.crops) <= settings.max_candidates


@pytest.mark.parametrize("paper", ["white", "cream", "sticky", "chalkboard", "card"])
@pytest.mark.parametrize("seed", range(4))
def test_each_digit_of_a_drawn_page_has_a_candidate_of_its_own(paper: str, seed: int) -> None:
    drawn = page(seed=seed, paper=paper)
    luma = luma_of(drawn)
    detection = detect(luma)
    assert_consistent(detection, luma)
    groups = []
    for digit in drawn.digits:
        best = max(detection.crops, key=lambda crop: crop.box.iou(digit.box))
        assert best.box.iou(digit.box) >= 0.5
        assert best.polarity == drawn.polarity
        groups.append((best.group, best.parts))
    assert len(set(groups)) == len(drawn.digits)


@pytest.mark.parametrize("pen", sorted(PENS))
def test_each_pen_is_seen_on_light_paper(pen: str) -> None:
    drawn = page(pen=pen)
    assert min(best_iou(detect(luma_of(drawn)).crops, digit.box) for digit in drawn.digits) >= 0.5


@pytest.mark.parametrize("size", [(160, 120), (320, 240), (641, 479), (1280, 720), (720, 1280)])
def test_digits_are_found_at_any_resolution(size: tuple[int, int]) -> None:
    drawn = page(size)
    luma = luma_of(drawn)
    detection = detect(luma)
    assert_consistent(detection, luma)
    assert min(best_iou(detection.crops, digit.box) for digit in drawn.digits) >= 0.5


def test_digits_are_found_in_twelve_megapixels_and_cut_from_them() -> None:
    drawn = page((1000, 750))
    luma = cv2.resize(luma_of(drawn), None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    assert luma.size == 12e6
    detection = detect(luma)
    assert_consistent(detection, luma)
    for digit in drawn.digits:
        box = Box(*(4 * side for side in digit.box.as_list()))
        best = max(detection.crops, key=lambda crop: crop.box.iou(box))
        assert best.box.iou(box) >= 0.5
        # Found in a picture a sixth as large, the box is within one of its pixels.
        slack = 4000 / DetectSettings().side + 1
        assert np.abs(np.subtract(best.box.as_list()[:2], box.as_list()[:2])).max() <= 2 * slack


@pytest.mark.parametrize("paper", ["white", "card"])
@pytest.mark.parametrize(("darkest", "sigma"), [(1.0, 6.0), (0.35, 0.0), (0.5, 4.0)])
def test_shade_and_sensor_noise_hide_no_digit_and_make_none(paper: str, darkest: float, sigma: float) -> None:
    drawn = page(paper=paper, pen="marker")
    luma = noisy(shaded(luma_of(drawn), darkest), sigma)
    detection = detect(luma)
    assert_consistent(detection, luma)
    assert min(best_iou(detection.crops, digit.box) for digit in drawn.digits) >= 0.5
    # Whatever else is a candidate is of the digits' own ink.
    for crop in detection.crops:
        assert any(crop.box.intersection_area(digit.box) >= 0.5 * crop.box.area for digit in drawn.digits)


@pytest.mark.parametrize("level", [20, 60, 128, 200, 245])
@pytest.mark.parametrize("sigma", [0.0, 2.0, 6.0, 12.0])
@pytest.mark.parametrize("darkest", [1.0, 0.4])
def test_a_blank_page_has_no_candidates(level: int, sigma: float, darkest: float) -> None:
    luma = noisy(shaded(np.full((480, 640), level, np.uint8), darkest), sigma)
    assert detect(luma).crops == ()


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0, 8.0])
def test_the_noise_of_a_sensor_is_measured(sigma: float) -> None:
    # Rounding to whole levels adds 1/12 to the variance; the median of 76,800 differences is good to under 2 %.
    found = detect(noisy(np.full((480, 640), 128, np.uint8), sigma)).noise
    assert found == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.05)


@pytest.mark.parametrize("level", [0, 40, 255])
def test_brightness_is_that_of_the_paper(level: int) -> None:
    assert detect(np.full((48, 64), level, np.uint8)).brightness == level


def test_ink_of_both_polarities_is_found_in_one_frame() -> None:
    dark, light = page(seed=1, paper="white", pen="marker"), page(seed=2, paper="card", pen="marker")
    luma = np.hstack([luma_of(dark), luma_of(light)])
    crops = detect(luma).crops
    for digit in dark.digits:
        best = max(crops, key=lambda crop: crop.box.iou(digit.box))
        assert (best.box.iou(digit.box) >= 0.5, best.polarity) == (True, "dark")
    for digit in light.digits:
        box = Box(digit.box.x + 640, *digit.box.as_list()[1:])
        best = max(crops, key=lambda crop: crop.box.iou(box))
        assert (best.box.iou(box) >= 0.5, best.polarity) == (True, "light")


def broken_five() -> tuple[Image, Box, Box]:
    """A page with a 5 whose bar is 5 pixels away from its body; the boxes of bar and body."""
    luma = np.full((240, 320), 230, np.uint8)
    body = [(140, 70), (136, 108), (164, 106), (178, 124), (166, 146), (136, 144)]
    cv2.polylines(luma, [np.array(body)], False, 30, 7)
    mask = luma < 128
    cv2.line(luma, (152, 66), (184, 64), 30, 7)
    bar = (luma < 128) & ~mask
    return luma, Box(*cv2.boundingRect(bar.astype(np.uint8))), Box(*cv2.boundingRect(mask.astype(np.uint8)))


def test_a_5_with_its_bar_apart_is_offered_whole_and_in_its_parts() -> None:
    luma, bar, body = broken_five()
    assert bar.x - (body.x + 7) >= 3  # apart from the stem's top
    detection = detect(luma)
    assert_consistent(detection, luma)
    whole = max(detection.crops, key=lambda crop: crop.box.iou(bar.union(body)))
    part = max(detection.crops, key=lambda crop: crop.box.iou(body))
    assert whole.box.iou(bar.union(body)) >= 0.8
    assert part.box.iou(body) >= 0.8
    assert part.group == whole.group
    assert part.parts < whole.parts
    assert ink_at(whole, bar.center) > 200
    assert ink_at(part, bar.center) == 0


@pytest.mark.parametrize(("gap", "offered"), [(12, True), (20, False)])
def test_pieces_are_offered_as_one_over_gaps_of_up_to_a_quarter_of_the_larger(gap: int, offered: bool) -> None:
    luma = np.full((240, 320), 230, np.uint8)
    luma[100:160, 100:112] = 20  # 60 tall: a gap of 15 at most
    luma[100:112, 112 + gap : 128 + gap] = 20
    assert any(len(crop.parts) == 2 for crop in detect(luma).crops) is offered


def test_a_crop_shows_its_own_ink_and_none_of_its_neighbors() -> None:
    luma = np.full((240, 320), 230, np.uint8)
    cv2.line(luma, (100, 60), (60, 160), 30, 8)  # two slanted strokes whose boxes overlap
    cv2.line(luma, (122, 60), (82, 160), 30, 8)
    crops = detect(luma).crops
    left = min(crops, key=lambda crop: crop.box.right)
    alone = np.full((240, 320), 230, np.uint8)
    cv2.line(alone, (100, 60), (60, 160), 30, 8)
    (expected,) = detect(alone).crops
    assert left.box == expected.box
    np.testing.assert_array_equal(left.pixels, expected.pixels)


@given(st.integers(0, 150), st.integers(0, 100))
@settings(max_examples=30)
def test_a_candidate_moves_with_its_ink(x: int, y: int) -> None:
    five = 255 - broken_five()[0][50:160, 120:200]
    luma = np.full((240, 320), 230, np.uint8)
    luma[y + 10 : y + 120, x + 10 : x + 90] -= np.minimum(five - 25, 200)
    detection = detect(luma)
    whole = max(detection.crops, key=lambda crop: crop.box.area)
    ys, xs = np.nonzero(luma < 128)
    true = Box(int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)
    assert whole.box.iou(true) >= 0.85


def test_the_transform_takes_frame_pixels_to_where_they_are_in_the_crop() -> None:
    luma = np.full((960, 1280), 230, np.uint8)
    corners = np.array([(700, 300), (700, 500), (760, 500)])  # an L: its three ends are known
    cv2.polylines(luma, [corners], False, 20, 14, cv2.LINE_AA)
    (crop,) = detect(luma).crops
    # A stem of 200 in ink of 214 by 74 pixels: 18.7 of 20. The box goes round its soft edge, two pixels of the search
    # image at most.
    stem = crop.transform[:, :2] @ (corners[1] - corners[0])
    assert 200 * 20 / (214 + 2 * 2) <= stem[1] <= 200 * 20 / 214 + 0.1
    assert stem[0] == 0
    for x, y in corners:
        assert ink_at(crop, (x + 0.5, y + 0.5)) > 127
    for x, y in [(680, 310), (680, 500), (720, 400), (780, 500)]:
        assert ink_at(crop, (x, y)) == 0


def test_the_loops_of_digits_of_a_few_pixels_are_seen() -> None:
    alike = []
    for label, seed, height in product("689", range(4), (10, 12, 14, 18)):
        drawn = draw_page([label], (640, 480), np.random.default_rng(seed), pen=PENS["marker"], digit_height=90)
        luma, box = luma_of(drawn), drawn.digits[0].box
        large = max(detect(luma).crops, key=lambda crop: crop.box.iou(box))
        cut, share = luma[box.y - 20 : box.bottom + 20, box.x - 20 : box.right + 20], height / box.height
        small = cv2.resize(cut, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        page = np.full((240, 320), int(np.median(luma)), np.uint8)
        page[100 : 100 + small.shape[0], 100 : 100 + small.shape[1]] = small
        crop = max(detect(page).crops, key=lambda crop: crop.box.area)
        alike.append(np.corrcoef(crop.pixels.ravel(), large.pixels.ravel())[0, 1])
    # Told from paper before it is enlarged, ink is alike by 0.90; 0.93 as it is.
    assert np.mean(alike) > 0.915


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 2000), (2000, 1), (2, 7), (5, 640), (8, 8), (9, 9)])
def test_a_frame_of_any_size_is_searched_without_an_error(shape: tuple[int, int]) -> None:
    for seed in range(5):
        luma = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        assert_consistent(detect(luma), luma)


textures = npst.arrays(
    np.uint8,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.sampled_from([0, 40, 128, 200, 230, 230, 230, 255]),
)


@given(textures, st.integers(1, 9), st.sampled_from([DetectSettings(), DetectSettings(min_height=3, max_candidates=5)]))
@settings(max_examples=150)
def test_any_picture_gives_candidates_that_keep_their_promises(
    texture: Image, cell: int, detect_settings: DetectSettings
) -> None:
    luma = np.kron(texture, np.ones((cell, cell), np.uint8))
    assert_consistent(detect(luma, detect_settings), luma, detect_settings)


def bars(count: int) -> Image:
    """Bars of a digit's shape far apart, the first ones taller."""
    luma = np.full((480, 640), 230, np.uint8)
    for i in range(count):
        x, y = 20 + 40 * (i % 15), 20 + 60 * (i // 15)
        luma[y : y + 40 - i // 15 * 4, x : x + 10] = 20
    return luma


def test_candidates_are_capped_the_smallest_dropped_and_counted() -> None:
    luma = bars(60)
    everything = detect(luma)
    assert (len(everything.crops), everything.candidates.dropped) == (60, 0)
    capped = detect(luma, DetectSettings(max_candidates=15))
    assert (len(capped.crops), capped.candidates.dropped) == (15, 45)
    assert {crop.box.y for crop in capped.crops} == {20}  # the top row's bars are the tallest


def test_specks_are_counted_as_too_small_and_never_cut_out() -> None:
    luma = np.full((480, 640), 230, np.uint8)
    for x in range(50, 600, 50):
        luma[100:104, x : x + 4] = 20
        luma[200:202, x : x + 2] = 20  # grain, not ink
    detection = detect(luma)
    assert (detection.crops, detection.small) == ((), 11)


@pytest.mark.parametrize("vertical", [True, False])
def test_a_line_across_the_whole_page_is_no_candidate(vertical: bool) -> None:
    luma: npt.NDArray[np.uint8] = np.full((480, 640), 230, np.uint8)
    luma[200:206] = 60
    luma = luma.T.copy() if vertical else luma
    assert detect(luma).crops == ()


def test_a_frame_is_left_as_it_was() -> None:
    luma = luma_of(page())
    before = luma.copy()
    luma.flags.writeable = False
    detect(luma)
    np.testing.assert_array_equal(luma, before)
