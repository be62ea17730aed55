"""What can be measured here: each artifact of a bundle in each interpreter that is installed for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.backends import INTERPRETERS, ArtifactClassifier, check_golden, make_classifier
from runtime.bundle import Artifact, Bundle, load_bundle
from runtime.errors import BackendError, UsageError
from runtime.quiet import native_stderr_silent


@dataclass(frozen=True, slots=True)
class Candidate:
    """An artifact in an interpreter.

    Attributes:
        artifact: what runs.
        interpreter: what runs it: ``litert``, ``tflite-runtime`` or ``onnxruntime``.
        make: makes a new classifier that has answered nothing yet; the file is verified.
        load: makes a new classifier as an application does: manifest and file verified, golden vectors asked.
    """

    artifact: Artifact
    interpreter: str
    make: Callable[[], ArtifactClassifier]
    load: Callable[[], ArtifactClassifier]

    @property
    def name(self) -> str:
        """Unique among the candidates of a bundle."""
        return f"{self.artifact.name} in {self.interpreter}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not measured.

    Attributes:
        interpreter: that could not be had.
        artifacts: names of those that it would have run.
        reason: why, and how to change it.
    """

    interpreter: str
    artifacts: tuple[str, ...]
    reason: str


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


def find_candidates(
    bundle: Bundle, artifacts: Sequence[Artifact], *, threads: int
) -> tuple[list[Candidate], list[Skipped]]:
    """Load every artifact once in every interpreter, so that each is proved and its package imported.

    Returns:
        Those that can be measured, and those that cannot, with the reason.

    Raises:
        BundleError: a file is missing or altered, or an interpreter answers the golden vectors otherwise than it
            should: nothing worth timing.
        BackendError: none can be measured.
    """
    found: list[Candidate] = []
    missing: dict[tuple[str, str], list[str]] = {}
    for artifact in artifacts:
        for interpreter in ("onnxruntime",) if artifact.backend == "onnx" else tuple(INTERPRETERS):
            candidate = _candidate(bundle, artifact, interpreter, threads)
            try:
                with native_stderr_silent():  # LiteRT announces its delegate, once
                    candidate.load()
            except BackendError as error:
                missing.setdefault((interpreter, str(error)), []).append(artifact.name)
            else:
                found.append(candidate)
    skipped = [Skipped(interpreter, tuple(names), reason) for (interpreter, reason), names in missing.items()]
    if not found:
        raise BackendError("nothing can be measured here: " + "; ".join(skip.reason for skip in skipped))
    return found, skipped


def default_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """What an application loads unless told otherwise: the first int8 one; the first of all where there is none."""
    return next((c for c in candidates if c.artifact.precision == "int8"), candidates[0])


def _candidate(bundle: Bundle, artifact: Artifact, interpreter: str, threads: int) -> Candidate:
    def make() -> ArtifactClassifier:
        # The onnx backend has one interpreter and takes no name.
        chosen = interpreter if artifact.backend == "litert" else "litert"
        return make_classifier(bundle, artifact, threads=threads, interpreter=chosen)

    def load() -> ArtifactClassifier:
        load_bundle(bundle.folder)
        classifier = make()
        check_golden(classifier, bundle.golden())
        return classifier

    return Candidate(artifact, interpreter, make, load)
