"""What may be wrong with a file that does not agree: the faults that occur in practice, tried on the float model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from export.layers import LayerError
from export.parity import Logits
from export.samples import InputSet
from runtime.backends import ArtifactClassifier
from runtime.values import Image

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


def find_cause(
    images: InputSet,
    reference: ArtifactClassifier,
    classifier: ArtifactClassifier,
    logits: Logits,
    layers: Sequence[LayerError],
) -> str | None:
    """A line on why an artifact may not agree: its calibration, or else what is likeliest; None if nothing is.

    Args:
        images: where it does not agree.
        reference: the float model.
        classifier: the artifact.
        logits: float32 (n, labels), its answers.
        layers: errors of the int8 LiteRT artifact layer by layer, where they are known.
    """

    def answer(pixels: Image) -> Logits:
        return images.judged(reference.logits(pixels), reference.artifact.none_prior)

    name = classifier.artifact.name
    cause = calibration_cause(layers) if name == "litert-int8" else None
    judged = images.judged(logits, classifier.artifact.none_prior)
    cause = cause or likely_cause(answer, images.images, judged, reference.labels)
    return f"{name}: likely cause: {cause}" if cause else None


def likely_cause(
    reference: Callable[[Image], Logits], images: Image, logits: Logits, labels: Sequence[str]
) -> str | None:
    """What would make the float model answer as the artifact does; None where nothing known would.

    Args:
        reference: the float model, uint8 (n, 28, 28) -> logits float32 (n, labels).
        images: uint8 (n, 28, 28).
        logits: float32 (n, labels), the artifact's.
        labels: meaning of each output.
    """
    images, now = images[:IMAGES], logits[:IMAGES].argmax(axis=1)
    was = reference(images).argmax(axis=1)
    agreement = float((now == was).mean())
    foretold = {
        words: float((reference(np.ascontiguousarray(fault(images))).argmax(axis=1) == now).mean())
        for words, fault in INPUT_FAULTS.items()
    }
    words = max(foretold, key=foretold.__getitem__)
    if _explains(foretold[words], agreement):
        return f"{words} (the float model, so treated, gives {foretold[words]:.0%} of its labels)"
    answered = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(answered, (was, now), 1)
    usual = answered.argmax(axis=1).tolist()
    occurs = np.flatnonzero(answered.sum(axis=1) >= max(_RARE * len(images), 1)).tolist()
    share = float(answered.max(axis=1).sum() / len(images))
    moved = [i for i in occurs if usual[i] != i]
    if len({usual[i] for i in occurs}) == len(occurs) and len(moved) > 1 and _explains(share, agreement):
        shown = ", ".join(f"{labels[i]} is answered as {labels[usual[i]]}" for i in moved)
        return f"its labels are in another order: {shown}"
    answers = set(now.tolist())
    if len(answers) == 1:
        return f"it answers {labels[answers.pop()]} whatever it is shown"
    never = [labels[i] for i in occurs if i not in answers]
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


def _explains(share: float, agreement: float) -> bool:
    """Whether a cause foretells most answers, and more than half of those that need one."""
    return share >= _EXPLAINED and 1 - share < (1 - agreement) / 2
