from __future__ import annotations

import itertools
import time
from collections import Counter

import pytest

from benchmarks.measure import block_order, clock_cost_ns, time_calls

NAMES = ("a", "b", "c", "d")


def test_every_round_holds_every_candidate_once() -> None:
    order = block_order(NAMES, 25, seed=3)
    rounds = [order[i : i + 4] for i in range(0, len(order), 4)]
    assert len(rounds) == 25
    assert all(sorted(each) == list(NAMES) for each in rounds)


def test_the_order_comes_from_the_seed_and_differs_between_rounds() -> None:
    order = block_order(NAMES, 25, seed=3)
    assert order == block_order(NAMES, 25, seed=3)
    assert order != block_order(NAMES, 25, seed=4)
    assert len({tuple(order[i : i + 4]) for i in range(0, len(order), 4)}) > 5


def test_each_candidate_comes_first_in_about_its_share_of_the_rounds() -> None:
    firsts = Counter(block_order(NAMES, 4000, seed=0)[::4])
    # Binomial with n = 4000, p = 1/4: five standard deviations are 137.
    assert all(abs(firsts[name] - 1000) < 137 for name in NAMES)


def test_every_call_takes_the_next_input_and_gives_a_sample() -> None:
    taken: list[int] = []
    samples = time_calls(taken.append, itertools.cycle([7, 8, 9]), 5)
    assert taken == [7, 8, 9, 7, 8]
    assert len(samples) == 5
    assert min(samples) > 0


def test_a_call_is_timed_whole_and_fetching_its_input_is_not() -> None:
    def slow_inputs() -> itertools.chain[float]:
        return itertools.chain.from_iterable(map(fetch, itertools.repeat(0.002)))

    def fetch(seconds: float) -> list[float]:
        time.sleep(0.1)
        return [seconds]

    # Sleeping never takes less than it should, on a busy machine more: one undisturbed call of five is enough.
    samples = time_calls(time.sleep, slow_inputs(), 5)
    assert 2_000_000 <= min(samples) < 100_000_000


def test_the_clock_costs_something_and_far_less_than_a_sleep() -> None:
    assert 0 < 5 * clock_cost_ns() < min(time_calls(time.sleep, itertools.repeat(0.001), 5))


@pytest.mark.parametrize("seed", range(3))
def test_one_candidate_needs_no_partner(seed: int) -> None:
    assert block_order(["only"], 3, seed) == ["only"] * 3
