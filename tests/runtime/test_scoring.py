from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.pages import DrawnDigit
from runtime.scoring import Score, match, score_readings
from runtime.values import Box, Prediction, Reading


def drawn(label: str, *box: int) -> DrawnDigit:
    return DrawnDigit(label, Box(*box), "")


def read(label: str, *box: int) -> Reading:
    return Reading(Box(*box), label, 0.9, Prediction(np.ones(1, np.float32)))


@pytest.mark.parametrize(
    ("truth", "readings", "score"),
    [
        ([], [], Score()),
        ([drawn("7", 10, 10, 20, 40)], [read("7", 12, 10, 20, 38)], Score(right=1)),
        ([drawn("7", 10, 10, 20, 40)], [read("1", 12, 10, 20, 38)], Score(wrong=1)),
        ([drawn("7", 10, 10, 20, 40)], [], Score(missed=1)),
        ([], [read("7", 12, 10, 20, 38)], Score(invented=1)),
        ([drawn("7", 10, 10, 20, 40)], [read("7", 100, 10, 20, 40)], Score(missed=1, invented=1)),
        # Its middle inside is enough unless it is much smaller; a large one may have its middle outside.
        ([drawn("7", 10, 10, 20, 40)], [read("7", 15, 23, 10, 14)], Score(right=1)),
        ([drawn("7", 10, 10, 20, 40)], [read("7", 18, 28, 4, 4)], Score(missed=1, invented=1)),
        ([drawn("7", 10, 10, 20, 40)], [read("7", 10, 10, 46, 40)], Score(right=1)),
        ([drawn("7", 10, 10, 20, 40)], [read("7", 10, 10, 52, 40)], Score(missed=1, invented=1)),
        # One to one: a digit read twice is right once; the one that overlaps most counts.
        ([drawn("7", 10, 10, 20, 40)], [read("1", 10, 10, 8, 40), read("7", 10, 10, 20, 40)], Score(1, 0, 0, 1)),
        # One reading over two digits finds one of them.
        ([drawn("1", 10, 10, 20, 40), drawn("7", 30, 10, 20, 40)], [read("1", 10, 10, 38, 40)], Score(1, 0, 1, 0)),
        # Neighbors whose boxes overlap belong to their own digits, in whichever order they come.
        (
            [drawn("1", 10, 10, 20, 40), drawn("7", 24, 10, 20, 40)],
            [read("7", 24, 10, 20, 40), read("1", 10, 10, 20, 40)],
            Score(right=2),
        ),
    ],
)
def test_readings_are_counted_against_what_is_written(
    truth: list[DrawnDigit], readings: list[Reading], score: Score
) -> None:
    assert score_readings(truth, readings) == score


boxes = st.tuples(
    st.sampled_from("123"), st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40)
)


@given(st.lists(boxes, max_size=8), st.lists(boxes, max_size=8))
def test_every_digit_and_every_reading_is_counted_once(
    truth: list[tuple[str, int, int, int, int]], readings: list[tuple[str, int, int, int, int]]
) -> None:
    score = score_readings([drawn(*digit) for digit in truth], [read(*reading) for reading in readings])
    assert score.shown == len(truth)
    assert score.right + score.wrong + score.invented == len(readings)


def test_scores_add_up() -> None:
    assert Score(1, 2, 3, 4) + Score(10, 20, 30, 40) == Score(11, 22, 33, 44)


def test_the_middle_may_lie_a_little_outside() -> None:
    box = Box(100, 100, 20, 40)
    # Grown by 3 to each side: from 97 to 123; the reading of 10×20 has its middle 5 further.
    assert match([box], [Box(92, 110, 10, 20)]) == [(0, 0)]
    assert match([box], [Box(91, 110, 10, 20)]) == []


def test_a_reading_of_quite_another_size_does_not_match() -> None:
    box = Box(100, 100, 20, 40)
    assert match([box], [Box(108, 118, 4, 5)]) == []
    assert match([box], [Box(60, 50, 100, 140)]) == []
    # An overlap of half is enough, wherever its middle is.
    assert match([box], [Box(100, 126, 20, 10)]) == [(0, 0)]


def test_those_that_overlap_most_are_paired_first() -> None:
    boxes = [Box(0, 0, 20, 20), Box(10, 0, 20, 20)]
    assert sorted(match(boxes, [Box(9, 0, 20, 20)])) == [(1, 0)]
    assert sorted(match(boxes, [Box(9, 0, 20, 20), Box(2, 0, 20, 20)])) == [(0, 1), (1, 0)]


BOXES = st.lists(
    st.builds(Box, *(st.integers(0, 60) for _ in range(2)), *(st.integers(1, 30) for _ in range(2))), max_size=6
)


@given(truth=BOXES, read=BOXES)
def test_pairs_are_one_to_one_and_none_is_left_that_could_be_made(truth: list[Box], read: list[Box]) -> None:
    pairs = match(truth, read)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    free_truth = [i for i in range(len(truth)) if i not in dict(pairs)]
    free_read = [j for j in range(len(read)) if j not in {j for _, j in pairs}]
    for i, j in itertools.product(free_truth, free_read):
        assert match([truth[i]], [read[j]]) == []
