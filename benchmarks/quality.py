"""How well pictures were read: figures of scores, and how far chance alone may have moved them.

Intervals are 95 % percentile intervals of the bootstrap (B. Efron, 1979): pictures are drawn again with replacement;
for the macro average, sources are, since pictures of a source are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.matching import PictureScore

RESAMPLES = 2000
_SEED = 1979


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its 95 % interval; not a number where there is nothing to count."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of some pictures.

    Attributes:
        pictures: how many.
        negatives: of these without a digit.
        digits: true ones.
        found: share of the digits with a reading.
        right: share of the digits read as what they are.
        precision: share of the readings, on pictures with digits, that are right.
        f1: of right and precision: 2·right / (digits + readings).
        macro_f1: mean over sources of their own F1.
        numbers: share of whole numbers that are right.
        false_readings: per picture without a digit.
    """

    pictures: int
    negatives: int
    digits: int
    found: Figure
    right: Figure
    precision: Figure
    f1: Figure
    macro_f1: Figure
    numbers: Figure
    false_readings: Figure


def measure_quality(scores: Sequence[PictureScore], resamples: int = RESAMPLES) -> Quality:
    """The figures of some scores.

    Args:
        scores: of pictures; at least one.
        resamples: of the bootstrap.
    """
    # Columns: digits, found, right, readings, numbers, whole numbers right, negatives, readings on negatives.
    counts = np.array([_counts(score) for score in scores], np.float64)
    rng = np.random.default_rng(_SEED)
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), resamples)
    whole, drawn = counts.sum(axis=0), weights @ counts
    positive = [score for score in scores if not score.negative]
    sources = sorted({score.source for score in positive})
    by_source = np.array(
        [sum(np.array(_counts(score)) for score in positive if score.source == source) for source in sources]
    ).reshape(len(sources), counts.shape[1])
    each = _share(2 * by_source[:, 2], by_source[:, 0] + by_source[:, 3])
    chosen = rng.integers(0, max(len(sources), 1), (resamples, len(sources)))
    return Quality(
        pictures=len(scores),
        negatives=int(whole[6]),
        digits=int(whole[0]),
        found=_figure(whole, drawn, (1,), (0,)),
        right=_figure(whole, drawn, (2,), (0,)),
        precision=_figure(whole, drawn, (2,), (3,)),
        f1=_figure(whole, drawn, (2, 2), (0, 3)),
        macro_f1=_interval(float(each.mean()), each[chosen].mean(axis=1)) if sources else _interval(np.nan, each),
        numbers=_figure(whole, drawn, (5,), (4,)),
        false_readings=_figure(whole, drawn, (7,), (6,)),
    )


def conditions(scores: Sequence[PictureScore], least: int = 1) -> list[str]:
    """The tags of the pictures, the most frequent first; those of fewer than ``least`` pictures left out."""
    count: dict[str, int] = {}
    for tag in (tag for score in scores for tag in score.tags):
        count[tag] = count.get(tag, 0) + 1
    return sorted((tag for tag in count if count[tag] >= least), key=lambda tag: (-count[tag], tag))


def _counts(score: PictureScore) -> tuple[int, ...]:
    if score.negative:
        return (0, 0, 0, 0, 0, 0, 1, score.readings)
    return (score.digits, score.found, score.right, score.readings, score.numbers, score.numbers_right, 0, 0)


def _figure(
    whole: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64], above: tuple[int, ...], below: tuple[int, ...]
) -> Figure:
    value = _share(whole[list(above)].sum(), whole[list(below)].sum())
    return _interval(float(value), _share(drawn[:, above].sum(axis=1), drawn[:, below].sum(axis=1)))


def _interval(value: float, resampled: npt.NDArray[np.float64]) -> Figure:
    known = resampled[np.isfinite(resampled)]
    if not np.isfinite(value) or not len(known):
        return Figure(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(known, (2.5, 97.5))
    return Figure(round(value, 5), round(float(low), 5), round(float(high), 5))


def _share(part: npt.NDArray[np.float64] | float, of: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    """Part over whole; not a number where there is no whole."""
    whole = np.asarray(of, np.float64)
    return np.asarray(np.where(whole > 0, np.asarray(part) / np.where(whole > 0, whole, 1.0), np.nan), np.float64)
