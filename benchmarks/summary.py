"""Statistics of raw samples: percentiles that are samples themselves, their intervals, and whether a run was steady.

Samples come in sessions (fresh processes) of blocks (calls in a row). Calls of a block are alike, and blocks of a
session are, so that intervals resample sessions, then blocks within them, never single calls: a two-stage bootstrap
(A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). With few sessions percentile
intervals are too narrow; they are taken further out as T. Hesterberg proposes (What Teachers Should Know about the
Bootstrap, 2015, section 5.3.2: expanded percentile intervals).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import TypeAlias

import numpy as np

Blocks: TypeAlias = Sequence[Sequence[int]]
"""Blocks of nanoseconds."""

Sessions: TypeAlias = Sequence[Blocks]
"""Sessions of blocks of nanoseconds."""

PERCENTILES = (50, 90, 99)
"""The percentiles that are reported, where the count supports them."""

BEYOND = 10
"""Samples that must lie beyond a percentile for it to be reported: with fewer, chance decides it."""

UNSTABLE = 0.10
"""Spread of the blocks' medians from which a figure is called unstable."""

RESAMPLES = 1000
_SEED = 1997

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t, 97.5 %, for 1 to 15 degrees of freedom; the device has no SciPy."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile and its 95 % interval, in nanoseconds."""

    value: int
    low: int
    high: int


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


def intervals(sessions: Sessions, resamples: int = RESAMPLES) -> dict[int, Interval]:
    """Those of ``PERCENTILES`` that the count supports, each with its interval, by percent.

    Args:
        sessions: at least two for an interval that holds what differs between processes; of one, its blocks alone vary.
        resamples: of the bootstrap.
    """
    samples = flatten(sessions)
    found = percentiles(samples)
    if not found:
        return {}
    weights = _resampled([len(blocks) for blocks in sessions], resamples)
    owners = np.repeat(np.arange(weights.shape[1]), [len(block) for blocks in sessions for block in blocks])
    order = np.argsort(samples, kind="stable")
    ordered, owners = np.asarray(samples)[order], owners[order]
    reached = np.cumsum(weights[:, owners], axis=1)  # resample, sample: how many do not exceed it
    tail = _tail(len(sessions) if len(sessions) > 1 else weights.shape[1])
    result = {}
    for percent, value in found.items():
        ranks = np.ceil(percent * reached[:, -1] / 100)
        drawn = np.sort(ordered[np.argmax(reached >= ranks[:, None], axis=1)])
        low = drawn[math.floor(tail * resamples)]
        high = drawn[resamples - 1 - math.floor(tail * resamples)]
        result[percent] = Interval(value, int(low), int(high))
    return result


def flatten(sessions: Sessions) -> list[int]:
    """The samples of all blocks of all sessions, in the order in which they were taken."""
    return [sample for blocks in sessions for block in blocks for sample in block]


def spread(blocks: Blocks) -> float:
    """How much blocks disagree: p90 less p10 of their medians, as a share of the median of these.

    Blocks of one operation lie all over the run, so this is what frequency, heat and other programs changed meanwhile;
    a few slow calls within blocks do not show in it.
    """
    medians = [percentile(block, 50) for block in blocks]
    return (percentile(medians, 90) - percentile(medians, 10)) / max(percentile(medians, 50), 1)


def outliers(samples: Sequence[int]) -> int:
    """Samples over three interquartile ranges above the third quartile (J. Tukey's far out); counted, never dropped."""
    if not samples:
        return 0
    first, third = percentile(samples, 25), percentile(samples, 75)
    return sum(sample > third + 3 * (third - first) for sample in samples)


def student(freedom: int) -> float:
    """Student's t, 97.5 %, for so many degrees of freedom.

    From 16 on by the first terms of its expansion in 1 / freedom (M. Abramowitz, I. Stegun, Handbook of Mathematical
    Functions, 1964, 26.7.5).

    Raises:
        ValueError: there is no freedom.
    """
    if freedom < 1:
        raise ValueError(f"{freedom} degrees of freedom; expected 1 or more")
    return _T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.372 / freedom + 2.822 / freedom**2


def session_logs(
    sessions: Sessions,
    reference: Sessions | None = None,
    kept: Sequence[Sequence[bool]] | None = None,
) -> list[float]:
    """One figure a session: the median over its blocks of the logarithm of their lower quartiles.

    What disturbs a call only makes it longer, so that the faster calls of a block tell most of the code (J. Chen,
    J. Revels, Robust benchmarking in noisy environments, 2016, argue for the fastest one).

    Args:
        sessions: of the figure.
        reference: of the machine's speed, in the same rounds; each block is divided by that of its round, so that what
            slowed both does not count.
        kept: by session and block, which blocks count; a session without any gives no figure.
    """
    found = []
    for number, blocks in enumerate(sessions):
        logs = [math.log(max(percentile(block, 25), 1)) for block in blocks]
        if reference is not None:
            beside = [math.log(max(percentile(block, 25), 1)) for block in reference[number]]
            logs = [log - other for log, other in zip(logs, beside, strict=True)]
        if kept is not None:
            logs = [log for log, keep in zip(logs, kept[number], strict=True) if keep]
        if logs:
            found.append(median(logs))
    return found


def _resampled(sizes: Sequence[int], resamples: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """How often each block is drawn, (resamples, blocks): sessions first, then as many blocks in each as it has."""
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples)
    return np.concatenate(
        [rng.multinomial(size * drawn[:, i], np.full(size, 1 / size)) for i, size in enumerate(sizes)], axis=1
    )


def _tail(clusters: int) -> float:
    """Share of the resamples to leave out on each side, for so many clusters."""
    if clusters < 2:
        return 0.0
    return NormalDist().cdf(-math.sqrt(clusters / (clusters - 1)) * student(clusters - 1))
