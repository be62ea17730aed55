from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.pages import PAPERS, Page, Paper, draw_page
from runtime.strokes import PENS, VARIANTS, Hand, Pen, digit_strokes, draw_ink
from runtime.values import Box, Image

ROWS = ("407 1985", "26 731")
SIZE = (480, 260)


def drawn(rows: tuple[str, ...] = ROWS, seed: int = 7, *, paper: Paper = PAPERS["white"], **options: Any) -> Page:
    return draw_page(rows, SIZE, np.random.default_rng(seed), paper=paper, **options)


def ink_of(seed: int, paper: Paper, **options: Any) -> tuple[Page, Image]:
    """A page, and how far its pixels are from the same page written with ink of the paper's color."""
    page = drawn(seed=seed, paper=paper, **options)
    blank = drawn(seed=seed, paper=paper, ink=paper.color, **options)
    return page, np.abs(page.pixels.astype(int) - blank.pixels).max(axis=2)


def apart(first: Box, second: Box) -> bool:
    return first.intersection_area(second) == 0


class TestHand:
    def test_every_digit_has_three_to_six_ways_of_writing(self) -> None:
        for label in "0123456789":
            names = [name for name in VARIANTS if name.startswith(f"{label}-")]
            assert 3 <= len(names) <= 6, names
        assert len(set(VARIANTS)) == len(VARIANTS)

    def test_random_hand_writes_each_digit_in_a_way_of_its_own_label(self) -> None:
        hand = Hand.random(np.random.default_rng(0))
        assert [name[0] for name in hand.variants] == list("0123456789")

    def test_held_out_styles_never_appear(self) -> None:
        rng = np.random.default_rng(0)
        held_out = {"7-crossed", "7-hook-crossed", "1-european"}
        hands = [Hand.random(rng, set(VARIANTS) - held_out) for _ in range(50)]
        assert not held_out & {name for hand in hands for name in hand.variants}

    def test_order_of_the_given_styles_does_not_matter(self) -> None:
        one = Hand.random(np.random.default_rng(4), VARIANTS)
        assert one == Hand.random(np.random.default_rng(4), frozenset(VARIANTS))

    def test_a_label_without_any_style_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match=r"labels without any \['3'\]"):
            Hand.random(np.random.default_rng(0), [name for name in VARIANTS if name[0] != "3"])

    def test_an_unknown_style_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="7-upside-down"):
            Hand.random(np.random.default_rng(0), [*VARIANTS, "7-upside-down"])


class TestDigitStrokes:
    @pytest.mark.parametrize("style", VARIANTS)
    def test_paths_fill_the_unit_height_smoothly(self, style: str) -> None:
        strokes = digit_strokes(style[0], np.random.default_rng(3), style=style)
        points = np.concatenate(strokes)
        assert all(path.dtype == np.float32 and path.shape[1] == 2 for path in strokes)
        np.testing.assert_allclose([points[:, 1].min(), points[:, 1].max(), points[:, 0].min()], [0, 1, 0], atol=1e-6)
        assert points[:, 0].max() < 1.2
        steps = np.concatenate([np.linalg.norm(np.diff(path, axis=0), axis=1) for path in strokes])
        assert steps.max() < 0.06

    def test_the_same_seed_gives_the_same_shape_and_the_next_call_another(self) -> None:
        rng, again = np.random.default_rng(5), np.random.default_rng(5)
        hand = Hand.random(np.random.default_rng(1))
        first, second = digit_strokes("5", rng, hand=hand), digit_strokes("5", rng, hand=hand)
        repeated = digit_strokes("5", again, hand=hand)
        assert [path.tobytes() for path in first] == [path.tobytes() for path in repeated]
        assert [path.tobytes() for path in first] != [path.tobytes() for path in second]

    @pytest.mark.parametrize(("style", "count"), [("7-plain", 1), ("7-crossed", 2), ("1-flag-serif", 2), ("4-open", 2)])
    def test_the_pen_lifts_as_often_as_the_style_says(self, style: str, count: int) -> None:
        assert len(digit_strokes(style[0], np.random.default_rng(0), style=style)) == count

    def test_slant_leans_the_top_to_the_right(self) -> None:
        upright = Hand.random(np.random.default_rng(1), VARIANTS)
        for slant, sign in ((0.5, 1), (-0.5, -1)):
            (path,) = digit_strokes("1", np.random.default_rng(2), hand=replace(upright, slant=slant), style="1-stick")
            assert np.sign(path[0, 0] - path[-1, 0]) == sign

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**32), style=st.sampled_from([name for name in VARIANTS if name[0] in "14679"]))
    def test_what_tells_similar_digits_apart_survives_any_hand(self, seed: int, style: str) -> None:
        strokes = digit_strokes(style[0], np.random.default_rng(seed), style=style)
        image = draw_ink([path * 60 + 10 for path in strokes], (90, 80), np.random.default_rng(0), pen=FINE, width=2.0)
        _, _, statistics, centers = cv2.connectedComponentsWithStats((image < 0.2).astype(np.uint8), connectivity=4)
        holes = [(center[1] - 10) / 60 for row, center in zip(statistics[2:], centers[2:], strict=True) if row[4] > 24]
        points = np.concatenate(strokes)
        if style[0] == "7":  # its bar is wide from the very top on; a 1 has a flag that falls away
            assert np.ptp(points[points[:, 1] < 0.25, 0]) > 0.5 * np.ptp(points[:, 0])
        elif style[0] == "1":
            assert np.ptp(points[points[:, 1] < 0.12, 0]) < 0.22
        elif style in ("4-open", "4-cup", "4-crossed-open"):  # a closed top would make it a 9
            assert not [y for y in holes if y < 0.4]
        elif style[0] == "6":
            assert all(y > 0.5 for y in holes)
        elif style[0] == "9":
            assert all(y < 0.5 for y in holes)


FINE = Pen(width=0.05, pressure=0.0)


class TestDrawInk:
    def test_a_straight_line_is_as_wide_as_asked_and_where_asked(self) -> None:
        path = np.stack([np.full(40, 20.25), np.linspace(5, 45, 40)], axis=1).astype(np.float32)
        ink = draw_ink([path], (40, 50), np.random.default_rng(0), pen=FINE, width=4.0)
        middle = ink[25]
        # Drawn four times larger, a line is up to one of those pixels wider or narrower.
        assert middle.sum() == pytest.approx(4.0, abs=0.26)
        assert (middle @ np.arange(40)) / middle.sum() == pytest.approx(20.25, abs=0.13)

    @pytest.mark.parametrize("name", PENS)
    def test_every_pen_covers_paper_and_never_more_than_all(self, name: str) -> None:
        rng, pen = np.random.default_rng(1), PENS[name]
        strokes = [path * 24 + 6 for path in digit_strokes("8", rng)]
        ink = draw_ink(strokes, (40, 36), rng, pen=pen, width=pen.width * 24)
        assert ink.shape == (36, 40)
        assert ink.dtype == np.float32
        assert ink.min() >= 0.0
        assert 0.5 < ink.max() <= 1.0
        assert ink[:3].max() == 0.0


class TestDrawPage:
    @pytest.mark.parametrize("pen", PENS)
    @pytest.mark.parametrize("paper", ["white", "ruled", "chalkboard"])
    def test_boxes_hold_all_of_the_ink_and_nothing_else(self, pen: str, paper: str) -> None:
        page, ink = ink_of(11, PAPERS[paper], pen=PENS[pen], digit_height=48, tilt=5)
        strong = ink > 0.35 * ink.max()
        outside = strong.copy()
        for digit in page.digits:
            box = digit.box
            outside[box.y : box.bottom, box.x : box.right] = False
            x, y, width, height = cv2.boundingRect(strong[box.y : box.bottom, box.x : box.right].astype(np.uint8))
            tight = Box(box.x + x, box.y + y, width, height)
            edges = np.array([box.x, box.y, box.right, box.bottom]) - [tight.x, tight.y, tight.right, tight.bottom]
            assert np.abs(edges).max() <= 2
        assert not outside.any()

    def test_digits_come_in_reading_order_and_stand_apart(self) -> None:
        page = drawn(digit_height=48, pen=PENS["marker"])
        assert "".join(digit.label for digit in page.digits) == "".join(ROWS).replace(" ", "")
        boxes = [digit.box for digit in page.digits]
        assert all(apart(one, other) for index, one in enumerate(boxes) for other in boxes[:index])
        first, second = boxes[:7], boxes[7:]
        assert [box.x for box in first] == sorted(box.x for box in first)
        assert max(box.center[1] for box in first) < min(box.center[1] for box in second)

    def test_the_gap_between_numbers_is_clearly_wider_than_within(self) -> None:
        for seed in range(5):
            boxes = [digit.box for digit in drawn(("407 1985",), seed, digit_height=48).digits]
            gaps = [after.x - before.right for before, after in pairwise(boxes)]
            assert gaps[2] > 1.5 * max(gaps[:2] + gaps[3:])

    def test_the_same_seed_gives_the_same_page(self) -> None:
        first, second, other = drawn(seed=3), drawn(seed=3), drawn(seed=4)
        assert first.pixels.tobytes() == second.pixels.tobytes()
        assert first.digits == second.digits
        assert first.pixels.tobytes() != other.pixels.tobytes()

    def test_digits_are_as_high_as_asked_and_shrink_only_to_fit(self) -> None:
        for digit in drawn(digit_height=40, pen=FINE).digits:
            assert 40 * 0.92 <= digit.box.height <= 40 * 1.08 + 4
        crowded = drawn(("12345678901234567890",), digit_height=40)
        assert max(digit.box.height for digit in crowded.digits) < 40
        assert all(digit.box.x >= 0 and digit.box.right <= SIZE[0] for digit in crowded.digits)

    @pytest.mark.parametrize("tilt", [-8.0, 8.0])
    def test_positive_tilt_lowers_the_right_end(self, tilt: float) -> None:
        boxes = [digit.box for digit in drawn(("0000000",), tilt=tilt, digit_height=40).digits]
        fall = (boxes[-1].center[1] - boxes[0].center[1]) / (boxes[-1].center[0] - boxes[0].center[0])
        assert np.degrees(np.arctan(fall)) == pytest.approx(tilt, abs=1.5)

    def test_margins_stay_clear(self) -> None:
        page = drawn(("8888888888",), digit_height=400, margin=0.2)
        assert min(digit.box.x for digit in page.digits) >= 0.2 * SIZE[0] - 1
        assert max(digit.box.right for digit in page.digits) <= 0.8 * SIZE[0] + 1

    @pytest.mark.parametrize("paper", PAPERS)
    def test_polarity_says_which_is_brighter(self, paper: str) -> None:
        page = drawn(paper=PAPERS[paper], pen=PENS["marker"], digit_height=48)
        luma = cv2.cvtColor(page.pixels, cv2.COLOR_BGR2GRAY)
        background = np.median(luma)
        darkest, brightest = np.percentile(luma, (0.5, 99.5))
        assert page.polarity == ("dark" if background - darkest > brightest - background else "light")
        assert page.polarity == ("light" if paper in ("chalkboard", "card") else "dark")

    @pytest.mark.parametrize("pen", PENS)
    def test_digits_of_24_pixels_stay_readable(self, pen: str) -> None:
        page, ink = ink_of(2, PAPERS["white"], pen=PENS[pen], digit_height=24)
        for digit in page.digits:
            box = digit.box
            patch = ink[box.y : box.bottom, box.x : box.right]
            # Of nearly 200 levels between ink and paper, every row of the digit shows a quarter.
            assert (patch.max(axis=1) > 50).mean() > 0.9, digit
            assert np.percentile(patch, 98) > 90, digit

    def test_an_empty_page_is_paper_alone(self) -> None:
        page = drawn(())
        assert page.digits == ()
        assert np.abs(page.pixels.astype(int) - PAPERS["white"].color).max() < 25
