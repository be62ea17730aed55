"""What a worker process can time: a classifier and the pipeline on it, a peer, or the machine itself.

A subject offers operations by name. An operation makes so many calls and gives the nanoseconds of each, by stage; most
have the one stage ``total``. Those on a frame are named ``READER, FRAME``, such as ``pipeline, ten digits 640×480``.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.bare import make_bare
from benchmarks.labels import LabeledDigit
from benchmarks.measure import time_calls
from benchmarks.peers import CROP_PEERS, plain_chain, tesseract, tutorial_reader
from benchmarks.size import INTERPRETER_PACKAGES
from benchmarks.workload import DrawnFrame, real_crops
from runtime.backends import ArtifactClassifier, check_golden, make_classifier
from runtime.bundle import Bundle, load_bundle
from runtime.detect import detect
from runtime.errors import BackendError
from runtime.pictures import to_frame
from runtime.quiet import native_stderr_silent
from runtime.recognizer import Recognizer
from runtime.scoring import TrueDigit, score_readings
from runtime.values import Box, Image

Operation: TypeAlias = Callable[[int], Mapping[str, list[int]]]

STAGES = ("luma", "detect", "classify", "total")
"""Of the pipeline: color to gray; find and cut out ink; probabilities of all crops; all of it, with what is between."""

PIPELINE, CHAIN, ADAPTIVE, TESSERACT = "pipeline", "blur + Otsu", "blur + adaptive", "Tesseract"
"""Readers of whole frames: the shipped one, the tutorials' two, and Tesseract."""

TEN = 10
"""Crops of the operations ``ten probabilities`` and ``ten × set, invoke, get``."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A subject to be.

    Attributes:
        name: unique in a run, such as ``edge litert-int8 in litert``.
        kind: a key of ``SUBJECTS``.
        operations: that are wanted of it.
        model: folder of the bundle.
        artifact: name in its manifest.
        interpreter: what runs it.
        threads: of the interpreter and of OpenCV.
        python: of the environment that it lives in; this one's where empty.
        loads: times that it is loaded, and that a new one is called for the first time.
        warm_up: calls after the first.
        slower: share of its own time by which the classifier is slowed down, to prove that this is noticed.
    """

    name: str
    kind: str
    operations: tuple[str, ...]
    model: str = ""
    artifact: str = ""
    interpreter: str = ""
    threads: int = 1
    python: str = ""
    loads: int = 1
    warm_up: int = 20
    slower: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What can be timed, and what is known about it, as JSON has it."""

    operations: Mapping[str, Operation]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """What is measured on, the same pixels for every worker.

    Attributes:
        crops: uint8 (n, 28, 28).
        labels: what the float model answers to each, an index.
        frames: by name.
    """

    crops: Image
    labels: tuple[int, ...]
    frames: Mapping[str, DrawnFrame]

    def save(self, path: Path) -> None:
        """Write it, for the workers."""
        arrays: dict[str, Any] = {"crops": self.crops, "labels": np.array(self.labels)}
        for name, frame in self.frames.items():
            arrays[f"{frame.page}|picture|{name}"] = frame.picture
            arrays[f"{frame.page}|digits|{name}"] = np.array(
                [[*digit.box.as_list(), int(digit.label)] for digit in frame.digits], np.int64
            ).reshape(-1, 5)
        np.savez(path, **arrays)


def make_workload(frames: Sequence[DrawnFrame], bundle: Bundle) -> Workload:
    """Crops, frames, and what the bundle's first float artifact that runs here says of the crops.

    Raises:
        BackendError: none runs here.
    """
    crops = real_crops()
    reasons = []
    for artifact in sorted(bundle.manifest.artifacts, key=lambda a: a.precision != "float32"):
        try:
            with native_stderr_silent():  # LiteRT announces its delegate, once
                labels = make_classifier(bundle, artifact).logits(crops).argmax(axis=1)
        except BackendError as error:
            reasons.append(str(error))
        else:
            return Workload(crops, tuple(labels.tolist()), {frame.name: frame for frame in frames})
    raise BackendError("nothing can be measured here: " + "; ".join(reasons))


def read_workload(path: Path) -> Workload:
    """What ``Workload.save`` wrote."""
    with np.load(path) as arrays:
        frames = {}
        for key in arrays.files:
            page, kind, name = key.split("|") if "|" in key else (key, "", "")
            if kind == "picture":
                digits = tuple(
                    LabeledDigit(str(label), Box(*box)) for *box, label in arrays[f"{page}|digits|{name}"].tolist()
                )
                frames[name] = DrawnFrame(page, arrays[key], digits)
        return Workload(arrays["crops"], tuple(arrays["labels"].tolist()), frames)


def make_subject(spec: Spec, workload: Workload) -> Subject:
    """Become what is wanted.

    Raises:
        BackendError: something that it takes is not installed.
        BundleError: the bundle is damaged.
    """
    cv2.setNumThreads(spec.threads)
    return SUBJECTS[spec.kind](spec, workload)


def classifier_subject(spec: Spec, workload: Workload) -> Subject:
    """An artifact in an interpreter: bare, as the runtime's classifier, and at work in readers of frames."""
    bundle = load_bundle(spec.model)
    artifact = next(a for a in bundle.manifest.artifacts if a.name == spec.artifact)

    def make() -> ArtifactClassifier:
        interpreter = spec.interpreter if artifact.backend == "litert" else "litert"
        return make_classifier(bundle, artifact, threads=spec.threads, interpreter=interpreter)

    def load() -> ArtifactClassifier:
        load_bundle(bundle.folder)
        classifier = make()
        check_golden(classifier, bundle.golden())
        return classifier

    singles = [crop[None] for crop in workload.crops]
    inputs = itertools.cycle(singles)
    load()  # the first time, the interpreter's package is imported with it
    loads_ns, kept = [], []
    for _ in range(spec.loads):
        started = time.perf_counter_ns()
        kept.append(load())
        loads_ns.append(time.perf_counter_ns() - started)
    # Loading asks the golden vectors, so the first call ever is one of a classifier that was only made.
    fresh = [make() for _ in range(spec.loads)]
    first_ns = [ns for each in fresh for ns in time_calls(each.probabilities, inputs, 1)]
    classifier: Any = fresh[-1]
    warm_up_ns = time_calls(classifier.probabilities, inputs, spec.warm_up)
    if spec.slower:
        classifier = _Slowed(classifier, spec.slower)
    bare = make_bare(artifact, bundle.read(artifact), spec.interpreter, spec.threads)
    ten = workload.crops[:TEN]
    operations = {
        "invoke": _timed(lambda _: bare.invoke(), singles),
        "set, invoke, get": _timed(bare.call, singles),
        "probabilities": _timed(classifier.probabilities, singles),
        "ten × set, invoke, get": _timed(lambda crops: [bare.call(crop[None]) for crop in crops], [ten]),
        "ten probabilities": _timed(classifier.probabilities, [ten]),
    }
    read: dict[str, dict[str, int]] = {}
    for operation in spec.operations:
        reader, _, name = operation.partition(", ")
        frame = workload.frames.get(name)
        if frame is None or reader == TESSERACT:
            continue
        if reader == PIPELINE:
            recognizer = Recognizer(classifier)
            # Tracks settle within a few frames; what is counted as read is what stands there then.
            readings = [recognizer(to_frame(frame.picture, 0, 0.0)).readings for _ in range(5)][-1]
            operations[operation] = _staged(recognizer, frame.picture)
            wholes = detect(to_frame(frame.picture, 0, 0.0).luma).candidates.wholes()
            read[operation] = _counts(frame, readings, len(wholes))
        else:
            reads = _tutorial(reader, classifier, bare.call, bundle.manifest.labels)
            operations[operation] = _timed(reads, [frame.picture])
            read[operation] = _counts(frame, reads(frame.picture))
    facts = {
        "version": _version(INTERPRETER_PACKAGES[spec.interpreter]),
        "kernels": bare.kernels,
        "load_ns": loads_ns,
        "first_call_ns": first_ns,
        "warm_up_ns": warm_up_ns,
        "read": read,
    }
    return Subject(operations, facts)


def peer_subject(spec: Spec, workload: Workload) -> Subject:
    """Another interpreter on the same network and crops; it must answer them as the float model does.

    Raises:
        BackendError: it is not installed, or answers otherwise.
    """
    calls = CROP_PEERS[spec.interpreter](load_bundle(spec.model), spec.threads)
    singles = [crop[None] for crop in workload.crops]
    for name, call in calls.items():
        same = sum(int(call(crop).argmax()) == label for crop, label in zip(singles, workload.labels, strict=True))
        if same < 0.99 * len(singles):
            raise BackendError(f"{name} gives only {same} of {len(singles)} crops the float model's label")
    packages = {"opencv-dnn": "opencv-python-headless"}
    version = _version(packages.get(spec.interpreter, spec.interpreter)) or cv2.__version__
    return Subject({name: _timed(call, singles) for name, call in calls.items()}, {"version": version, "kernels": ""})


def tesseract_subject(spec: Spec, workload: Workload) -> Subject:
    """Tesseract on frames; each call starts its program, as its Python packages do."""
    frames = {name: workload.frames[name.partition(", ")[2]] for name in spec.operations}
    read = {name: _counts(frame, tesseract(frame.picture)) for name, frame in frames.items()}
    operations = {name: _timed(tesseract, [frame.picture]) for name, frame in frames.items()}
    return Subject(operations, {"version": "", "kernels": "", "read": read})


def reference_subject(spec: Spec, workload: Workload) -> Subject:
    """Work that no change to this project changes, a little of everything: how fast the machine is now."""
    gray = cv2.cvtColor(next(iter(workload.frames.values())).picture, cv2.COLOR_BGR2GRAY)[:120, :160]
    left = np.random.default_rng(0).integers(0, 127, (48, 48)).astype(np.float32)

    def work(_: object) -> float:
        total = 0.0
        for i in range(400):
            total += i * 0.5
        return total + float((left @ left)[0, 0]) + float(cv2.boxFilter(gray, -1, (5, 5))[0, 0])

    return Subject({"reference": _timed(work, [None])}, {"version": "", "kernels": ""})


SUBJECTS: Mapping[str, Callable[[Spec, Workload], Subject]] = {
    "classifier": classifier_subject,
    "peer": peer_subject,
    "tesseract": tesseract_subject,
    "reference": reference_subject,
}
"""By kind, how a subject is made."""


class _Slowed:
    """A classifier that takes longer by a share of its own time."""

    def __init__(self, classifier: ArtifactClassifier, share: float) -> None:
        self._classifier, self._share = classifier, share
        self.labels, self.accept, self.unsure = classifier.labels, classifier.accept, classifier.unsure

    def logits(self, crops: Image) -> npt.NDArray[np.float32]:
        return self._classifier.logits(crops)

    def probabilities(self, crops: Image) -> npt.NDArray[np.float32]:
        now = time.perf_counter_ns
        started = now()
        answer = self._classifier.probabilities(crops)
        end = now() + round(self._share * (now() - started))
        while now() < end:
            pass
        return answer


def _timed(call: Callable[[Any], object], inputs: Sequence[Any]) -> Operation:
    taken = itertools.cycle(inputs)
    return lambda count: {"total": time_calls(call, taken, count)}


def _staged(recognizer: Recognizer, picture: Image) -> Operation:
    def run(count: int) -> dict[str, list[int]]:
        samples: dict[str, list[int]] = {stage: [] for stage in STAGES}
        for _ in range(count):
            started = time.perf_counter_ns()
            frame = to_frame(picture, 0, 0.0)
            converted = time.perf_counter_ns()
            milliseconds = recognizer(frame).milliseconds
            samples["total"].append(time.perf_counter_ns() - started)
            samples["luma"].append(converted - started)
            for stage in ("detect", "classify"):
                samples[stage].append(round(milliseconds[stage] * 1e6))
        return samples

    return run


def _tutorial(
    reader: str, classifier: ArtifactClassifier, call: Callable[[Image], npt.NDArray[Any]], labels: tuple[str, ...]
) -> Callable[[Image], Sequence[TrueDigit]]:
    if reader == CHAIN:
        return plain_chain(call, labels)
    adaptive = tutorial_reader(classifier)
    return lambda picture: adaptive(to_frame(picture, 0, 0.0))


def _counts(frame: DrawnFrame, readings: Sequence[TrueDigit], crops: int = 0) -> dict[str, int]:
    score = score_readings(frame.digits, readings)
    return {
        "digits": len(frame.digits),
        "crops": crops,
        "right": score.right,
        "wrong": score.wrong,
        "missed": score.missed,
        "invented": score.invented,
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def operations_of(spec: Spec, offered: Sequence[str]) -> Iterator[str]:
    """The operations of a subject to time: those wanted, or all where none is named."""
    yield from (name for name in offered if not spec.operations or name in spec.operations)
