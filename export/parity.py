"""Does an artifact answer as the float model does? Compared image by image, through the runtime's own classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm


@dataclass(frozen=True, slots=True)
class Limits:
    """What a shipped artifact may differ by from the float model.

    Attributes:
        disagreement: share of images with another label.
        accuracy_drop: one-sided 95 % bound on the loss of accuracy, over paired images.
        recall_drop: loss of recall of any one class.
        logits: largest difference of logits, as a share of the largest logit; None where quantization decides.
    """

    disagreement: float
    accuracy_drop: float
    recall_drop: float
    logits: float | None = None


LIMITS = {
    "int8": Limits(disagreement=0.003, accuracy_drop=0.001, recall_drop=0.003),
    "float32": Limits(disagreement=0.0, accuracy_drop=0.0, recall_drop=0.0, logits=1e-4),
}
"""Limits by precision. int8: three in a thousand labels is what an 8-bit step explains on images near a boundary."""


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


def accuracy_figure(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Accuracy with its n and Wilson 95 % interval, as the manifest holds it."""
    right = int((logits.argmax(axis=1) == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    return {
        "accuracy": round(right / len(labels), 6),
        "n": len(labels),
        "interval95": [round(float(interval.low), 6), round(float(interval.high), 6)],
    }
