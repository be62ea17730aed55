from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.measures import (
    calibration_error,
    class_figures,
    confusion,
    doubt_bins,
    precision_recall,
    risk_coverage,
    share,
)


def test_a_share_has_wilsons_interval() -> None:
    # By Wilson's formula with z = 1.959964 for 9 of 10: center (p + z²/2n)/(1 + z²/n), half-width likewise.
    z, p, n = 1.959963985, 0.9, 10
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = share(9, 10)
    assert (found.value, found.low, found.high) == pytest.approx((p, middle - half, middle + half), abs=1e-9)
    assert str(share(9968, 10000)) == "99.68 % (99.55–99.77 %)"


def test_a_share_of_nothing_is_no_number() -> None:
    assert np.isnan(share(0, 0).value)
    assert str(share(0, 0)) == "–"


def test_the_confusion_table_has_the_truth_by_row() -> None:
    table = confusion(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 1]), 3)
    np.testing.assert_array_equal(table, [[1, 0, 1], [0, 1, 0], [0, 1, 0]])


def test_the_figures_of_a_class_are_those_of_its_row_and_column() -> None:
    truth = np.array([0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.1, 0.9]])
    zero, one = class_figures(truth, probabilities, ("zero", "one"))
    assert (zero.recall.value, zero.precision.value, zero.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (one.recall.value, one.precision.value, one.f1) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    # Ranked by score: right at 1, 2 and 4 of 4, the recall a third each time.
    assert zero.average_precision == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_what_is_none_counts_against_the_digits_that_it_is_taken_for() -> None:
    truth = np.array([1, 1, 10, 10])
    probabilities = np.eye(10)[[1, 1, 1, 2]]
    (one,) = class_figures(truth, probabilities, tuple("0123456789"))
    assert (one.recall.value, one.precision.value, one.f1) == pytest.approx((1, 2 / 3, 4 / 5))
    assert class_figures(truth[2:], probabilities[2:], tuple("0123456789")) == []


def test_pictures_of_equal_score_pass_a_threshold_together() -> None:
    curve = precision_recall(np.array([True, False, True]), np.array([0.5, 0.5, 0.5]))
    assert (list(curve.x), list(curve.y)) == ([1.0], [2 / 3])


def test_a_classifier_that_is_right_as_often_as_it_says_has_no_calibration_error() -> None:
    confidence = np.full(1000, 0.75)
    assert calibration_error(confidence, np.arange(1000) % 4 != 0) == pytest.approx(0)
    # All wrong at 0.75: off by all of it.
    assert calibration_error(confidence, np.zeros(1000, bool)) == pytest.approx(0.75)


def test_bins_of_doubt_hold_every_answer_once() -> None:
    confidence = np.array([0.2, 0.65, 0.95, 0.999, 0.99999, 1.0])
    right = np.array([False, True, True, True, True, True])
    bins = doubt_bins(confidence, right)
    assert sum(each.wrong.of for each in bins) == 6
    assert sum(each.wrong.count for each in bins) == 1
    assert bins[0].expected == pytest.approx(5e-6)
    assert bins[-1].expected == pytest.approx((0.8 + 0.35) / 2)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_risk_at_full_coverage_is_the_share_of_wrong_answers(pairs: list[tuple[int, bool]]) -> None:
    confidence = np.array([c / 5 for c, _ in pairs])
    right = np.array([r for _, r in pairs])
    curve = risk_coverage(confidence, right)
    assert curve.x[-1] == 1
    assert curve.y[-1] == pytest.approx(1 - right.mean())
    for coverage, risk in zip(curve.x, curve.y, strict=True):
        kept = confidence >= np.sort(confidence)[::-1][round(coverage * len(right)) - 1]
        assert risk == pytest.approx(1 - right[kept].mean())
