"""The same inputs through the float model and every artifact of a bundle: what differs, and whether it may."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from tqdm import tqdm

from export.classifiers import artifact_classifiers, variants
from export.limits import ANY, LimitSet
from export.parity import Parity, Spread, compare, mcnemar_p, spread
from export.replay import Replay, replay
from runtime.backends import ArtifactClassifier
from runtime.bundle import Bundle
from runtime.scoring import TrueDigit
from runtime.values import Image

VARIANT_COUNT = 5_000
"""Images of the first set that other kernels are asked; TFLite's own take ten times as long as XNNPACK's."""

_CHUNK = 1_000

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class InputSet:
    """Images to compare on.

    Attributes:
        name: ``gate`` or ``mnist``.
        images: uint8 (n, 28, 28).
        labels: uint8 (n,), the truth.
        gates: whether the limits hold on it; else it is only reported.
    """

    name: str
    images: Image
    labels: npt.NDArray[np.uint8]
    gates: bool

    @property
    def sha256(self) -> str:
        """Of images and labels."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """An artifact against the float model on one input set.

    Attributes:
        images: name of the set.
        parity: labels, accuracy, bound and breaches.
        classes: those that occur, as ``parity.recall_change`` has them.
        reference_interval: Wilson 95 % interval of the float model's accuracy.
        interval: of the artifact's.
        p: exact McNemar p of lost against gained.
        logits: largest difference of each image's logits.
        steps: the same in quantization steps; None where the logits are not quantized.
        probability: largest difference of each image's probabilities.
        not_finite: images with a logit that is no number.
    """

    images: str
    parity: Parity
    classes: tuple[int, ...]
    reference_interval: tuple[float, float]
    interval: tuple[float, float]
    p: float
    logits: Spread | None
    steps: Spread | None
    probability: Spread | None
    not_finite: int


@dataclass(frozen=True, slots=True, eq=False)
class KernelComparison:
    """The same network by two interpreters, or by two sets of kernels.

    Attributes:
        name: what was run.
        against: what it should answer like.
        count: images.
        flips: images with another label.
        logits: largest difference of each image's logits.
        steps: the same in quantization steps; None where the logits are not quantized.
        breaches: a line for each limit that is broken.
    """

    name: str
    against: str
    count: int
    flips: int
    logits: Spread | None
    steps: Spread | None
    breaches: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """An image that some artifact labels otherwise than the float model.

    Attributes:
        images: name of the set.
        index: of the image in it.
        pixels: uint8 (28, 28).
        truth: what it is.
        reference: label and confidence of the float model.
        answers: label and confidence of each artifact, by name.
    """

    images: str
    index: int
    pixels: Image
    truth: str
    reference: tuple[str, float]
    answers: dict[str, tuple[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """All that was found out about a bundle.

    Attributes:
        bundle: which.
        reference: what the artifacts were compared with: ``keras`` or ``onnx``.
        limits: what they were held to.
        sets: what they were asked.
        comparisons: each artifact on each set.
        kernels: other interpreters and kernels.
        flips: each image that an artifact labels otherwise, of every set.
        replays: each artifact on a camera's frames.
        breaches: a line for each limit that is broken; empty where the bundle may ship.
    """

    bundle: Bundle
    reference: str
    limits: LimitSet
    sets: tuple[InputSet, ...]
    comparisons: tuple[Comparison, ...]
    kernels: tuple[KernelComparison, ...]
    flips: tuple[Flip, ...]
    replays: tuple[Replay, ...]
    breaches: tuple[str, ...]


def verify(
    bundle: Bundle,
    reference: ArtifactClassifier,
    sets: Sequence[InputSet],
    frames: Iterable[tuple[Image, Sequence[TrueDigit]]] | None,
    limits: LimitSet,
) -> Verification:
    """Compare every artifact of a bundle with the float model.

    Args:
        bundle: what to verify.
        reference: the float model, from ``reference_classifier``.
        sets: what to ask; other kernels are asked the beginning of the first.
        frames: uint8 luma (H, W) and what stands on it, to be read by the whole pipeline; None for none.
        limits: what may differ.

    Raises:
        DataError: an artifact has a precision without limits.
    """
    artifacts, broken = artifact_classifiers(bundle)
    # The reference itself is one of them, where it is the bundle's float ONNX file.
    compared = {name: each for name, each in artifacts.items() if name != reference.artifact.name}
    comparisons: list[Comparison] = []
    kernels: list[KernelComparison] = []
    flips: list[Flip] = []
    for images in sets:
        expected = _answers(reference.logits, images, "float model")
        answers = {name: _answers(each.logits, images, name) for name, each in compared.items()}
        comparisons += [
            _compare(images, reference, expected, compared[name], answers[name], limits) for name in answers
        ]
        flips += _flips(images, reference, expected, compared, answers)
        if images is sets[0]:
            kernels = _kernels(bundle, images, compared, answers, limits)
    replays = [] if frames is None else replay(tqdm(frames, desc="demo", unit="frame"), reference, compared)
    breaches = [
        *broken,
        *(f"{each.images}: {line}" for each in comparisons for line in each.parity.breaches),
        *(line for each in kernels for line in each.breaches),
        *(_replay_breach(each, limits) for each in replays if each.agreement < limits.replay),
    ]
    return Verification(
        bundle,
        reference.artifact.name.removesuffix("-float32"),
        limits,
        tuple(sets),
        tuple(comparisons),
        tuple(kernels),
        tuple(flips),
        tuple(replays),
        tuple(breaches),
    )


def _answers(answer: Callable[[Image], Logits], images: InputSet, what: str) -> Logits:
    chunks = [images.images[i : i + _CHUNK] for i in range(0, len(images.images), _CHUNK)]
    bar = tqdm(chunks, desc=f"{images.name}: {what}", unit="k", delay=1, leave=False)
    return np.concatenate([answer(chunk) for chunk in bar])


def _compare(
    images: InputSet,
    reference: ArtifactClassifier,
    expected: Logits,
    classifier: ArtifactClassifier,
    logits: Logits,
    limits: LimitSet,
) -> Comparison:
    artifact = classifier.artifact
    allowed = limits.of(artifact.precision) if images.gates else ANY
    parity = compare(artifact.name, allowed, expected, logits, images.labels)
    step = artifact.output.scale
    return Comparison(
        images.name,
        parity,
        tuple(np.unique(images.labels).tolist()),
        _wilson(parity.reference_accuracy, parity.count),
        _wilson(parity.accuracy, parity.count),
        mcnemar_p(parity.lost, parity.gained),
        spread(expected, logits),
        spread(expected, logits, step) if step else None,
        spread(_confidences(reference, expected), _confidences(classifier, logits)),
        int((~np.isfinite(logits).all(axis=1)).sum()),
    )


def _confidences(classifier: ArtifactClassifier, logits: Logits) -> Logits:
    with np.errstate(invalid="ignore"):  # of logits that are no numbers: these are counted apart
        return classifier.confidences(logits)


def _wilson(accuracy: float, count: int) -> tuple[float, float]:
    interval = binomtest(round(accuracy * count), count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _flips(
    images: InputSet,
    reference: ArtifactClassifier,
    expected: Logits,
    classifiers: dict[str, ArtifactClassifier],
    answers: dict[str, Logits],
) -> list[Flip]:
    was = expected.argmax(axis=1)
    differs = np.zeros(len(was), bool)
    for logits in answers.values():
        differs |= logits.argmax(axis=1) != was
    indices = np.flatnonzero(differs)
    original = _confidences(reference, expected[indices])
    others = {name: _confidences(classifiers[name], logits[indices]) for name, logits in answers.items()}

    def said(label: int, probabilities: npt.NDArray[np.float32]) -> tuple[str, float]:
        return reference.labels[label], round(float(probabilities[label]), 4)

    # The label is the largest logit's: confidences weigh `none` more, as a camera meets it more often.
    return [
        Flip(
            images.name,
            int(index),
            images.images[index],
            str(images.labels[index]),
            said(int(was[index]), original[row]),
            {name: said(int(answers[name][index].argmax()), each[row]) for name, each in others.items()},
        )
        for row, index in enumerate(indices)
    ]


def _kernels(
    bundle: Bundle,
    images: InputSet,
    classifiers: dict[str, ArtifactClassifier],
    answers: dict[str, Logits],
    limits: LimitSet,
) -> list[KernelComparison]:
    found = []
    for name, classifier in classifiers.items():
        other = name.replace("litert-", "onnx-")
        if other != name and other in answers:
            found.append(_kernel(other, name, classifier, answers[name], answers[other], limits))
    known = dict(answers)
    part = replace(images, images=images.images[:VARIANT_COUNT], labels=images.labels[:VARIANT_COUNT])
    for variant in variants(bundle, list(classifiers)):
        logits = _answers(variant.classifier.logits, part, variant.name)
        expected = known[variant.against][: len(logits)]
        known[variant.name] = logits
        found.append(_kernel(variant.name, variant.against, variant.classifier, expected, logits, limits))
    return found


def _kernel(
    name: str, against: str, classifier: ArtifactClassifier, expected: Logits, logits: Logits, limits: LimitSet
) -> KernelComparison:
    allowed = limits.of(classifier.artifact.precision)
    step = classifier.artifact.output.scale
    flips = int((logits.argmax(axis=1) != expected.argmax(axis=1)).sum())
    lines = []
    if flips > allowed.disagreement * len(logits):
        lines.append(f"{flips / len(logits):.3%} of labels differ, limit {allowed.disagreement:.3%}")
    both = np.isfinite(logits).all() and np.isfinite(expected).all()
    if not both:
        lines.append("some logits are not finite")
    elif allowed.logits is not None:
        difference = float(np.abs(logits - expected).max() / np.abs(expected).max())
        if difference > allowed.logits:
            lines.append(f"logits differ by {difference:.2e} of the largest, limit {allowed.logits:.0e}")
    return KernelComparison(
        name,
        against,
        len(logits),
        flips,
        spread(expected, logits),
        spread(expected, logits, step) if step else None,
        tuple(f"kernels: {name} against {against}: {line}" for line in lines),
    )


def _replay_breach(result: Replay, limits: LimitSet) -> str:
    return (
        f"demo: {result.artifact}: {result.agreement:.2%} of digits are read the same, "
        f"limit {limits.replay:.2%} ({len(result.differences)} differ)"
    )
