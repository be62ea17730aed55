from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.annotate import DIGIT, NUMBER, UNSURE, annotate, banner, panel
from runtime.numbers import group_numbers
from runtime.painter import Painter, text_width
from runtime.values import Box, Image, Prediction, Reading, Result

PAPER, BOARD = 235, 30


def scene(value: int = PAPER, width: int = 640, height: int = 480) -> Image:
    return np.full((height, width, 3), value, np.uint8)


def reading(x: int, y: int, width: int = 30, height: int = 48, label: str = "7", confidence: float = 0.93) -> Reading:
    return Reading(Box(x, y, width, height), label, confidence, Prediction(np.ones(11, np.float32) / 11))


def result(readings: Sequence[Reading] = (), unsure: Sequence[Reading] = (), hint: str = "") -> Result:
    numbers = group_numbers(list(readings))
    ordered = tuple(digit for number in numbers for digit in number.readings)
    return Result(ordered, tuple(unsure), numbers, {"total": 1.25}, hint)


def count(picture: Image, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=2).sum())


@pytest.mark.parametrize("value", [PAPER, BOARD])
def test_a_digit_gets_a_box_around_its_ink_and_a_tag_above_it(value: int) -> None:
    before = scene(value)
    after = annotate(before, result([reading(300, 200, 40, 60)]))
    assert (before == value).all()  # the scene itself is left alone
    assert (after[200:260, 300:340] == value).all()  # and no line or letter covers the ink
    changed = np.argwhere((after != value).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert 294 <= left <= 297
    assert 262 <= bottom <= 265
    assert 170 <= top < 190
    assert 340 <= right < 400
    for y, x in [(230, 297), (230, 342), (197, 320), (262, 320)]:  # middles of the four sides, one pixel around
        assert (after[y - 1 : y + 2, x - 1 : x + 2] == DIGIT).all(axis=2).any()


def test_lines_show_on_a_chalkboard_by_their_light_rim() -> None:
    after = annotate(scene(BOARD), result([reading(300, 200)]))
    assert count(after, (255, 255, 255)) > 2 * (30 + 48)


def test_label_and_confidence_can_be_told_apart() -> None:
    def tag(label: str, confidence: float) -> Image:
        return annotate(scene(), result([reading(300, 200, 40, 60, label, confidence)]))[160:198]

    different = [tag("7", 0.93), tag("1", 0.93), tag("7", 0.53)]
    for i, one in enumerate(different):
        for other in different[i + 1 :]:
            assert not np.array_equal(one, other)
    assert np.array_equal(tag("7", 0.9951), tag("7", 1.0))  # no reading is certain: both are 99 %


def test_neighbors_get_a_bracket_and_a_tag_and_a_digit_by_itself_gets_none() -> None:
    apart = annotate(scene(), result([reading(100, 200), reading(500, 200)]))
    assert count(apart, NUMBER) == 0
    together = annotate(scene(), result([reading(100, 200, label="4"), reading(136, 202, label="0")]))
    assert count(together[252:300], NUMBER) > 500
    assert count(together[:200], NUMBER) == 0


def test_tags_of_digits_close_together_do_not_cover_each_other_or_the_ink() -> None:
    digits = [reading(200 + 22 * i, 230, 14, 20, str(i)) for i in range(8)]
    after = annotate(scene(), result(digits))
    for digit in digits:
        box = digit.box
        assert (after[box.y : box.bottom, box.x : box.right] == PAPER).all()
        assert count(after[box.y - 14 : box.y - 2, box.x - 2 : box.x + 12], DIGIT) > 60  # each has its own tag


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (1600, 1200)])
def test_letters_keep_their_share_of_the_picture(size: tuple[int, int]) -> None:
    scale = size[1] / 480
    x, y, width, height = (round(value * scale) for value in (300, 200, 40, 60))
    after = annotate(scene(PAPER, *size), result([reading(x, y, width, height)]))
    plates = np.argwhere((after == DIGIT).all(axis=2))
    share = (round(200 * after.shape[0] / 480) - plates[:, 0].min()) / after.shape[0]
    assert 0.03 < share < 0.06


@pytest.mark.parametrize("value", [PAPER, BOARD])
def test_what_is_unsure_is_dashed_gray_and_never_blue(value: int) -> None:
    after = annotate(scene(value), result(unsure=[reading(300, 200)]))
    assert count(after, DIGIT) == 0
    side = (after[200:248, 297] == UNSURE).all(axis=1)
    assert 0.3 < side.mean() < 0.8  # dashes and gaps
    assert count(after[170:198], UNSURE) > 100  # the tag


def test_where_nothing_is_read_the_picture_says_why() -> None:
    after = annotate(scene(), result(hint="too dark: add light"))
    assert (after[:300] == PAPER).all()
    plate = after[400:460, 260:380, 0]
    assert (plate < 80).mean() > 0.4  # dark, with light letters
    assert (plate > 150).sum() > 100
    assert np.array_equal(annotate(scene(), result([reading(300, 100)], hint="x"))[380:], scene()[380:])


def test_the_frame_rate_stands_in_a_corner_where_no_digit_is() -> None:
    assert np.array_equal(annotate(scene(), result()), scene())
    left = annotate(scene(), result(), fps=29.7)
    assert (left[:40, :200] != PAPER).any()
    assert (left[:, 320:] == PAPER).all()
    right = annotate(scene(), result([reading(10, 25)]), fps=29.7)
    assert (right[:40, 500:] != PAPER).any()


def test_gray_scenes_are_drawn_on_in_color() -> None:
    after = annotate(scene()[:, :, 0], result([reading(300, 200)]))
    assert after.shape == (480, 640, 3)
    assert count(after, DIGIT) > 100


@pytest.mark.parametrize(
    ("size", "expected"),
    [((28, 28), (476, 476)), ((320, 240), (640, 480)), ((640, 360), (640, 360)), ((1, 20_000), (1, 20_000))],
)
def test_a_scene_too_small_to_write_in_is_enlarged(size: tuple[int, int], expected: tuple[int, int]) -> None:
    after = annotate(scene(PAPER, *size), result([reading(0, 0, *size)]))
    assert after.shape[1::-1] == expected


@given(
    st.lists(
        st.tuples(st.integers(-5, 320), st.integers(-5, 240), st.integers(1, 200), st.integers(1, 200)), max_size=12
    ),
    st.integers(0, 12),
)
def test_boxes_anywhere_in_any_size_are_drawn(boxes: list[tuple[int, int, int, int]], sure: int) -> None:
    readings = [reading(*box) for box in boxes]
    after = annotate(scene(PAPER, 320, 240), result(readings[:sure], readings[sure:]), fps=1)
    assert after.shape == (480, 640, 3)
    assert (after != PAPER).any()


@pytest.mark.parametrize(
    "draw",
    [lambda picture: banner(picture, "Paused", "space: go on"), lambda picture: panel(picture, "Keys", ["q\tx"])],
)
def test_banners_and_panels_leave_the_scene_alone(draw: Callable[[Image], Image]) -> None:
    before = scene()
    assert (draw(before) != before).any()
    assert (before == PAPER).all()


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("cap", [9, 13, 20, 40])
def test_letters_are_as_high_and_as_wide_as_promised_in_every_opencv(cap: int, bold: bool) -> None:
    picture = np.zeros((100, 600, 3), np.uint8)
    Painter(picture).text("0123456789", 20, 70, cap, (255, 255, 255), bold=bold)
    ink = picture[:, :, 0] > 127
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert np.ptp(rows) + 1 == pytest.approx(cap, abs=1 + cap / 8)
    assert rows[-1] == pytest.approx(69, abs=1 + cap / 16)
    assert np.ptp(columns) + 1 == pytest.approx(text_width("0123456789", cap, bold), abs=2 + cap / 3)
