from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from export.limits import Limits, load_limits
from export.parity import accuracy_figure, compare, drop_bound, mcnemar_p, spread

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

COUNT = 1000
TRUTH: Labels = (np.arange(COUNT) % 10).astype(np.uint8)  # a hundred of each class
NO_LIMITS = Limits(disagreement=1, accuracy_drop=1, recall_drop=1)
LIMITS = load_limits().precision


def answers(labels: Labels) -> Logits:
    """Logits that say these labels: 4 for the label, 0 for the ten others."""
    logits = np.zeros((len(labels), 11), np.float32)
    logits[np.arange(len(logits)), labels] = 4
    return logits


def said(**changes: list[int]) -> Labels:
    """The truth, but for the images at these places, whose answer is the class in the name (``as_10=[0, 3]``)."""
    labels = TRUTH.copy()
    for name, places in changes.items():
        labels[places] = int(name.removeprefix("as_"))
    return labels


class TestCompare:
    def test_it_counts_what_is_lost_gained_and_changed(self) -> None:
        # Image 0 is a 0, 10 too, 1 and 11 are 1, 2 is a 2, 3 a 3.
        reference = said(as_7=[2], as_5=[3])  # wrong: 2, 3
        artifact = said(as_10=[0, 10, 1], as_6=[3])  # wrong: 0, 10, 1, 3; right again: 2; wrong otherwise: 3
        parity = compare("some", NO_LIMITS, answers(reference), answers(artifact), TRUTH)
        assert (parity.artifact, parity.count) == ("some", COUNT)
        assert (parity.lost, parity.gained) == (3, 1)
        assert parity.disagreement == 5 / COUNT
        assert parity.reference_accuracy == 0.998
        assert parity.accuracy == 0.996
        assert parity.recall_change == pytest.approx((-0.02, -0.01, 0.01, 0, 0, 0, 0, 0, 0, 0), abs=1e-12)
        assert parity.drop_bound == drop_bound(3, 1, COUNT)
        assert parity.logit_difference == 1.0  # 4 against 0, of a largest logit of 4
        assert parity.breaches == ()

    def test_equal_answers_pass_every_limit(self) -> None:
        logits = answers(said(as_3=[0, 1, 2]))
        for limits in LIMITS.values():
            parity = compare("same", limits, logits, logits.copy(), TRUTH)
            assert parity.breaches == ()
            assert (parity.disagreement, parity.drop_bound, parity.logit_difference) == (0, 0, 0)

    @pytest.mark.parametrize("flips", [3, 4])
    def test_three_labels_in_a_thousand_may_differ_and_four_not(self, flips: int) -> None:
        limits = replace(NO_LIMITS, disagreement=LIMITS["int8"].disagreement)
        parity = compare("some", limits, answers(TRUTH), answers(said(as_10=list(range(flips)))), TRUTH)
        expected = () if flips == 3 else ("some: 0.400% of labels differ, limit 0.300%",)
        assert parity.breaches == expected

    def test_a_drop_at_its_limit_passes_and_one_more_lost_image_does_not(self) -> None:
        limits = replace(NO_LIMITS, accuracy_drop=drop_bound(2, 0, COUNT))
        just, over = (
            compare("some", limits, answers(TRUTH), answers(said(as_10=list(range(lost)))), TRUTH) for lost in (2, 3)
        )
        assert just.breaches == ()
        assert len(over.breaches) == 1
        assert over.breaches[0].startswith("some: accuracy may drop by ")

    def test_flips_that_cancel_out_still_count_as_different_labels(self) -> None:
        reference, artifact = said(as_10=[0, 1, 2, 3]), said(as_10=[4, 5, 6, 7])
        parity = compare("some", LIMITS["int8"], answers(reference), answers(artifact), TRUTH)
        assert parity.accuracy == parity.reference_accuracy
        assert any("labels differ" in line for line in parity.breaches)

    @pytest.mark.parametrize("lost", [2, 3])
    def test_a_class_may_lose_as_much_as_its_limit_and_no_more(self, lost: int) -> None:
        limits = replace(NO_LIMITS, recall_drop=0.025)  # between two and three of a hundred
        parity = compare("some", limits, answers(TRUTH), answers(said(as_10=[7, 17, 27][:lost])), TRUTH)
        assert parity.breaches == (() if lost == 2 else ("some: recall of 7 drops by 3.000%, limit 2.500%",))

    def test_the_class_is_named_rightly_where_some_classes_do_not_occur(self) -> None:
        truth = np.array([2] * 50 + [8] * 50, np.uint8)
        wrong = truth.copy()
        wrong[60] = 3
        parity = compare("some", replace(NO_LIMITS, recall_drop=0.01), answers(truth), answers(wrong), truth)
        assert parity.breaches == ("some: recall of 8 drops by 2.000%, limit 1.000%",)
        assert parity.recall_change == pytest.approx((0, -0.02), abs=1e-12)

    @pytest.mark.parametrize(("off", "passes"), [(0.9e-4, True), (1.1e-4, False)])
    def test_float_logits_may_be_a_ten_thousandth_of_the_largest_off(self, off: float, passes: bool) -> None:
        logits = answers(TRUTH)
        logits[5, 9] += 4 * off
        parity = compare("some", LIMITS["float32"], answers(TRUTH), logits, TRUTH)
        assert parity.logit_difference == pytest.approx(off, rel=1e-3)
        assert parity.breaches == (() if passes else ("some: logits differ by 1.10e-04 of the largest, limit 1e-04",))

    def test_a_single_label_is_too_many_for_a_float_artifact(self) -> None:
        reference = answers(TRUTH)
        reference[0, 1] = 4 - 1e-5  # a near tie, within the tolerance of logits
        logits = reference.copy()
        logits[0, 1] = 4 + 1e-5
        parity = compare("some", LIMITS["float32"], reference, logits, TRUTH)
        assert parity.logit_difference < 1e-4
        assert [line.split(":")[1].split()[0] for line in parity.breaches] == ["0.100%", "accuracy", "recall"]

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("side", ["reference", "artifact"])
    @pytest.mark.parametrize("precision", LIMITS)
    def test_one_logit_that_is_no_number_is_a_breach(self, value: float, side: str, precision: str) -> None:
        reference, logits = answers(TRUTH), answers(TRUTH)
        {"reference": reference, "artifact": logits}[side][0, 10] = value
        parity = compare("some", LIMITS[precision], reference, logits, TRUTH)
        assert any("not finite" in line for line in parity.breaches)


class TestDropBound:
    def test_it_is_the_hand_computed_value(self) -> None:
        # 20 of 10,000 net: 0.002; variance (0.004 - 0.000004) / 10,000 = 3.996e-7, its root 6.32139e-4, times 1.644854.
        assert drop_bound(30, 10, 10_000) == pytest.approx(0.002 + 1.644854 * 6.32139e-4, rel=1e-6)

    def test_it_covers_the_true_drop_nineteen_times_in_twenty(self) -> None:
        lost, gained, count, trials = 0.002, 0.001, 50_000, 4000
        draws = np.random.default_rng(1).multinomial(count, [lost, gained, 1 - lost - gained], trials)
        covered = np.mean([drop_bound(int(one), int(other), count) >= lost - gained for one, other, _ in draws])
        # Four deviations of a share of 0.95 in so many trials.
        assert covered == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / trials) ** 0.5)

    def test_more_images_make_it_tighter_and_gains_lower_it(self) -> None:
        assert drop_bound(30, 10, 10_000) > drop_bound(300, 100, 100_000) > 0.002
        assert drop_bound(10, 30, 10_000) < drop_bound(20, 20, 10_000) < drop_bound(30, 10, 10_000)


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    # Twice the tail of a fair coin: 2 · 2⁻¹⁰; 2 · (1 + 10) · 2⁻¹⁰; all outcomes; and nothing to tell.
    [(10, 0, 2 / 1024), (1, 9, 22 / 1024), (8, 9, 1), (5, 5, 1), (0, 0, 1)],
)
def test_mcnemar_p_is_that_of_a_fair_coin(lost: int, gained: int, p: float) -> None:
    assert mcnemar_p(lost, gained) == pytest.approx(p)


class TestSpread:
    def test_it_is_of_the_largest_difference_of_each_image(self) -> None:
        first = np.zeros((101, 3), np.float32)
        second = first.copy()
        second[:, 1] = np.arange(101)  # 0 … 100, in an order that does not matter
        second[:, 2] = -0.5
        found = spread(first, second[::-1], unit=2.0)
        assert found is not None
        assert (found.median, found.p99, found.largest) == (25, 49.5, 50)

    def test_images_with_answers_that_are_no_numbers_are_left_out(self) -> None:
        first, second = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
        second[0, 0] = np.nan
        found = spread(first, second)
        assert found is not None
        assert found.largest == 1
        first[1, 2] = np.inf
        assert spread(first, second) is None


def test_an_accuracy_comes_with_its_count_and_wilson_interval() -> None:
    figure = accuracy_figure(answers(said(as_10=[0, 1, 2, 3, 4])[:100]), TRUTH[:100])
    assert (figure["accuracy"], figure["n"]) == (0.95, 100)
    # 95 of 100: (0.95 + z²/200 ± z √(0.95·0.05/100 + z²/40000)) / (1 + z²/100) with z = 1.959964.
    assert figure["interval95"] == pytest.approx([0.888250, 0.978457], abs=2e-6)
