from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.labels import LabeledDigit, LabeledPicture
from benchmarks.matching import score_picture
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
