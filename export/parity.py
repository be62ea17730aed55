"""Does an artifact answer as the float model does? Compared image by image, through the runtime's own classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm

from export.limits import Limits


@dataclass(frozen=True, slots=True, eq=False)
class Parity:
    """An artifact against the float model on the same images.

    Attributes:
        artifact: name of the artifact.
        count: images.
        reference_accuracy: of the float model.
        accuracy: of the artifact.
        disagreement: share of images with another label.
        lost: images that only the float model gets right.
        gained: images that only the artifact gets right.
        drop_bound: one-sided 95 % upper bound on the loss of accuracy.
        recall_change: of each class that occurs, in order, artifact less float model.
        logit_difference: largest, as a share of the largest logit.
        breaches: a line for each limit that is broken; empty where the artifact may ship.
    """

    artifact: str
    count: int
    reference_accuracy: float
    accuracy: float
    disagreement: float
    lost: int
    gained: int
    drop_bound: float
    recall_change: tuple[float, ...]
    logit_difference: float
    breaches: tuple[str, ...]


def compare(
    artifact: str,
    limits: Limits,
    reference: npt.NDArray[np.float32],
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
) -> Parity:
    """Compare an artifact's answers with the float model's.

    Args:
        artifact: its name, for the lines that say what is broken.
        limits: what it may differ by.
        reference: float32 (n, labels), the float model's logits.
        logits: float32 (n, labels), the artifact's logits of the same images.
        labels: uint8 (n,), the truth.
    """
    was, now = reference.argmax(axis=1), logits.argmax(axis=1)
    was_right, is_right = was == labels, now == labels
    lost, gained = int((was_right & ~is_right).sum()), int((is_right & ~was_right).sum())
    classes = np.unique(labels)
    recall_change = tuple(
        float(is_right[labels == label].mean() - was_right[labels == label].mean()) for label in classes
    )
    disagreement = float((was != now).mean())
    bound = drop_bound(lost, gained, len(labels))
    finite = bool(np.isfinite(logits).all() and np.isfinite(reference).all())
    difference = float(np.abs(logits - reference).max() / np.abs(reference).max()) if finite else float("inf")
    breaches = []
    if not finite:
        breaches.append(f"{artifact}: some logits, its own or the float model's, are not finite")
    if disagreement > limits.disagreement:
        breaches.append(f"{artifact}: {disagreement:.3%} of labels differ, limit {limits.disagreement:.3%}")
    if bound > limits.accuracy_drop:
        breaches.append(f"{artifact}: accuracy may drop by {bound:.4%}, limit {limits.accuracy_drop:.4%}")
    worst = int(np.argmin(recall_change))
    drop = -recall_change[worst]
    if drop > limits.recall_drop:
        breaches.append(f"{artifact}: recall of {classes[worst]} drops by {drop:.3%}, limit {limits.recall_drop:.3%}")
    if limits.logits is not None and difference > limits.logits:
        breaches.append(f"{artifact}: logits differ by {difference:.2e} of the largest, limit {limits.logits:.0e}")
    return Parity(
        artifact,
        len(labels),
        float(was_right.mean()),
        float(is_right.mean()),
        disagreement,
        lost,
        gained,
        bound,
        recall_change,
        difference,
        tuple(breaches),
    )


def drop_bound(lost: int, gained: int, count: int) -> float:
    """One-sided 95 % upper bound on the loss of accuracy: the difference of paired proportions (Wald).

    Args:
        lost: images that only the reference gets right.
        gained: images that only the candidate gets right.
        count: all images.
    """
    drop = (lost - gained) / count
    variance = max((lost + gained) / count - drop**2, 0.0) / count
    return float(drop + norm.ppf(0.95) * variance**0.5)


def mcnemar_p(lost: int, gained: int) -> float:
    """Exact two-sided p of McNemar's test: how likely so uneven a split is where neither is the better model."""
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How large some differences are.

    Attributes:
        median: half are no larger.
        p99: 99 in 100 are no larger.
        largest: none is larger.
    """

    median: float
    p99: float
    largest: float


def spread(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], unit: float = 1.0) -> Spread | None:
    """The largest difference of each image's answers, over all images.

    Args:
        first: float32 (n, labels).
        second: float32 (n, labels).
        unit: what the differences are counted in, such as a quantization step.

    Returns:
        Their spread over the images whose answers are finite; None where there are none.
    """
    finite = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not finite.any():
        return None
    differences = np.abs(first[finite] - second[finite]).max(axis=1) / unit
    median, p99, largest = np.quantile(differences, (0.5, 0.99, 1.0))
    return Spread(float(median), float(p99), float(largest))


def accuracy_figure(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Accuracy with its n and Wilson 95 % interval, as the manifest holds it."""
    right = int((logits.argmax(axis=1) == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    return {
        "accuracy": round(right / len(labels), 6),
        "n": len(labels),
        "interval95": [round(float(interval.low), 6), round(float(interval.high), 6)],
    }
