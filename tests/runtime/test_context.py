from __future__ import annotations

import numpy as np
import pytest

from runtime.context import doubtful, without_nested
from runtime.numbers import group_numbers
from runtime.values import Box, Polarity, Prediction, Reading


def reading(label: str, box: Box, polarity: Polarity = "dark", confidence: float = 0.99) -> Reading:
    return Reading(box, label, confidence, Prediction(np.zeros(11, np.float32)), polarity=polarity)


def labels(readings: list[Reading]) -> str:
    return "".join(each.label for each in readings)


LOOPS = [Box(110, 110, 20, 30), Box(112, 150, 18, 40)]
EIGHT = reading("8", Box(100, 100, 50, 100))


@pytest.mark.parametrize(("polarity", "left"), [("light", "8"), ("dark", "01")])
def test_paper_within_a_digit_is_left_out_and_ink_within_a_ring_is_what_was_meant(
    polarity: Polarity, left: str
) -> None:
    inner = [reading(label, box, polarity) for label, box in zip("01", LOOPS, strict=True)]
    kept, unsure = without_nested([EIGHT, *inner], [reading("7", LOOPS[0], polarity)])
    assert labels(kept) == left
    assert labels(unsure) == ("" if left == "8" else "7")


NUMBER = [reading(label, Box(100 + 40 * n, 100, 25, 40)) for n, label in enumerate("407")]
LINE = [*(Box(85 + 40 * n, 100, 15, 40) for n in range(4)), Box(224, 100, 30, 40)]  # around the digits


@pytest.mark.parametrize(("polarity", "doubted"), [("light", ""), ("dark", "0")])
def test_ink_of_the_other_polarity_makes_no_word_of_digits(polarity: Polarity, doubted: str) -> None:
    ink = [*((each.box, each.polarity) for each in NUMBER), *((box, polarity) for box in LINE)]
    assert labels(doubtful(group_numbers(NUMBER), [], ink, 0.7)) == doubted


def test_a_lone_gap_between_dark_things_may_be_of_their_word() -> None:
    gap = reading("1", Box(140, 100, 10, 40), "light", 0.9)
    ink: list[tuple[Box, Polarity]] = [(Box(80, 100, 58, 40), "dark"), (Box(152, 100, 60, 40), "dark")]
    assert labels(doubtful(group_numbers([gap]), [], ink, 0.7)) == "1"
