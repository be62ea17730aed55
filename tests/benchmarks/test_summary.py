from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.summary import (
    flatten,
    intervals,
    outliers,
    percentile,
    percentiles,
    session_logs,
    spread,
    student,
    supports,
)
from tests.benchmarks.conftest import Machine, blocks


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [
        (1, 50, 1),
        (1, 99, 1),
        (2, 50, 1),
        (3, 50, 2),
        (4, 50, 2),
        (10, 90, 9),
        (11, 90, 10),
        (100, 50, 50),
        (100, 90, 90),
        (100, 99, 99),
        (101, 99, 100),
        (1000, 99, 990),
        (1000, 100, 1000),
    ],
)
def test_a_percentile_of_the_numbers_from_one_on_is_known(count: int, percent: int, expected: int) -> None:
    samples = list(range(1, count + 1))
    random.Random(1).shuffle(samples)
    assert percentile(samples, percent) == expected


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_least_sample_that_enough_samples_do_not_exceed(samples: list[int], percent: int) -> None:
    found = percentile(samples, percent)
    enough = percent * len(samples)
    assert found in samples
    assert 100 * sum(sample <= found for sample in samples) >= enough
    assert 100 * sum(sample < found for sample in samples) < enough


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1], 0), ([1], 101)])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(samples: list[int], percent: int) -> None:
    with pytest.raises(ValueError, match=f"percentile {percent} of {len(samples)} samples"):
        percentile(samples, percent)


@pytest.mark.parametrize(("percent", "needed"), [(50, 20), (90, 100), (99, 1000)])
def test_a_percentile_needs_ten_samples_beyond_it(percent: int, needed: int) -> None:
    assert supports(needed, percent)
    assert not supports(needed - 1, percent)


@pytest.mark.parametrize(
    ("count", "expected"), [(19, set()), (20, {50}), (99, {50}), (100, {50, 90}), (999, {50, 90}), (1000, {50, 90, 99})]
)
def test_only_the_percentiles_that_the_count_supports_are_given(count: int, expected: set[int]) -> None:
    assert set(percentiles(list(range(count)))) == expected


def test_blocks_of_equal_medians_have_no_spread_however_wild_they_are_inside() -> None:
    assert spread([[1, 100, 10_000], [99, 100, 101], [100, 100, 100]]) == 0


def test_the_spread_is_that_of_the_medians_less_the_outer_tenths() -> None:
    # Medians 100, 110, …, 290: the 10th percentile is the second, the 90th the eighteenth, the 50th the tenth.
    blocks = [[value, value, value] for value in range(100, 300, 10)]
    assert spread(blocks) == pytest.approx((270 - 110) / 190)
    blocks[-1] = [10**9] * 3
    assert spread(blocks) == pytest.approx((270 - 110) / 190)


def test_flattening_keeps_the_order() -> None:
    assert flatten([[[3, 1], []], [[2]]]) == [3, 1, 2]


def test_the_interval_of_equal_samples_is_a_point() -> None:
    found = intervals([blocks(7, 7, calls=60)] * 10)
    assert {percent: (i.low, i.value, i.high) for percent, i in found.items()} == dict.fromkeys((50, 90, 99), (7, 7, 7))


def test_a_figure_that_the_count_does_not_support_has_no_interval_either() -> None:
    assert set(intervals([blocks(1, 2, calls=5)] * 2)) == {50}
    assert intervals([blocks(1, calls=5)]) == {}


def test_an_interval_is_of_samples_and_holds_its_figure() -> None:
    machine = Machine(seed=3, process=0.05, block=0.05, slow=0.02)
    sessions = [[machine.samples(machine.luck() * 50_000, 50) for _ in range(4)] for _ in range(10)]
    samples = set(flatten(sessions))
    for found in intervals(sessions).values():
        assert found.low < found.value < found.high
        assert {found.low, found.high} <= samples


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    # Processes that differ by luck: an interval that took calls for independent would hold it a third of the time.
    held = 0
    for seed in range(200):
        machine = Machine(seed=seed, process=0.05, block=0.02)
        sessions = []
        for _ in range(10):
            luck = machine.luck()
            sessions.append([machine.samples(luck * 50_000, 10) for _ in range(4)])
        middle = intervals(sessions, resamples=400)[50]
        held += middle.low <= 50_000 <= middle.high
    # Binomial with n = 200, p = 0.95: 178 is four standard deviations below.
    assert 178 <= held <= 199


def test_fewer_sessions_give_wider_intervals() -> None:
    def width(count: int) -> float:
        found = 0.0
        for seed in range(20):
            machine = Machine(seed=seed, process=0.05)
            sessions = [[machine.samples(machine.luck() * 50_000, 20)] for _ in range(count)]
            middle = intervals(sessions, resamples=400)[50]
            found += middle.high - middle.low
        return found

    assert width(4) > 1.3 * width(16)


@pytest.mark.parametrize("freedom", [1, 2, 5, 9, 15, 16, 17, 30, 100])
def test_students_t_is_that_of_scipy(freedom: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-3)


def test_without_freedom_there_is_no_t() -> None:
    with pytest.raises(ValueError, match="0 degrees of freedom"):
        student(0)


def test_far_samples_are_counted() -> None:
    # Quartiles 100 and 110: far out begins over 140.
    samples = [100] * 30 + [105] * 30 + [110] * 30
    assert outliers([*samples, 140]) == 0
    assert outliers([*samples, 141, 10**6]) == 2
    assert outliers([]) == 0


def test_a_disturbed_call_does_not_move_its_session() -> None:
    assert session_logs([[[100, 100, 900, 900, 100]]]) == pytest.approx([math.log(100)])


def test_a_sessions_figure_is_the_median_of_its_blocks() -> None:
    assert session_logs([blocks(100, 900, 200), blocks(50)]) == pytest.approx([math.log(200), math.log(50)])


def test_what_slows_the_reference_of_a_round_as_well_does_not_count() -> None:
    steady, drifting = blocks(100, 100, 100), blocks(100, 150, 300)
    reference = [blocks(10, 10, 10), blocks(10, 15, 30)]
    first, second = session_logs([steady, drifting], reference)
    assert first == pytest.approx(second) == pytest.approx(math.log(10))
