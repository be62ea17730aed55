"""A whole run as a value, and as JSON.

The JSON, schema 2 (an object; times are integers of nanoseconds, sizes of bytes)::

    schema        2; goes up when a field changes its meaning or goes away
    created       when the run began, ISO 8601, UTC
    seconds       that it took
    quick         true: fewer samples than usual
    threads       numbers of threads that interpreters were given
    core          that everything was measured on, while one thread was enough
    limits        max_ms, max_kb, min_accuracy of the verdict, each or null
    environment   the machine: see environment.Environment
    timeline      the machine while it worked: see monitor.Moment
    models        name, manifest_sha256, and of each artifact name, file, sha256, bytes, backend, precision, accuracy
    plan          how much was measured: see sessions.Plan
    workload      crops, crops_sha256, and each frame's name, sha256, width, height, digits
    subjects      what was timed: name, kind, model, artifact, interpreter, threads, version, kernels, raised
                  (priority over other programs), load_ns, first_call_ns, warm_up_ns, and what was read of each frame
    series        the samples: subject, operation, stage, sessions_ns: sessions -> blocks -> nanoseconds, and
                  busy: sessions -> blocks -> share of the time that the process had a core for
    skipped       what was not measured, and why
    size          null, or see size.Size
    startup       fresh processes: see startup.Startup
    sustained     null, or the windows of a long run: see sustained.Sustained
    camera        null, or per reader and folder what became of each picture: see camera.Camera
    summary       made of the above for readers without Python, never read back: of each series its count, the
                  percentiles that it supports (p50_ns, p90_ns, p99_ns, each as value, low, high), outliers and spread;
                  of camera found, right, precision, f1, … as value, low, high, for all and by condition

History: 1, the first; 2, workers, sessions and series in place of latency and pipeline.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.camera import Camera
from benchmarks.environment import Environment
from benchmarks.matching import PictureScore
from benchmarks.monitor import Moment
from benchmarks.quality import conditions, measure_quality
from benchmarks.serial import build, to_text
from benchmarks.sessions import Plan, Session, Skipped
from benchmarks.size import Size
from benchmarks.startup import Startup
from benchmarks.subjects import Spec, Workload
from benchmarks.summary import flatten, intervals, outliers, spread
from benchmarks.sustained import Sustained
from benchmarks.workload import pixels_sha256
from runtime.bundle import MANIFEST, Bundle
from runtime.errors import DataError

SCHEMA = 2


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """Which file the figures are of, and its accuracy on MNIST's test set where the manifest tells it."""

    name: str
    file: str
    sha256: str
    bytes: int
    backend: str
    precision: str
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which bundle the figures are of."""

    name: str
    manifest_sha256: str
    artifacts: tuple[ArtifactInfo, ...]


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """A frame that was read."""

    name: str
    sha256: str
    width: int
    height: int
    digits: int


@dataclass(frozen=True, slots=True)
class WorkloadInfo:
    """What was measured on."""

    crops: int
    crops_sha256: str
    frames: tuple[FrameInfo, ...]


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """What was timed; ``read`` holds by operation the digits, crops, right, wrong, missed and invented."""

    name: str
    kind: str
    model: str
    artifact: str
    interpreter: str
    threads: int
    version: str
    kernels: str
    raised: bool
    load_ns: tuple[int, ...]
    first_call_ns: tuple[int, ...]
    warm_up_ns: tuple[int, ...]
    read: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one stage of one operation of one subject.

    Attributes:
        subject: what ran.
        operation: that was called.
        stage: of it.
        sessions_ns: sessions of blocks of nanoseconds.
        busy: of each block the share of the time that its process had a core for, see ``workers.Block``.
    """

    subject: str
    operation: str
    stage: str
    sessions_ns: tuple[tuple[tuple[int, ...], ...], ...]
    busy: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is to be shipped may take so long, be so large, and must be so accurate; None for any.

    Attributes:
        max_ms: median milliseconds of a 640×480 frame with ten digits.
        max_kb: of the file, 1000 bytes each.
        min_accuracy: on MNIST's test set, a share.
    """

    max_ms: float | None = None
    max_kb: float | None = None
    min_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found out; the module's docstring says what each part is."""

    created: str
    seconds: float
    quick: bool
    threads: tuple[int, ...]
    core: int | None
    limits: Limits
    environment: Environment
    timeline: tuple[Moment, ...]
    models: tuple[ModelInfo, ...]
    plan: Plan | None = None
    workload: WorkloadInfo | None = None
    subjects: tuple[SubjectInfo, ...] = ()
    series: tuple[Series, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    size: Size | None = None
    startup: tuple[Startup, ...] = ()
    sustained: Sustained | None = None
    camera: Camera | None = None

    def find(self, subject: str, operation: str, stage: str = "total") -> Series | None:
        """The series of this subject, operation and stage, if it was measured."""
        wanted = (subject, operation, stage)
        return next((s for s in self.series if (s.subject, s.operation, s.stage) == wanted), None)

    def artifact(self, subject: SubjectInfo) -> ArtifactInfo | None:
        """The file that a subject ran, if it is a bundle's."""
        return next(
            (a for m in self.models if m.name == subject.model for a in m.artifacts if a.name == subject.artifact), None
        )


def describe_model(bundle: Bundle) -> ModelInfo:
    """Name, fingerprints and accuracies of a bundle."""
    artifacts = []
    for a in bundle.manifest.artifacts:
        test = a.metrics.get("mnist_test") or {}
        low, high = test.get("interval95") or (None, None)
        artifacts.append(
            ArtifactInfo(a.name, a.file, a.sha256, a.bytes, a.backend, a.precision, test.get("accuracy"), low, high)
        )
    digest = hashlib.sha256((bundle.folder / MANIFEST).read_bytes()).hexdigest()
    return ModelInfo(bundle.manifest.name, digest, tuple(artifacts))


def describe_workload(workload: Workload) -> WorkloadInfo:
    """Fingerprints of what was measured on."""
    frames = [
        FrameInfo(
            *(name, pixels_sha256(frame.picture)),
            width=frame.picture.shape[1],
            height=frame.picture.shape[0],
            digits=len(frame.digits),
        )
        for name, frame in workload.frames.items()
    ]
    return WorkloadInfo(len(workload.crops), pixels_sha256(workload.crops), tuple(frames))


def describe_subjects(specs: Sequence[Spec], sessions: Sequence[Session]) -> tuple[SubjectInfo, ...]:
    """What was timed, with what its workers said in every session; subjects that were skipped are left out."""
    found = []
    for spec in specs:
        said = [session.facts[spec.name] for session in sessions if spec.name in session.facts]
        if said:
            model = json.loads((Path(spec.model) / MANIFEST).read_text(encoding="utf-8"))["name"] if spec.model else ""
            found.append(
                SubjectInfo(
                    *(spec.name, spec.kind, model, spec.artifact, spec.interpreter),
                    threads=spec.threads,
                    version=said[0]["version"],
                    kernels=said[0]["kernels"],
                    raised=all(facts.get("raised", False) for facts in said),
                    load_ns=_joined(said, "load_ns"),
                    first_call_ns=_joined(said, "first_call_ns"),
                    warm_up_ns=_joined(said, "warm_up_ns"),
                    read=said[0].get("read", {}),
                )
            )
    return tuple(found)


def join_series(sessions: Sequence[Session]) -> tuple[Series, ...]:
    """The samples of all sessions; what is not in every session is left out."""
    return tuple(
        Series(
            *(subject, operation, stage),
            sessions_ns=tuple(session.blocks[subject][operation][stage] for session in sessions),
            busy=tuple(session.busy[subject][operation] for session in sessions),
        )
        for subject, operations in sessions[0].blocks.items()
        for operation, stages in operations.items()
        for stage in stages
        if all(operation in session.blocks.get(subject, {}) for session in sessions)
    )


def to_json(report: Report) -> str:
    """The report as JSON text, each block of samples on a line of its own."""
    return to_text({"schema": SCHEMA} | dataclasses.asdict(report) | {"summary": _summary(report)})


def from_json(text: str) -> Report:
    """The report that ``to_json`` wrote.

    Raises:
        DataError: it is no such report, or one of another schema.
    """
    try:
        content = json.loads(text)
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise DataError(f"the report has schema {schema}, expected {SCHEMA}; run the benchmark again")
        content.pop("summary", None)
        report: Report = build(Report, content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a benchmark report ({error}); python -m benchmarks --json FILE writes one") from error
    return report


def read_report(path: Path) -> Report:
    """Read a report from its file.

    Raises:
        DataError: the file cannot be read or is no report.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _joined(said: Sequence[Mapping[str, Any]], key: str) -> tuple[int, ...]:
    return tuple(ns for facts in said for ns in facts.get(key, ()))


def _summary(report: Report) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "series": [
            {"subject": each.subject, "operation": each.operation, "stage": each.stage} | _figures(each)
            for each in report.series
        ]
    }
    if report.camera:
        summary["camera"] = [
            {"folder": run.folder, "reader": run.reader, "artifact": run.artifact}
            | {"all": _quality(run.pictures)}
            | {
                "conditions": {
                    tag: _quality([s for s in run.pictures if tag in s.tags]) for tag in conditions(run.pictures)
                }
            }
            for run in report.camera.runs
        ]
    return summary


def _quality(scores: Sequence[PictureScore]) -> dict[str, Any]:
    """Figures with their intervals; null where there is nothing to count."""
    figures = dataclasses.asdict(measure_quality(scores))
    return {
        name: None if isinstance(figure, dict) and math.isnan(figure["value"]) else figure
        for name, figure in figures.items()
    }


def _figures(series: Series) -> dict[str, Any]:
    samples = flatten(series.sessions_ns)
    blocks = [block for session in series.sessions_ns for block in session]
    found = {f"p{percent}_ns": dataclasses.asdict(value) for percent, value in intervals(series.sessions_ns).items()}
    return {"count": len(samples)} | found | {"outliers": outliers(samples), "spread": round(spread(blocks), 4)}
