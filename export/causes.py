"""What may be wrong with a file that does not agree: the faults that occur in practice, tried on the float model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from export.layers import LayerError
from export.parity import Logits
from export.samples import InputSet
from runtime.backends import ArtifactClassifier
from runtime.values import Image

Answers: TypeAlias = npt.NDArray[np.int64]

Failure: TypeAlias = tuple[InputSet, ArtifactClassifier, Logits]
"""Where an artifact broke a limit, which, and what it answers there."""

IMAGES = 1_000
"""Images that causes are looked for on."""

INPUT_FAULTS: dict[str, Callable[[Image], Image]] = {
    "its input has swapped polarity": lambda images: 255 - images,
    "its input is scaled twice": lambda images: images // 255,
    "its input is cast to int8 without taking 128 off first, and wraps": lambda images: images + np.uint8(128),
    "rows and columns of its input are swapped": lambda images: images.transpose(0, 2, 1),
    "its input is upside down": lambda images: images[:, ::-1],
    "its input is mirrored": lambda images: images[:, :, ::-1],
}
"""What an adapter or a graph may do to its pixels: the words, and the same done to uint8 (n, 28, 28)."""

CUT_OFF = 0.01
"""Share of a layer's outputs at the end of their range from which its calibration is to blame; an honest layer has
under a thousandth there."""

_EXPLAINED = 0.8  # share of the answers that a cause must foretell
_RARE = 0.01  # share of the images under which a label is not missed


def find_causes(reference: ArtifactClassifier, failed: Sequence[Failure], layers: Sequence[LayerError]) -> list[str]:
    """A line for each artifact that does not agree and for which a known fault would account; see ``find_cause``."""
    found: dict[str, str] = {}
    for images, classifier, logits in failed:
        if classifier.artifact.name not in found and (
            cause := find_cause(images, reference, classifier, logits, layers)
        ):
            found[classifier.artifact.name] = cause
    return list(found.values())


def sound(names: Iterable[str], failed: Sequence[Failure]) -> list[str]:
    """The artifacts that may be laid beside each other: a float file at fault says nothing of an int8 one."""
    faulty = {classifier.artifact.name for _, classifier, _ in failed}
    return [name for name in names if name not in faulty or "float32" not in name]


def find_cause(
    images: InputSet,
    reference: ArtifactClassifier,
    classifier: ArtifactClassifier,
    logits: Logits,
    layers: Sequence[LayerError],
) -> str | None:
    """A line on why an artifact may not agree; None where nothing known would do it.

    Args:
        images: where it does not agree. Of what is not a digit only missing answers are told: nearly all of it has one
            label, which a fault may give it too.
        reference: the float model.
        classifier: the artifact.
        logits: float32 (n, labels), its answers.
        layers: errors of the int8 LiteRT artifact layer by layer, where they are known.
    """
    name, labels = classifier.artifact.name, reference.labels
    pixels = images.images[:IMAGES]
    now = images.judged(logits[:IMAGES], classifier.artifact.none_prior).argmax(axis=1)

    def answer(changed: Image) -> Answers:
        return images.judged(reference.logits(changed), reference.artifact.none_prior).argmax(axis=1)

    was = answer(pixels)
    cause = calibration_cause(layers) if name == "litert-int8" else None
    if not cause and not images.camera:
        cause = input_cause(answer, pixels, was, now) or order_cause(was, now, labels)
    cause = cause or missing_cause(was, now, labels)
    return f"{name}: likely cause: {cause}" if cause else None


def input_cause(answer: Callable[[Image], Answers], images: Image, was: Answers, now: Answers) -> str | None:
    """What done to the pixels would make the float model answer as the artifact does.

    Args:
        answer: the float model, uint8 (n, 28, 28) -> labels.
        images: uint8 (n, 28, 28).
        was: int64 (n,), the float model's labels of them.
        now: int64 (n,), the artifact's.
    """
    foretold = {
        words: float((answer(np.ascontiguousarray(fault(images))) == now).mean())
        for words, fault in INPUT_FAULTS.items()
    }
    words = max(foretold, key=foretold.__getitem__)
    if not _explains(foretold[words], was, now):
        return None
    return f"{words} (the float model, so treated, gives {foretold[words]:.0%} of its labels)"


def order_cause(was: Answers, now: Answers, labels: Sequence[str]) -> str | None:
    """The other order of labels that the artifact seems to have; see ``input_cause``."""
    answered = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(answered, (was, now), 1)
    usual, occurs = answered.argmax(axis=1).tolist(), _usual(was)
    moved = [i for i in occurs if usual[i] != i]
    share = float(answered.max(axis=1).sum() / len(was))
    if len({usual[i] for i in occurs}) < len(occurs) or len(moved) < 2 or not _explains(share, was, now):
        return None
    return "its labels are in another order: " + ", ".join(
        f"{labels[i]} is answered as {labels[usual[i]]}" for i in moved
    )


def missing_cause(was: Answers, now: Answers, labels: Sequence[str]) -> str | None:
    """The labels that the artifact never gives; see ``input_cause``."""
    answers = set(now.tolist())
    if len(answers) == 1 and len(_usual(was)) > 1:
        return f"it answers {labels[answers.pop()]} whatever it is shown"
    never = [labels[i] for i in _usual(was) if i not in answers]
    return f"it never answers {' or '.join(never)}" if never else None


def calibration_cause(layers: Sequence[LayerError]) -> str | None:
    """The layer whose range is too narrow for what it makes, where there is one."""
    worst = max((each for each in layers if each.layer), key=lambda each: each.cut_off, default=None)
    if worst is None or worst.cut_off < CUT_OFF:
        return None
    return (
        f"{worst.cut_off:.1%} of what layer {worst.layer} makes is cut off at the end of its range: it was calibrated "
        "on pictures unlike these"
    )


def _explains(share: float, was: Answers, now: Answers) -> bool:
    """Whether a cause foretells most answers, and more than half of those that differ."""
    return share >= _EXPLAINED and 1 - share < float((was != now).mean()) / 2


def _usual(labels: Answers) -> list[int]:
    """The labels that are not rare."""
    found, counts = np.unique(labels, return_counts=True)
    return [int(label) for label, count in zip(found, counts, strict=True) if count >= max(_RARE * len(labels), 1)]
