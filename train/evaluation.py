"""What a model makes of labeled pictures: every figure, and every mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from runtime.values import Image
from train.data import LABELS, NONE
from train.inputs import LabeledImages, Model
from train.measures import (
    Bin,
    ClassFigures,
    Counts,
    Curve,
    Floats,
    Share,
    calibration_error,
    class_figures,
    confusion,
    doubt_bins,
    precision_recall,
    risk_coverage,
    share,
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that was answered wrongly: where it stands in the set, what it is, what was said, and how surely."""

    index: int
    truth: str
    answer: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a camera would make of the pictures: it reads a digit where it is sure enough.

    Attributes:
        threshold: the confidence from which it reads.
        right: digits read as what they are, of all digits.
        wrong: digits read as another, of all digits.
        passed: digits not read, of all digits.
        false: what is no digit, read as one.
        auroc: chance that a digit seems more like a digit than what is none; None where the set has not both.
    """

    threshold: float
    right: Share
    wrong: Share
    passed: Share
    false: Share
    auroc: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A model on a set.

    Attributes:
        model: its name.
        images: the set.
        labels: meaning of the model's answers.
        answers: integer (n,).
        confidence: float32 (n,), of the answer given.
        accuracy: answers that are right; ``none`` for a digit is wrong.
        classes: figures of each class that occurs.
        table: int64 (11, 11): truth by row, answer by column.
        curves: precision against recall, by class.
        bins: answers by how much they doubt themselves.
        calibration_error: expected, of 15 bins.
        risk: share of wrong answers against share of answers kept.
        reading: what comes of rejecting the unsure.
        mistakes: the surest first.
    """

    model: str
    images: LabeledImages
    labels: tuple[str, ...]
    answers: npt.NDArray[np.integer]
    confidence: Floats
    accuracy: Share
    classes: list[ClassFigures]
    table: Counts
    curves: dict[str, Curve]
    bins: list[Bin]
    calibration_error: float
    risk: Curve
    reading: Reading
    mistakes: list[Mistake]


def evaluate(model: Model, images: LabeledImages) -> Evaluation:
    """Ask a model about every picture.

    Where the set holds what is no digit, the answers are a camera's, with the model's prior for ``none``; else they are
    those for a world of digits.
    """
    truth = images.labels.astype(np.int64)
    probabilities = model.probabilities(model.logits(images.images), camera=bool((truth == NONE).any()))
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = answers == truth
    wrong = np.flatnonzero(~right)
    return Evaluation(
        model=model.name,
        images=images,
        labels=model.labels,
        answers=answers,
        confidence=confidence,
        accuracy=share(int(right.sum()), len(right)),
        classes=class_figures(truth, probabilities, model.labels),
        table=confusion(truth, answers, len(LABELS)),
        curves={
            label: precision_recall(truth == i, probabilities[:, i])
            for i, label in enumerate(model.labels)
            if (truth == i).any()
        },
        bins=doubt_bins(confidence, right),
        calibration_error=calibration_error(confidence, right),
        risk=risk_coverage(confidence, right),
        reading=_reading(truth, probabilities, model.accept),
        mistakes=[
            Mistake(int(i), LABELS[truth[i]], model.labels[answers[i]], float(confidence[i]))
            for i in wrong[np.argsort(-confidence[wrong], kind="stable")]
        ],
    )


def evaluation_values(found: Evaluation) -> dict[str, Any]:
    """The figures as what JSON can hold."""
    reading = found.reading
    return {
        "model": found.model,
        "images": found.images.name,
        "count": len(found.answers),
        "accuracy": share_values(found.accuracy),
        "classes": [
            {
                "label": each.label,
                "recall": share_values(each.recall),
                "precision": share_values(each.precision),
                "f1": each.f1,
                "average_precision": each.average_precision,
            }
            for each in found.classes
        ],
        "confusion": found.table.tolist(),
        "calibration_error": found.calibration_error,
        "reading": {
            "threshold": reading.threshold,
            **{name: share_values(getattr(reading, name)) for name in ("right", "wrong", "passed", "false")},
            "auroc": reading.auroc,
        },
        "mistakes": [
            {
                "origin": found.images.origins[each.index],
                "truth": each.truth,
                "answer": each.answer,
                "confidence": round(each.confidence, 6),
            }
            for each in found.mistakes
        ],
    }


def share_values(each: Share) -> dict[str, Any] | None:
    """A share as what JSON can hold; None where there was nothing to count."""
    if not each.of:
        return None
    return {"count": each.count, "of": each.of, "value": each.value, "interval95": [each.low, each.high]}


@dataclass(frozen=True, slots=True, eq=False)
class Robustness:
    """A model on one family of corrupted pictures.

    Attributes:
        name: of the family.
        seen: what training showed of the like; empty for nothing.
        right: answers that are right; ``none`` is wrong.
        none: answers that it is no digit.
        digit_right: right answers where ``none`` may not be said.
        examples: uint8 (10, 28, 28), one of each class.
    """

    name: str
    seen: str
    right: Share
    none: Share
    digit_right: Share
    examples: Image


def robustness(model: Model, images: LabeledImages) -> list[Robustness]:
    """A model on MNIST-C's fifteen families, drawn from a set of digits; the pictures as they are come first."""
    from tqdm import tqdm

    from train.corruptions import CORRUPTIONS, Corruption, corrupt

    digits = images.labels < NONE
    pictures, truth = images.images[digits], images.labels[digits].astype(np.int64)
    shown = [int(np.flatnonzero(truth == label)[0]) for label in np.unique(truth)]
    found = []
    identity = Corruption("identity", "all of it", lambda x, rng: x)
    for family in tqdm((identity, *CORRUPTIONS), "corrupting", unit="family", delay=1):
        corrupted = corrupt(pictures, family)
        logits = model.logits(corrupted)
        answers = logits.argmax(axis=1)
        found.append(
            Robustness(
                family.name,
                family.seen,
                share(int((answers == truth).sum()), len(truth)),
                share(int((answers == NONE).sum()), len(truth)),
                share(int((logits[:, :NONE].argmax(axis=1) == truth).sum()), len(truth)),
                corrupted[shown],
            )
        )
    return found


def _reading(truth: npt.NDArray[np.integer], probabilities: Floats, threshold: float) -> Reading:
    digit = truth < NONE
    best = probabilities[:, :NONE]
    answer, confidence = best.argmax(axis=1), best.max(axis=1)
    # Where ``none`` leads, the best digit has less than half: a threshold of at least that leaves it out by itself.
    read = (confidence >= threshold) & (probabilities.argmax(axis=1) < NONE)
    count, others = int(digit.sum()), int((~digit).sum())
    auroc = float(roc_auc_score(digit, confidence)) if count and others else None
    return Reading(
        threshold,
        share(int((read & digit & (answer == truth)).sum()), count),
        share(int((read & digit & (answer != truth)).sum()), count),
        share(int((~read & digit).sum()), count),
        share(int((read & ~digit).sum()), others),
        auroc,
    )
