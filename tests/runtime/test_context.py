from __future__ import annotations

import numpy as np
import pytest

from runtime.context import doubtful, in_company, without_nested
from runtime.numbers import group_numbers
from runtime.values import Box, Crop, Polarity, Prediction, Reading


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


DIGITS = list(range(10))
ALONE = frozenset({0})
ASKED = Box(200, 100, 25, 40)
ROW = [Box(200 + 40 * n, 100, 25, 40) for n in (-2, -1, 1, 2)]


def crop(box: Box, whole: frozenset[int] = ALONE) -> Crop:
    return Crop(box, np.zeros((28, 28), np.uint8), "dark", np.eye(2, 3), 0, ALONE, whole, 1.0)


def answer(*digits: float) -> list[float]:
    """Probabilities of these digits, from 0 on; the rest is that of none."""
    return [*digits, *[0.0] * (10 - len(digits)), 1 - sum(digits)]


def company(*others: tuple[Box, float], whole: frozenset[int] = ALONE) -> float:
    """Probability of a digit that ink has among others, 0.4 by itself; theirs by themselves are given."""
    crops = [crop(ASKED), *(crop(box, whole) for box, _ in others)]
    answers = np.array([answer(0.4), *(answer(digit) for _, digit in others)], np.float32)
    found = in_company(crops, answers, DIGITS)
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(1)
    return float(found[0, 0])


def test_among_digits_ink_is_rather_a_digit_and_among_letters_rather_none() -> None:
    assert company() == pytest.approx(0.4)
    assert company(*((box, 0.99) for box in ROW)) > company((ROW[0], 0.99)) > 0.5
    assert company(*((box, 0.01) for box in ROW)) < company((ROW[0], 0.01)) < 0.3
    assert company((ROW[0], 0.99), (ROW[1], 0.01)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Box(460, 100, 25, 40), id="far off in the row"),
        pytest.param(Box(200, 240, 25, 40), id="far below"),
        pytest.param(Box(240, 100, 60, 90), id="much taller"),
        pytest.param(Box(240, 100, 10, 20), id="much smaller"),
        pytest.param(Box(205, 102, 18, 36), id="of the same ink"),
    ],
)
@pytest.mark.parametrize("digit", [0.99, 0.01])
def test_ink_elsewhere_of_another_size_or_the_same_ink_is_no_company(other: Box, digit: float) -> None:
    assert company((other, digit)) == pytest.approx(0.4)


def test_a_part_that_is_no_digit_says_nothing_of_others_and_one_that_is_does() -> None:
    parts = frozenset({0, 1})
    assert company((ROW[0], 0.01), whole=parts) == pytest.approx(0.4)
    assert company((ROW[0], 0.99), whole=parts) > 0.5


def test_ink_that_may_be_one_of_two_digits_is_neither_company_nor_a_stranger() -> None:
    answers = np.array([answer(0.4), answer(0.45, 0.45)], np.float32)
    assert in_company([crop(ASKED), crop(ROW[0])], answers, DIGITS)[0] == pytest.approx(answers[0])


def test_which_digit_it_is_is_not_for_the_others_to_say() -> None:
    answers = np.array([answer(0.3, 0.1), *[answer(0.0, 0.99)] * len(ROW)], np.float32)
    first = in_company([crop(ASKED), *map(crop, ROW)], answers, DIGITS)[0]
    assert first[0] == pytest.approx(3 * first[1])
    assert first[10] < 0.6


def test_a_network_without_none_is_taken_at_its_word() -> None:
    answers = np.full((2, 10), 0.1, np.float32)
    assert in_company([crop(ASKED), crop(ROW[0])], answers, DIGITS) is answers
