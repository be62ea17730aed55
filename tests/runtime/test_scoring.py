from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.pages import DrawnDigit
from runtime.scoring import Score, score_readings
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
        # Its middle inside is enough, however small it is; a large one may have its middle outside.
        ([drawn("7", 10, 10, 20, 40)], [read("7", 18, 28, 4, 4)], Score(right=1)),
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
