from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.numbers import MAX_DRIFT, MAX_GAP, MAX_RATIO, group_numbers
from runtime.values import Box, Prediction, Reading

HEIGHT, WIDTH = 40, 24


def reading(
    x: int, y: int, label: str = "0", *, width: int = WIDTH, height: int = HEIGHT, confidence: float = 1.0
) -> Reading:
    return Reading(Box(x, y, width, height), label, confidence, Prediction(np.zeros(11, np.float32)))


def row(text: str, x: int = 0, y: int = 0, *, gap: int = 8, slope: float = 0.0) -> list[Reading]:
    """Digits of usual size, ``gap`` pixels apart, on a line that falls by ``slope`` pixels a pixel."""
    step = WIDTH + gap
    return [reading(x + i * step, round(y + slope * i * step), label) for i, label in enumerate(text)]


def texts(readings: list[Reading], unsure: list[Reading] | None = None) -> list[str]:
    return [number.text for number in group_numbers(readings, [one.box for one in unsure or []])]


def test_nothing_read_is_no_number() -> None:
    assert group_numbers([]) == ()


@given(st.permutations(row("4071985")))
def test_digits_are_read_from_left_to_right_whatever_order_they_come_in(readings: list[Reading]) -> None:
    assert texts(readings) == ["4071985"]


def test_a_number_holds_its_digits_their_box_and_the_confidence_of_the_least_sure() -> None:
    digits = [reading(10, 5, "4", confidence=0.9), reading(40, 3, "0", confidence=0.7), reading(70, 8, "7")]
    (number,) = group_numbers(digits[::-1])
    assert number.readings == tuple(digits)
    assert number.text == "407"
    assert number.confidence == 0.7
    assert number.box == Box(10, 3, 84, 45)


@pytest.mark.parametrize(("gap", "expected"), [(0, ["17"]), (-10, ["17"]), (30, ["17"]), (31, ["1", "7"])])
def test_a_gap_wider_than_three_quarters_of_the_height_parts_numbers(gap: int, expected: list[str]) -> None:
    assert MAX_GAP * HEIGHT == 30
    assert texts(row("17", gap=gap)) == expected


@pytest.mark.parametrize(("drop", "expected"), [(20, ["17"]), (-20, ["17"]), (21, ["1", "7"]), (-21, ["7", "1"])])
def test_neighbors_half_a_height_off_the_line_are_the_last_to_follow(drop: int, expected: list[str]) -> None:
    assert MAX_DRIFT * HEIGHT == 20
    found = texts([reading(0, 100, "1"), reading(30, 100 + drop, "7")])
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("height", "follows"), [(76, True), (77, False), (22, True), (21, False)])
def test_digits_of_quite_different_heights_are_not_of_one_number(height: int, follows: bool) -> None:
    assert MAX_RATIO == 1.9
    pair = [reading(0, 100, "1"), reading(30, 100 + (HEIGHT - height) // 2, "7", height=height)]
    assert (len(group_numbers(pair)) == 1) is follows


@pytest.mark.parametrize("slope", [-0.35, -0.2, 0.2, 0.35])
def test_a_number_may_climb_or_fall_with_its_line(slope: float) -> None:
    # Nine digits drift by 32 · 8 · 0.35 = 90 pixels, over twice their height; neighbors by 11.
    assert texts(row("407198562", y=200, slope=slope)) == ["407198562"]


def test_lines_are_read_from_the_top_and_each_from_the_left() -> None:
    first = row("12", x=300, y=3) + row("34", x=0, y=0)
    second = row("56", x=150, y=60) + row("78", x=400, y=66)
    assert texts(second + first) == ["34", "12", "56", "78"]


def test_of_two_lines_that_a_number_is_level_with_it_goes_on_with_the_one_that_ends_nearer() -> None:
    # On a page tilted upward, the second line comes up to where the short first one began.
    first, second = row("4", x=0, y=0), row("12345678", x=5, y=62, slope=-0.14)
    assert texts(first + second + row("9", x=325, y=17)) == ["4", "12345678", "9"]


def test_a_line_close_under_another_is_a_line_of_its_own() -> None:
    # Rows 0.9 heights apart, as ascending hands write: no digit links to the row above.
    assert texts(row("407", y=0) + row("198", y=36)) == ["407", "198"]


def test_a_digit_follows_the_nearest_of_two_that_may_come_before_it() -> None:
    # 18 pixels above and 18 below the line of the 7; the lower one ends nearer to it.
    assert texts([reading(0, 82, "1"), reading(6, 118, "2"), reading(40, 100, "7")]) == ["1", "27"]


def test_an_unsure_digit_parts_the_number_that_it_stands_in() -> None:
    digits = row("40719")
    assert texts(digits[:2] + digits[3:], [digits[2]]) == ["40", "19"]
    assert texts(digits[1:], digits[:1]) == ["0719"]
    assert texts(digits[:-1], digits[-1:]) == ["4071"]
    assert texts([], digits) == []


def test_an_unsure_digit_elsewhere_parts_nothing() -> None:
    assert texts(row("407"), row("1", y=200)) == ["407"]


words = st.lists(
    st.lists(st.text("0123456789", min_size=1, max_size=9), min_size=1, max_size=3), min_size=1, max_size=4
)


@given(words, st.floats(-8, 8), st.integers(0, 1000))
def test_a_tilted_page_is_read_line_by_line_number_by_number(page: list[list[str]], tilt: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    cosine, sine = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    readings = []
    for line, numbers in enumerate(page):
        x = random.uniform(0, HEIGHT)
        for number in numbers:
            for label in number:
                # Digits at most a twentieth of their height off the line, 0.1 to 0.5 heights apart.
                y = line * 1.55 * HEIGHT + random.uniform(-0.05, 0.05) * HEIGHT
                readings.append(reading(round(cosine * x - sine * y) + 500, round(sine * x + cosine * y) + 500, label))
                x += WIDTH + random.uniform(0.1, 0.5) * HEIGHT
            x += random.uniform(0.9, 1.5) * HEIGHT
    shuffled = [readings[i] for i in random.permutation(len(readings))]
    assert texts(shuffled) == [number for numbers in page for number in numbers]


scattered = st.lists(
    st.builds(
        reading,
        st.integers(0, 300),
        st.integers(0, 200),
        st.sampled_from("0123456789"),
        width=st.integers(1, 60),
        height=st.integers(1, 80),
        confidence=st.floats(0, 1),
    ),
    max_size=14,
)


@given(scattered, scattered)
def test_each_reading_is_in_exactly_one_number_and_no_unsure_one_is(
    readings: list[Reading], unsure: list[Reading]
) -> None:
    numbers = group_numbers(readings, [one.box for one in unsure])
    held = [id(part) for number in numbers for part in number.readings]
    assert sorted(held) == sorted(map(id, readings))
    for number in numbers:
        assert number.text == "".join(part.label for part in number.readings)
        assert number.confidence == min(part.confidence for part in number.readings)
        centers = [part.box.center[0] for part in number.readings]
        assert centers == sorted(centers)
        for part in number.readings:
            assert number.box.union(part.box) == number.box
