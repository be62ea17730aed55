"""What can be measured: each artifact of a bundle in each interpreter for it, and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers import CROP_PEERS
from benchmarks.subjects import ADAPTIVE, CHAIN, PIPELINE, TESSERACT, Spec
from runtime.backends import INTERPRETERS, ArtifactClassifier, check_golden, make_classifier
from runtime.bundle import Artifact, Bundle
from runtime.errors import UsageError
from runtime.quiet import native_stderr_silent

LATENCY = ("invoke", "set, invoke, get", "probabilities", "ten × set, invoke, get", "ten probabilities")
"""Operations of one digit, and of ten."""

REFERENCE = "reference"
"""The subject that says how fast the machine is at the moment."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Which frames are read by whom, by name.

    Attributes:
        default: by the artifact that an application loads unless told otherwise.
        each: by every other one.
        others: by the tutorials' readers and by Tesseract.
    """

    default: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def choose_artifacts(bundle: Bundle, names: Sequence[str]) -> list[Artifact]:
    """The artifacts of these names, in the manifest's order; all of them where no name is given.

    Raises:
        UsageError: the bundle has none of that name.
    """
    there = [artifact.name for artifact in bundle.manifest.artifacts]
    for name in names:
        if name not in there:
            raise UsageError(f"model {bundle.manifest.name} has no artifact {name}; it has {', '.join(there)}")
    return [artifact for artifact in bundle.manifest.artifacts if not names or artifact.name in names]


def default_artifact(artifacts: Sequence[Artifact]) -> Artifact:
    """What an application loads unless told otherwise: LiteRT's int8; the first of all where there is none."""
    wanted = [a for a in artifacts if (a.backend, a.precision) == ("litert", "int8")]
    return (wanted or list(artifacts))[0]


def load_here(bundle: Bundle, artifact: Artifact, interpreter: str = "litert") -> ArtifactClassifier:
    """The classifier of an artifact in this process, proved as an application's is.

    Raises:
        BackendError: the interpreter is not installed.
        BundleError: the bundle is damaged.
    """
    with native_stderr_silent():  # LiteRT announces its delegate, once
        classifier = make_classifier(bundle, artifact, interpreter=interpreter)
        check_golden(classifier, bundle.golden())
    return classifier


def classifier_specs(
    bundle: Bundle,
    artifacts: Sequence[Artifact],
    threads: Sequence[int],
    *,
    latency: bool,
    frames: Frames,
    pythons: Mapping[str, str],
    loads: int,
) -> list[Spec]:
    """A subject for every artifact in every interpreter, with each number of threads.

    Args:
        bundle: whose artifacts.
        artifacts: of them.
        threads: numbers of threads; frames are read with the first alone.
        latency: time single digits.
        frames: which are read.
        pythons: by interpreter, the Python of another environment that has it.
        loads: times that each is loaded in a session.
    """
    specs = []
    for artifact in artifacts:
        for interpreter in ("onnxruntime",) if artifact.backend == "onnx" else tuple(INTERPRETERS):
            first = artifact is default_artifact(artifacts) and interpreter != "tflite-runtime"
            read = [f"{PIPELINE}, {name}" for name in (frames.default if first else frames.each)]
            if first:
                read += [f"{reader}, {name}" for name in frames.others for reader in (CHAIN, ADAPTIVE)]
            for count in threads:
                operations = (*(LATENCY if latency else ()), *(read if count == threads[0] else ()))
                if operations:
                    name = subject_name(bundle.manifest.name, artifact.name, interpreter, count)
                    model, python = str(bundle.folder), pythons.get(interpreter, "")
                    known = (name, "classifier", operations, model, artifact.name, interpreter)
                    specs.append(Spec(*known, threads=count, python=python, loads=loads))
    return specs


def peer_specs(bundle: Bundle, *, latency: bool, frames: Sequence[str], pythons: Mapping[str, str]) -> list[Spec]:
    """A subject for every peer, one thread each.

    Args:
        bundle: whose network the interpreters among them run.
        latency: time single digits.
        frames: that Tesseract reads.
        pythons: by peer, the Python of another environment that has it.
    """
    specs = []
    if latency:
        specs = [
            Spec(name, "peer", (), str(bundle.folder), interpreter=name, python=pythons.get(name, ""))
            for name in CROP_PEERS
        ]
    if frames:
        specs.append(Spec(TESSERACT, "tesseract", tuple(f"{TESSERACT}, {name}" for name in frames)))
    return specs


def reference_spec() -> Spec:
    """What says how fast the machine is."""
    return Spec(REFERENCE, "reference", ())


def subject_name(model: str, artifact: str, interpreter: str, threads: int) -> str:
    """Such as ``edge litert-int8 in litert``; the number of threads is said from two on."""
    return f"{model} {artifact} in {interpreter}" + (f", {threads} threads" if threads > 1 else "")
