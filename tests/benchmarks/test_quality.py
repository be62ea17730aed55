from __future__ import annotations

import math

import pytest

from benchmarks.matching import PictureScore
from benchmarks.quality import conditions, measure_quality


def score(
    digits: int, found: int, right: int, readings: int, source: str = "a", tags: tuple[str, ...] = ()
) -> PictureScore:
    return PictureScore("f.png", source, tags, False, digits, found, right, readings, 2, 1, ())


def negative(readings: int) -> PictureScore:
    return PictureScore("n.png", "a", ("negative",), True, 0, 0, 0, readings, 0, 0, ())


def test_figures_are_shares_of_sums() -> None:
    quality = measure_quality([score(10, 9, 8, 12), score(30, 20, 10, 20, "b"), negative(3), negative(0)])
    assert (quality.pictures, quality.negatives, quality.digits) == (4, 2, 40)
    assert quality.found.value == pytest.approx(29 / 40)
    assert quality.right.value == pytest.approx(18 / 40)
    assert quality.precision.value == pytest.approx(18 / 32)
    assert quality.f1.value == pytest.approx(2 * 18 / (40 + 32))
    assert quality.macro_f1.value == pytest.approx((16 / 22 + 20 / 50) / 2, abs=1e-5)
    assert quality.numbers.value == pytest.approx(1 / 2)
    assert quality.false_readings.value == pytest.approx(1.5)


def test_pictures_that_are_all_alike_have_no_interval() -> None:
    figure = measure_quality([score(10, 9, 8, 10)] * 20).f1
    assert figure.low == figure.value == figure.high == pytest.approx(0.8)


def test_an_interval_is_that_of_the_resampled_mean() -> None:
    # Half of 100 pictures all right, half all wrong: the share right has a deviation of 0.5 / √100.
    quality = measure_quality([score(10, 10, 10, 10)] * 50 + [score(10, 10, 0, 10)] * 50)
    assert quality.right.value == 0.5
    assert quality.right.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.02)
    assert quality.right.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.02)


def test_what_there_is_none_of_is_not_a_number() -> None:
    only = measure_quality([negative(1)])
    assert math.isnan(only.f1.value)
    assert math.isnan(only.macro_f1.value)
    assert only.false_readings.value == 1.0
    assert math.isnan(measure_quality([score(1, 1, 1, 1)]).false_readings.value)


def test_the_same_scores_give_the_same_intervals() -> None:
    scores = [score(10, 9, i % 10, 10, str(i % 3)) for i in range(30)] + [negative(1), negative(4)]
    assert measure_quality(scores) == measure_quality(scores)


def test_conditions_come_most_frequent_first() -> None:
    scores = [score(1, 1, 1, 1, tags=("x", "y")), score(1, 1, 1, 1, tags=("y", "z")), score(1, 1, 1, 1, tags=("a",))]
    assert conditions(scores) == ["y", "a", "x", "z"]
    assert conditions(scores, least=2) == ["y"]
