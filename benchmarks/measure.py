"""Timing: calls one by one, and the order of blocks in which everything is interleaved."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Input = TypeVar("Input")


def block_order(names: Sequence[str], rounds: int, seed: int) -> list[str]:
    """Whose block is run when: in each round every name once, in a random order of its own that the seed decides."""
    chance = random.Random(seed)
    return [name for _ in range(rounds) for name in chance.sample(names, len(names))]


def time_calls(call: Callable[[Input], object], inputs: Iterator[Input], count: int) -> list[int]:
    """Time calls one by one.

    Args:
        call: what is timed.
        inputs: one is taken for each call, outside of what is timed.
        count: of the calls.

    Returns:
        Nanoseconds of each call, the clock's own cost included (see ``clock_cost_ns``).
    """
    now = time.perf_counter_ns
    samples = []
    for _ in range(count):
        taken = next(inputs)
        started = now()
        call(taken)
        samples.append(now() - started)
    return samples


def clock_cost_ns() -> int:
    """What timing nothing gives: the median of a thousand empty calls."""
    return sorted(time_calls(lambda _: None, iter(range(1000)), 1000))[500]
