"""Does an artifact answer as the float model does? Compared image by image, through the runtime's own classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from export.limits import Limits
from train.data import NONE

Labels: TypeAlias = npt.NDArray[np.uint8]
Logits: TypeAlias = npt.NDArray[np.float32]
Origins: TypeAlias = npt.NDArray[np.int64]


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
        p: of McNemar's test, lost against gained.
        interval: Wilson 95 % interval of the artifact's accuracy.
        reference_interval: of the float model's.
        recall_change: by each class that occurs, in order, artifact less float model.
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
    p: float
    interval: tuple[float, float]
    reference_interval: tuple[float, float]
    recall_change: Mapping[str, float]
    logit_difference: float
    breaches: tuple[str, ...]


Parities: TypeAlias = dict[str, list[Parity]]
"""By name of an input set: a comparison for each artifact."""


def compare(
    artifact: str, limits: Limits, reference: Logits, logits: Logits, labels: Labels, origins: Origins | None = None
) -> Parity:
    """Compare an artifact's answers with the float model's.

    Args:
        artifact: its name, for the lines that say what is broken.
        limits: what it may differ by.
        reference: float32 (n, labels), the float model's logits.
        logits: float32 (n, labels), the artifact's logits of the same images.
        labels: uint8 (n,), the truth.
        origins: int64 (n,), a number for the picture that each image was made from; None where each has its own.
    """
    was, now = reference.argmax(axis=1), logits.argmax(axis=1)
    was_right, is_right = was == labels, now == labels
    loss = was_right.astype(np.int64) - is_right
    origins = np.arange(len(labels)) if origins is None else origins
    recall_change = {
        "none" if label == NONE else str(label): float(0 - loss[labels == label].mean()) for label in np.unique(labels)
    }
    disagreement = float((was != now).mean())
    bound = drop_bound(loss, origins)
    finite = bool(np.isfinite(logits).all() and np.isfinite(reference).all())
    difference = float(np.abs(logits - reference).max() / np.abs(reference).max()) if finite else float("inf")
    breaches = []
    if not finite:
        breaches.append(f"{artifact}: some logits, its own or the float model's, are not finite")
    if disagreement > limits.disagreement:
        breaches.append(f"{artifact}: {disagreement:.3%} of labels differ, limit {limits.disagreement:.3%}")
    if bound > limits.accuracy_drop:
        breaches.append(f"{artifact}: accuracy may drop by {bound:.4%}, limit {limits.accuracy_drop:.4%}")
    worst, change = min(recall_change.items(), key=lambda item: item[1])
    if -change > limits.recall_drop:
        breaches.append(f"{artifact}: recall of {worst} drops by {-change:.3%}, limit {limits.recall_drop:.3%}")
    if limits.logits is not None and difference > limits.logits:
        breaches.append(f"{artifact}: logits differ by {difference:.2e} of the largest, limit {limits.logits:.0e}")
    return Parity(
        artifact,
        len(labels),
        float(was_right.mean()),
        float(is_right.mean()),
        disagreement,
        int((loss > 0).sum()),
        int((loss < 0).sum()),
        bound,
        mcnemar_p(loss, origins),
        wilson_interval(is_right, origins),
        wilson_interval(was_right, origins),
        recall_change,
        difference,
        tuple(breaches),
    )


def drop_bound(loss: npt.NDArray[np.int64], origins: Origins) -> float:
    """One-sided 95 % upper bound on the loss of accuracy: the difference of paired proportions, by Wald.

    Its error is that of clustered pairs (Obuchowski, 1998, Statistics in Medicine 17): variants of one picture tend to
    be lost together, and only pictures are drawn independently.

    Args:
        loss: int64 (n,), of each image: 1 lost, -1 gained, 0 neither.
        origins: int64 (n,), the picture that each was made from.
    """
    return float(loss.mean() + norm.ppf(0.95) * _error(loss, origins))


def mcnemar_p(loss: npt.NDArray[np.int64], origins: Origins) -> float:
    """Exact two-sided p of McNemar's test: how likely so uneven a split is where neither is the better model.

    Then what each picture loses is as likely to be gained: all outcomes of so many coins are counted. Where every
    image has an origin of its own, they are the binomial's of the usual test.

    Args:
        loss: int64 (n,), of each image: 1 lost, -1 gained, 0 neither.
        origins: int64 (n,), the picture that each was made from.
    """
    net = np.rint(_sums(loss, origins)).astype(int)
    chances = np.ones(1)  # of each sum from -total to total, in steps of one
    for size in np.abs(net[net != 0]):
        chances = np.pad(chances, (0, 2 * size)) / 2 + np.pad(chances, (2 * size, 0)) / 2
    total = len(chances) // 2
    return min(float(chances[np.abs(np.arange(-total, total + 1)) >= abs(net.sum())].sum()), 1.0)


def wilson_interval(right: npt.NDArray[np.bool_], origins: Origins) -> tuple[float, float]:
    """Wilson 95 % interval of a share, of as many independent images as would leave it the same error.

    Args:
        right: bool (n,).
        origins: int64 (n,), the picture that each image was made from.
    """
    share, error, z = float(right.mean()), _error(right, origins), float(norm.ppf(0.975))
    count = share * (1 - share) / error**2 if error else len(np.unique(origins))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * (share * (1 - share) / count + (z / (2 * count)) ** 2) ** 0.5
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def _error(values: npt.NDArray[Any], origins: Origins) -> float:
    """Standard error of the mean, where values of one origin may go together."""
    return float(np.square(_sums(values - values.mean(), origins)).sum() ** 0.5 / len(values))


def _sums(values: npt.NDArray[Any], origins: Origins) -> npt.NDArray[np.float64]:
    """What the values of each origin add up to."""
    return np.asarray(np.bincount(np.unique(origins, return_inverse=True)[1], values), np.float64)


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


def accuracy_figure(logits: Logits, labels: Labels, origins: Origins | None = None) -> dict[str, Any]:
    """Accuracy with its n and Wilson 95 % interval, as the manifest holds it; see ``compare``."""
    right = logits.argmax(axis=1) == labels
    interval = wilson_interval(right, np.arange(len(labels)) if origins is None else origins)
    return {
        "accuracy": round(float(right.mean()), 6),
        "n": len(labels),
        "interval95": [round(end, 6) for end in interval],
    }
