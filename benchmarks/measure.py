"""Timing: blocks of calls, those of all candidates interleaved in random order, every sample kept.

Interleaving makes what drifts (frequency, heat, other programs) hit every candidate alike; blocks keep a candidate's
own code and weights in the caches, as they are in use.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Input = TypeVar("Input")
Sample = TypeVar("Sample")


@dataclass(frozen=True, slots=True)
class Plan:
    """How the steady state is sampled.

    Attributes:
        rounds: blocks of each candidate; every round holds one block of each, in a new random order.
        calls: samples in a block.
        settle: calls before each block that are made and not counted: they bring the candidate back into the caches.
        seed: of the order.
    """

    rounds: int
    calls: int
    settle: int
    seed: int = 0

    @property
    def count(self) -> int:
        """Samples of each candidate."""
        return self.rounds * self.calls


def block_order(names: Sequence[str], rounds: int, seed: int) -> list[str]:
    """Whose block is run when: in each round every name once, in a random order of its own that the seed decides."""
    chance = random.Random(seed)
    return [name for _ in range(rounds) for name in chance.sample(names, len(names))]


def run_blocks(
    candidates: Mapping[str, Callable[[int], Sequence[Sample]]], plan: Plan, step: Callable[[], None]
) -> dict[str, list[list[Sample]]]:
    """Run every candidate's blocks in the interleaved order.

    Args:
        candidates: by name, what makes so many calls and returns a sample for each.
        plan: how many, in which order.
        step: called after each block, outside of what is timed.

    Returns:
        By name the blocks in the order in which they were run.
    """
    blocks: dict[str, list[list[Sample]]] = {name: [] for name in candidates}
    for name in block_order(list(candidates), plan.rounds, plan.seed):
        run = candidates[name]
        run(plan.settle)
        blocks[name].append(list(run(plan.calls)))
        step()
    return blocks


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
