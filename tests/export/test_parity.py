from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from export.limits import Limits, load_limits
from export.parity import accuracy_figure, compare, drop_bound, mcnemar_p, spread, wilson_interval
from export.samples import InputSet
from train.data import NONE

Logits = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Outcomes = npt.NDArray[np.int64]

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
        expected = {str(label): 0.0 for label in range(10)} | {"0": -0.02, "1": -0.01, "2": 0.01}
        assert parity.recall_change == pytest.approx(expected, abs=1e-12)
        assert parity.drop_bound == pytest.approx(drop_bound(*outcomes(3, 1, COUNT)))
        assert parity.p == mcnemar_p(*outcomes(3, 1, COUNT))
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
        limits = replace(NO_LIMITS, accuracy_drop=drop_bound(*outcomes(2, 0, COUNT)) * (1 + 1e-9))
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
        assert parity.recall_change == pytest.approx({"2": 0, "8": -0.02}, abs=1e-12)

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


def outcomes(lost: int, gained: int, count: int) -> tuple[Outcomes, Outcomes]:
    """What each of so many images of their own loses, and their origins."""
    return np.repeat((1, -1, 0), (lost, gained, count - lost - gained)), np.arange(count)


class TestDropBound:
    def test_it_is_the_hand_computed_value(self) -> None:
        # 20 of 10,000 net: 0.002; variance (0.004 - 0.000004) / 10,000 = 3.996e-7, its root 6.32139e-4, times 1.644854.
        found = drop_bound(*outcomes(30, 10, 10_000))
        assert found == pytest.approx(0.002 + 1.644854 * 6.32139e-4, rel=1e-6)

    def test_variants_that_are_lost_together_count_as_one_picture(self) -> None:
        # Three pictures of ten variants lost whole and one gained, of a thousand: as 3 and 1 of a thousand images.
        loss, _ = outcomes(30, 10, 10_000)
        together = np.repeat(np.arange(1000), 10)
        assert drop_bound(loss, together) == pytest.approx(drop_bound(*outcomes(3, 1, 1000)))
        assert mcnemar_p(loss, together) == pytest.approx(mcnemar_p(*outcomes(3, 1, 1000)))
        # Each of another picture: as if they had nothing in common.
        apart = np.tile(np.arange(1000), 10)
        assert drop_bound(loss, apart) == pytest.approx(drop_bound(*outcomes(30, 10, 10_000)), rel=0.01)

    def test_it_covers_the_true_drop_nineteen_times_in_twenty(self) -> None:
        lost, gained, count, trials = 0.02, 0.01, 5_000, 2000
        rng = np.random.default_rng(1)
        covered = []
        for _ in range(trials):
            # One picture in 33 is of those that change, and then about three of its ten variants do, all one way.
            loss = rng.choice((1, -1, 0), count, p=(lost, gained, 1 - lost - gained))
            variants = np.repeat(loss, 10) * (rng.random(10 * count) < 0.3)
            covered.append(drop_bound(variants, np.repeat(np.arange(count), 10)) >= 0.3 * (lost - gained))
        # Four deviations of a share of 0.95 in so many trials.
        assert np.mean(covered) == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / trials) ** 0.5)

    def test_more_images_make_it_tighter_and_gains_lower_it(self) -> None:
        bounds = [drop_bound(*outcomes(*each)) for each in ((30, 10, 10_000), (300, 100, 100_000))]
        assert bounds[0] > bounds[1] > 0.002
        bounds = [drop_bound(*outcomes(lost, 40 - lost, 10_000)) for lost in (10, 20, 30)]
        assert bounds == sorted(bounds)


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    # Twice the tail of a fair coin: 2 · 2⁻¹⁰; 2 · (1 + 10) · 2⁻¹⁰; all outcomes; and nothing to tell.
    [(10, 0, 2 / 1024), (1, 9, 22 / 1024), (8, 9, 1), (5, 5, 1), (0, 0, 1)],
)
def test_mcnemar_p_is_that_of_a_fair_coin(lost: int, gained: int, p: float) -> None:
    assert mcnemar_p(*outcomes(lost, gained, 100)) == pytest.approx(p)


def test_mcnemar_p_counts_every_outcome_of_pictures_of_different_weight() -> None:
    # Pictures that lose 3, 1 and gain 1: of the sums ±3 ±1 ±1, two of eight (5 and -5) are further out than 3 is, and
    # four (3, 3, -3, -3) are as far.
    assert mcnemar_p(np.array([1, 1, 1, 1, -1]), np.array([7, 7, 7, 8, 9])) == pytest.approx(6 / 8)
    assert mcnemar_p(np.array([1, 1, 1, 1, 1]), np.array([7, 7, 7, 8, 9])) == pytest.approx(2 / 8)


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


def test_the_interval_is_that_of_as_many_pictures_as_there_are() -> None:
    alone = accuracy_figure(answers(said(as_10=[0, 1, 2, 3, 4])[:100]), TRUTH[:100])
    wrong = [place for place in range(1000) if place // 10 < 5]  # ten variants of each of the five
    labels = said(as_10=wrong)
    ten = accuracy_figure(answers(labels), TRUTH, np.arange(1000) // 10)
    assert (ten["accuracy"], ten["n"]) == (0.95, 1000)
    assert ten["interval95"] == pytest.approx(alone["interval95"], abs=2e-6)


def test_a_share_of_all_has_the_interval_of_its_pictures() -> None:
    # All right, of n: from n / (n + z²), with z = 1.959964.
    found = wilson_interval(np.ones(1000, bool), np.arange(1000) // 10)
    assert found == pytest.approx((100 / (100 + 1.959964**2), 1.0), rel=1e-6)


class TestNone:
    def test_the_class_is_named(self) -> None:
        truth = np.full(100, NONE, np.uint8)
        parity = compare("some", replace(NO_LIMITS, recall_drop=0.01), answers(truth), answers(said()[:100]), truth)
        assert parity.recall_change == {"none": -1}
        assert parity.breaches == ("some: recall of none drops by 100.000%, limit 1.000%",)

    def test_a_camera_raises_it_before_it_judges_and_leaves_the_logits(self) -> None:
        logits = np.zeros((2, 11), np.float32)
        logits[:, 3], logits[:, NONE] = 5, (0.5, 1.5)
        images = np.zeros((2, 28, 28), np.uint8)
        for camera, expected in ((True, [3, NONE]), (False, [3, 3])):
            some = InputSet("some", images, np.full(2, NONE, np.uint8), np.arange(2), camera=camera)
            assert some.judged(logits, 4.0).argmax(axis=1).tolist() == expected
        assert logits[0, NONE] == 0.5
