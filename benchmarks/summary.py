"""Statistics of raw samples: percentiles that are samples themselves, and whether a run was steady."""

from __future__ import annotations

from collections.abc import Sequence

PERCENTILES = (50, 90, 99)
"""The percentiles that are reported, where the count supports them."""

BEYOND = 10
"""Samples that must lie beyond a percentile for it to be reported: with fewer, chance decides it."""

UNSTABLE = 0.10
"""Spread of the blocks' medians from which a figure is called unstable."""


def percentile(samples: Sequence[int], percent: int) -> int:
    """The smallest sample that at least ``percent`` % of the samples do not exceed (nearest rank, no interpolation).

    Args:
        samples: at least one, in any order.
        percent: 1 to 100.

    Raises:
        ValueError: there is no sample, or no such percentile.
    """
    if not samples or not 1 <= percent <= 100:
        raise ValueError(f"percentile {percent} of {len(samples)} samples; expected 1 to 100 of at least one")
    return sorted(samples)[-(-percent * len(samples) // 100) - 1]


def supports(count: int, percent: int) -> bool:
    """Whether so many samples leave ``BEYOND`` of them beyond the percentile: p50 needs 20, p90 100, p99 1,000."""
    return count * (100 - percent) >= BEYOND * 100


def percentiles(samples: Sequence[int]) -> dict[int, int]:
    """Those of ``PERCENTILES`` that the count supports, by percent."""
    return {percent: percentile(samples, percent) for percent in PERCENTILES if supports(len(samples), percent)}


def flatten(blocks: Sequence[Sequence[int]]) -> list[int]:
    """The samples of all blocks, in the order in which they were taken."""
    return [sample for block in blocks for sample in block]


def spread(blocks: Sequence[Sequence[int]]) -> float:
    """How much the blocks disagree: p90 less p10 of their medians, as a share of the median of these.

    Blocks of one candidate lie all over the run, so this is what frequency, heat and other programs changed meanwhile;
    a few slow calls within blocks do not show in it.
    """
    medians = [percentile(block, 50) for block in blocks]
    return (percentile(medians, 90) - percentile(medians, 10)) / max(percentile(medians, 50), 1)
