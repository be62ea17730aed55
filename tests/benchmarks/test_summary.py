from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.summary import flatten, percentile, percentiles, spread, supports


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
    assert flatten([[3, 1], [], [2]]) == [3, 1, 2]
