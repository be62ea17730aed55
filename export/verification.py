"""The same inputs through the float model and every artifact of a bundle: what differs, and whether it may."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from tqdm import tqdm

from export.classifiers import artifact_classifiers, variants
from export.findings import Comparison, Flip, InputSet, KernelComparison, Verification
from export.layers import IMAGES, LayerError, Repair, layer_errors, repairs
from export.limits import ANY, LimitSet
from export.parity import compare, mcnemar_p, spread
from export.replay import Replay, replay
from runtime.backends import ArtifactClassifier
from runtime.bundle import Bundle
from runtime.scoring import TrueDigit
from runtime.values import Image

VARIANT_COUNT = 5_000
"""Images of the first set that other kernels are asked; TFLite's own take ten times as long as XNNPACK's."""

_CHUNK = 1_000

log = logging.getLogger(__name__)

Logits = npt.NDArray[np.float32]


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
        *_by_layer(bundle, list(artifacts), sets[0].images[:IMAGES] if sets else None),
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


def _by_layer(
    bundle: Bundle, names: list[str], images: Image | None
) -> tuple[tuple[LayerError, ...], tuple[Repair, ...]]:
    """Where the int8 files lose what, where the bundle holds their float files too."""
    contents = {each.name: bundle.read(each) for each in bundle.manifest.artifacts if each.name in names}
    errors: list[LayerError] = []
    mended: list[Repair] = []
    if images is None:
        return (), ()
    try:
        if {"litert-float32", "litert-int8"} <= set(contents):
            errors = layer_errors(contents["litert-float32"], contents["litert-int8"], images)
        if {"onnx-float32", "onnx-int8"} <= set(contents) and importlib.util.find_spec("onnx") is not None:
            mended = repairs(contents["onnx-float32"], contents["onnx-int8"], images)
    except ValueError as error:  # not the same operators: nothing to lay side by side, which is no fault by itself
        log.warning("no comparison layer by layer: %s", error)
    return tuple(errors), tuple(mended)


def _replay_breach(result: Replay, limits: LimitSet) -> str:
    return (
        f"demo: {result.artifact}: {result.agreement:.2%} of digits are read the same, "
        f"limit {limits.replay:.2%} ({len(result.differences)} differ)"
    )
