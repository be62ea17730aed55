"""What is in a set of labeled pictures: its balance, its shapes, and labels that may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from runtime.preprocess import FIELD, INK_LEVEL, stroke_width
from runtime.values import Image
from train.augment import AugmentSettings, augment
from train.data import LABELS
from train.inputs import LabeledImages, Model
from train.measures import Floats

SHARES = ("through_preprocess", "none_share")
"""Settings of augmentation that say how many pictures are varied, not how far."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassShape:
    """The pictures of a class.

    Attributes:
        label: of the class.
        count: how many.
        share: of all pictures.
        mean: uint8 (28, 28), the mean picture.
        spread: uint8 (28, 28), the standard deviation of each pixel, stretched so that 128 is white.
        ink: mean share of pixels that are ink.
        stroke: mean and standard deviation of the stroke's width, in pixels.
        width: of the ink, likewise.
        height: of the ink, likewise.
    """

    label: str
    count: int
    share: float
    mean: Image
    spread: Image
    ink: float
    stroke: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A picture whose label a model doubts: where it stands, its label, the model's, and both probabilities."""

    index: int
    label: str
    answer: str
    label_probability: float
    answer_probability: float


def class_shapes(images: LabeledImages) -> list[ClassShape]:
    """The shape of each class that occurs."""
    found = []
    for label in np.unique(images.labels):
        pictures = images.images[images.labels == label]
        solid = [cv2.threshold(picture, INK_LEVEL - 1, 255, cv2.THRESH_BINARY)[1] for picture in pictures]
        boxes = np.array([cv2.boundingRect(each) for each in solid])
        strokes = np.array([stroke_width(each) for each in solid])
        stacked = pictures.astype(np.float32)
        found.append(
            ClassShape(
                LABELS[label],
                len(pictures),
                len(pictures) / len(images.labels),
                stacked.mean(axis=0).astype(np.uint8),
                np.minimum(2 * stacked.std(axis=0), 255).astype(np.uint8),
                float(np.mean([each.mean() for each in solid]) / 255),
                _spread(strokes),
                _spread(boxes[:, 2]),
                _spread(boxes[:, 3]),
            )
        )
    return found


def suspects(model: Model, images: LabeledImages, count: int) -> list[Suspect]:
    """Pictures whose label a model doubts most: those it gives least probability against its own answer.

    The margin by which confident learning ranks (C. Northcutt et al., "Confident Learning", 2021). A model that was
    trained on the very pictures doubts fewer of them.
    """
    truth = images.labels.astype(np.int64)
    probabilities = model.probabilities(model.logits(images.images), camera=bool((truth == len(LABELS) - 1).any()))
    rows = np.arange(len(truth))
    known = np.minimum(truth, probabilities.shape[1] - 1)
    own = np.where(known == truth, probabilities[rows, known], 0.0)  # a model of digits alone never says none
    margins = own - probabilities.max(axis=1)
    answers = probabilities.argmax(axis=1)
    worst = [int(i) for i in np.argsort(margins, kind="stable")[:count] if margins[i] < 0]
    return [
        Suspect(i, LABELS[truth[i]], LABELS[answers[i]], float(own[i]), float(probabilities[i, answers[i]]))
        for i in worst
    ]


def contact_sheet(images: LabeledImages, columns: int, rng: np.random.Generator) -> Image:
    """Pictures of each class that occurs, a row for each: uint8 (28·classes, 28·columns)."""
    rows = []
    for label in np.unique(images.labels):
        own = np.flatnonzero(images.labels == label)
        chosen = images.images[rng.permutation(own)[:columns]]
        rows.append(strip(chosen, columns))
    return np.vstack(rows)


def strip(pictures: Image, columns: int) -> Image:
    """Pictures (n, 28, 28) beside each other, black where there are fewer than ``columns``: uint8 (28, 28·columns)."""
    blank = np.zeros((max(columns - len(pictures), 0), FIELD, FIELD), np.uint8)
    return np.hstack(list(np.concatenate([pictures, blank])))


def augmentation_previews(pictures: Image, rng: np.random.Generator) -> dict[str, Image]:
    """The same pictures (n, 28, 28) varied by one setting alone, each setting in turn, and at last by all of them.

    Returns:
        From the name of the setting, with its value, to pictures like those given.
    """
    usual = AugmentSettings()
    off = replace(usual, **dict.fromkeys((each.name for each in fields(usual)), 0.0))
    found = {"as they are": pictures}
    for each in fields(usual):
        if each.name == "none_share":
            continue
        value = 1.0 if each.name in SHARES else getattr(usual, each.name)
        found[f"{each.name} {value:g}"] = augment(pictures, replace(off, **{each.name: value}), rng)
    found["all of them"] = augment(pictures, usual, rng)
    found["and once more"] = augment(pictures, usual, rng)
    return found


def _spread(values: Floats) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values))
