"""The same inputs through the float model and every artifact of a bundle: what differs, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from export.causes import Failure, find_causes, sound
from export.classifiers import Reference, artifact_classifiers, reference_classifier, variants
from export.clips import Clip
from export.findings import Comparison, Flip, KernelComparison, Verification
from export.inside import IMAGES, by_layer, weight_breaches
from export.limits import ANY, LimitSet, ReplayLimits
from export.parity import Logits, compare, spread
from export.replay import Readers, Replay, replaying
from export.samples import InputSet
from runtime.backends import ArtifactClassifier
from runtime.bundle import Bundle

VARIANT_COUNT = 5_000
"""Images of the first set that other kernels are asked; TFLite's own take ten times as long as XNNPACK's."""


def verify(
    bundle: Bundle,
    reference: ArtifactClassifier,
    sets: Iterable[InputSet],
    clips: Iterable[Clip],
    limits: LimitSet,
) -> Verification:
    """Compare every artifact of a bundle with the float model.

    Args:
        bundle: what to verify.
        reference: the float model, from ``reference_classifier``.
        sets: what to ask, while the clips are read already; other kernels are asked the beginning of the first.
        clips: to be read by the whole pipeline.
        limits: what may differ.

    Raises:
        DataError: an artifact has a precision without limits.
    """
    artifacts, broken = artifact_classifiers(bundle)
    compared = _others(artifacts, reference)
    kind: Reference = "keras" if reference.artifact.name == "keras" else "onnx"
    comparisons: list[Comparison] = []
    kernels: list[KernelComparison] = []
    flips: list[Flip] = []
    failed: list[Failure] = []
    asked: list[InputSet] = []
    readers, load = Readers(reference, compared), partial(_readers, bundle, kind)
    with ExitStack() as stack:
        pending = [stack.enter_context(replaying(clip, readers, load)) for clip in clips]
        for images in sets:
            expected = images.ask(reference.logits, "float model")
            answers = {name: images.ask(each.logits, name) for name, each in compared.items()}
            found = [_compare(images, reference, expected, compared[name], answers[name], limits) for name in answers]
            broke = [each.parity.artifact for each in found if each.parity.breaches]
            failed += [(images, compared[name], answers[name]) for name in broke]
            comparisons += found
            flips += _flips(images, reference, expected, compared, answers)
            asked.append(images)
            if images is asked[0]:
                kernels = _kernels(bundle, images, compared, answers, limits)
        errors, mended = by_layer(bundle, sound(artifacts, failed), asked[0].images[:IMAGES]) if asked else ([], [])
        replays = [each for finish in pending for each in finish()]
    breaches = [
        *broken,
        *(f"{each.images}: {line}" for each in comparisons for line in each.parity.breaches),
        *weight_breaches(errors, mended, limits.weights),
        *(line for each in kernels if not _explained(each, failed) for line in each.breaches),
        *(line for each in replays for line in _replay_breaches(each, limits.replay)),
    ]
    return Verification(
        bundle,
        kind,
        limits,
        tuple(asked),
        tuple(comparisons),
        tuple(kernels),
        tuple(flips),
        tuple(replays),
        tuple(errors),
        tuple(mended),
        tuple(breaches),
        tuple(find_causes(reference, failed, errors)),
    )


def _others(
    artifacts: Mapping[str, ArtifactClassifier], reference: ArtifactClassifier
) -> dict[str, ArtifactClassifier]:
    """All but the reference itself, which is one of them where it is the bundle's float ONNX file."""
    return {name: each for name, each in artifacts.items() if name != reference.artifact.name}


def _readers(bundle: Bundle, kind: Reference) -> Readers:
    """The same classifiers once more, for another process."""
    reference = reference_classifier(bundle, kind)
    return Readers(reference, _others(artifact_classifiers(bundle)[0], reference))


def _compare(
    images: InputSet,
    reference: ArtifactClassifier,
    expected: Logits,
    classifier: ArtifactClassifier,
    logits: Logits,
    limits: LimitSet,
) -> Comparison:
    artifact = classifier.artifact
    allowed = limits.of(artifact.precision, images.name) if images.gates else ANY
    judged = _judged(images, reference, expected), _judged(images, classifier, logits)
    step = artifact.output.scale
    return Comparison(
        images.name,
        compare(artifact.name, allowed, *judged, images.labels, images.origins),
        spread(expected, logits),
        spread(expected, logits, step) if step else None,
        spread(_confidences(reference, expected), _confidences(classifier, logits)),
        int((~np.isfinite(logits).all(axis=1)).sum()),
    )


def _judged(images: InputSet, classifier: ArtifactClassifier, logits: Logits) -> Logits:
    return images.judged(logits, classifier.artifact.none_prior)


def _confidences(classifier: ArtifactClassifier, logits: Logits) -> Logits:
    with np.errstate(invalid="ignore"):  # of logits that are no numbers: these are counted apart
        return classifier.confidences(logits)


def _flips(
    images: InputSet,
    reference: ArtifactClassifier,
    expected: Logits,
    classifiers: dict[str, ArtifactClassifier],
    answers: dict[str, Logits],
) -> list[Flip]:
    was = _judged(images, reference, expected).argmax(axis=1)
    now = {name: _judged(images, classifiers[name], logits).argmax(axis=1) for name, logits in answers.items()}
    indices = np.flatnonzero(np.any([labels != was for labels in now.values()], axis=0))
    original = _confidences(reference, expected[indices])
    others = {name: _confidences(classifiers[name], logits[indices]) for name, logits in answers.items()}

    def said(label: int, probabilities: npt.NDArray[np.float32]) -> tuple[str, float]:
        return reference.labels[label], round(float(probabilities[label]), 4)

    # A digit's label is the largest logit's: confidences weigh `none` more, as a camera meets it more often.
    return [
        Flip(
            images.name,
            int(index),
            images.images[index],
            reference.labels[images.labels[index]],
            said(int(was[index]), original[row]),
            {name: said(int(now[name][index]), each[row]) for name, each in others.items()},
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
        logits = part.ask(variant.classifier.logits, variant.name)
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


def _explained(kernels: KernelComparison, failed: Sequence[Failure]) -> bool:
    """Whether two artifacts differ because one of them is at fault, which is said already and of that one alone."""
    faulty = {classifier.artifact.name for _, classifier, _ in failed}
    return kernels.name.startswith("onnx-") and not faulty.isdisjoint((kernels.name, kernels.against))


def _replay_breaches(result: Replay, limits: ReplayLimits) -> Iterator[str]:
    who = f"{result.clip}: {result.artifact}"
    if result.agreement < limits.agreement:
        yield f"{who}: {result.agreement:.2%} of digits are read the same, limit {limits.agreement:.2%}"
    if result.bound_elsewhere < limits.elsewhere:
        what = "of what is read where no digit is are the same"
        yield f"{who}: {result.bound_elsewhere:.2%} {what} at the most, limit {limits.elsewhere:.2%}"
