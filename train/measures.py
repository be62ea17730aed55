"""Figures of a classifier's answers, each with its 95 % interval where chance may move it.

Intervals are Wilson's (E. B. Wilson, 1927).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_curve

Floats = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]

DOUBTS = (1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3)
"""Borders between bins of 1 − confidence."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, and the 95 % interval of the share behind it."""

    count: int
    of: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """``99.68 % (99.55–99.77 %)``."""
        return f"{self.value:.2%} ({100 * self.low:.2f}–{self.high:.2%})".replace("%", " %") if self.of else "–"


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class against all others.

    Attributes:
        label: the class.
        recall: of its pictures, those answered with it.
        precision: of the answers with it, those that are right.
        f1: harmonic mean of both.
        average_precision: area under the precision–recall curve as steps, with no credit for interpolation.
    """

    label: str
    recall: Share
    precision: Share
    f1: float
    average_precision: float


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Points of a curve: ``x`` and ``y``, float64 (n,)."""

    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: how many of them are wrong, and how many should be."""

    wrong: Share
    expected: float


def share(count: int, of: int) -> Share:
    """The share with Wilson's interval; not a number where there is nothing to count."""
    if of == 0:
        return Share(0, 0, float("nan"), float("nan"), float("nan"))
    interval = binomtest(int(count), int(of)).proportion_ci(method="wilson")
    return Share(int(count), int(of), count / of, float(interval.low), float(interval.high))


def confusion(truth: npt.NDArray[np.integer], answers: npt.NDArray[np.integer], classes: int) -> Counts:
    """How often each class (row) was answered with each (column): int64 (classes, classes)."""
    table: Counts = confusion_matrix(truth, answers, labels=range(classes))
    return table


def class_figures(truth: npt.NDArray[np.integer], probabilities: Floats, labels: tuple[str, ...]) -> list[ClassFigures]:
    """Figures of each class that occurs.

    Args:
        truth: integer (n,).
        probabilities: (n, labels).
        labels: meaning of each column.
    """
    # A model of digits alone may be asked about what is none: that counts against the digits it takes it for.
    table = confusion(truth, probabilities.argmax(axis=1), max(len(labels), int(truth.max()) + 1))
    found = []
    for i, label in enumerate(labels):
        if not table[i].sum():
            continue
        recall, precision = share(table[i, i], table[i].sum()), share(table[i, i], table[:, i].sum())
        f1 = 2 * int(table[i, i]) / int(table[i].sum() + table[:, i].sum())
        area = float(average_precision_score(truth == i, probabilities[:, i]))
        found.append(ClassFigures(label, recall, precision, f1, area))
    return found


def precision_recall(positive: npt.NDArray[np.bool_], scores: Floats) -> Curve:
    """Recall (x) and precision (y) at each threshold that changes them, from the highest on.

    Args:
        positive: bool (n,), at least one true.
        scores: (n,), higher where it is likelier.
    """
    precision, recall, _ = precision_recall_curve(positive, scores)
    return Curve(recall[-2::-1], precision[-2::-1])  # without the point at no recall, which nothing was counted for


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over bins of equal width.

    C. Guo et al., "On calibration of modern neural networks", 2017, who take 15 bins.

    Args:
        confidence: (n,), of the answer given.
        right: bool (n,), whether it is right.
        bins: how many.
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=right - confidence.astype(np.float64), minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def doubt_bins(confidence: Floats, right: npt.NDArray[np.bool_]) -> list[Bin]:
    """Answers by how much they doubt themselves, in steps of ``DOUBTS``; steps without any left out.

    Bins of equal width would put nearly all answers of a good classifier into the last one.
    """
    doubt = 1 - confidence.astype(np.float64)
    place = np.digitize(doubt, DOUBTS)
    found = []
    for number in range(len(DOUBTS) + 1):
        chosen = place == number
        if chosen.any():
            found.append(Bin(share(int((~right[chosen]).sum()), int(chosen.sum())), float(doubt[chosen].mean())))
    return found


def risk_coverage(confidence: Floats, right: npt.NDArray[np.bool_]) -> Curve:
    """Share of answers kept (x) and share of these that are wrong (y), the surest kept first.

    Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", 2017.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    last = np.flatnonzero(np.diff(confidence[order], append=-np.inf))
    return Curve((last + 1) / len(order), wrong[last] / (last + 1))
