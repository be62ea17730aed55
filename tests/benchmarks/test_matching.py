from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.labels import LabeledDigit, LabeledPicture
from benchmarks.matching import match, score_picture
from runtime.values import Box, Prediction, Reading

PREDICTION = Prediction(np.zeros(11, np.float32))


def reading(label: str, x: int, y: int = 10, width: int = 20, height: int = 30) -> Reading:
    return Reading(Box(x, y, width, height), label, 0.9, PREDICTION)


def picture(digits: str, *, numbers: tuple[tuple[int, ...], ...] = (), ignore: tuple[Box, ...] = ()) -> LabeledPicture:
    """Digits of 20×30 pixels, 40 apart."""
    boxed = tuple(LabeledDigit(label, Box(40 * i, 10, 20, 30)) for i, label in enumerate(digits))
    tags = () if digits else ("negative",)
    return LabeledPicture(Path("a.png"), digits, boxed, numbers, tags, ignore, "pen")


def test_all_right() -> None:
    score = score_picture(picture("407", numbers=((0, 1), (2,))), [reading(d, 40 * i) for i, d in enumerate("407")])
    assert (score.digits, score.found, score.right, score.readings) == (3, 3, 3, 3)
    assert (score.numbers, score.numbers_right, score.mistakes) == (2, 2, ())


def test_a_miss_a_misreading_and_an_invention_are_told_apart() -> None:
    score = score_picture(picture("407", numbers=((0, 1, 2),)), [reading("4", 0), reading("6", 41), reading("8", 300)])
    assert (score.found, score.right, score.readings, score.numbers_right) == (2, 1, 3, 0)
    assert [(m.kind, m.truth, m.read, m.box) for m in score.mistakes] == [
        ("wrong", "0", "6", (40, 10, 20, 30)),
        ("missed", "7", "", (80, 10, 20, 30)),
        ("invented", "", "8", (300, 10, 20, 30)),
    ]


def test_an_invention_within_a_number_spoils_it_and_one_beside_does_not() -> None:
    right = [reading("4", 0), reading("0", 40)]
    whole = picture("40", numbers=((0, 1),))
    assert score_picture(whole, [*right, reading("1", 28, width=4)]).numbers_right == 0
    assert score_picture(whole, [*right, reading("1", 90)]).numbers_right == 1


def test_readings_to_ignore_do_not_count() -> None:
    score = score_picture(picture("4", ignore=(Box(100, 0, 50, 50),)), [reading("4", 0), reading("1", 110)])
    assert (score.readings, score.mistakes) == (1, ())


def test_on_a_negative_every_reading_is_an_invention() -> None:
    score = score_picture(picture(""), [reading("1", 0), reading("2", 50)])
    assert score.negative
    assert (score.digits, score.readings, len(score.mistakes)) == (0, 2, 2)


def test_without_boxes_labels_are_counted() -> None:
    bare = LabeledPicture(Path("a.png"), "447", (), (), (), (), "pen")
    score = score_picture(bare, [reading("4", 0), reading("7", 0), reading("7", 0)])
    assert (score.digits, score.found, score.right, score.readings) == (3, 3, 2, 3)


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
