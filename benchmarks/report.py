"""A whole run as a value, and as JSON.

The JSON, schema 1 (an object; times are integers of nanoseconds, sizes of bytes)::

    schema        1; goes up when a field changes its meaning or goes away
    created       when the run began, ISO 8601, UTC
    seconds       that it took
    quick         true: fewer samples than usual
    threads       of each interpreter's kernels
    environment   the machine: see environment.Environment
    model         name, manifest_sha256; artifacts: name, file, sha256, bytes, backend, precision of each
    latency       null, or settings, crops, crops_sha256, skipped, and per candidate load_ns, first_call_ns, warm_up_ns
                  and steady_ns (operation -> blocks of raw samples, in the order of the run): see latency.Latency
    size          null, or artifacts, bundle_bytes, runtime_bytes, packages, devices: see size.Size
    pipeline      null, or plan, and per frame what was drawn and read and stages_ns (stage -> blocks of raw samples):
                  see pipeline.Pipeline
    camera        null, or per reader and folder what became of each picture, every miss and invention: see
                  camera.Camera; absent in reports older than it
    summary       made of the raw samples above, for readers without Python; never read back: for each figure its count,
                  the percentiles that the count supports (p50_ns, p90_ns, p99_ns) and, for blocks, their spread;
                  of camera found, right, precision, f1, … as value, low, high, for all and by condition

History: 1, the first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.camera import Camera
from benchmarks.environment import Environment
from benchmarks.latency import Latency
from benchmarks.matching import PictureScore
from benchmarks.pipeline import Pipeline
from benchmarks.quality import conditions, measure_quality
from benchmarks.size import Size
from benchmarks.summary import flatten, percentiles, spread
from runtime.bundle import MANIFEST, Bundle
from runtime.errors import DataError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """Which file the figures are of."""

    name: str
    file: str
    sha256: str
    bytes: int
    backend: str
    precision: str


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which bundle the figures are of."""

    name: str
    manifest_sha256: str
    artifacts: tuple[ArtifactInfo, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found out; the module's docstring says what each part is."""

    created: str
    seconds: float
    quick: bool
    threads: int
    environment: Environment
    model: ModelInfo
    latency: Latency | None = None
    size: Size | None = None
    pipeline: Pipeline | None = None
    camera: Camera | None = None


def describe_model(bundle: Bundle) -> ModelInfo:
    """Name and fingerprints of a bundle."""
    return ModelInfo(
        bundle.manifest.name,
        hashlib.sha256((bundle.folder / MANIFEST).read_bytes()).hexdigest(),
        tuple(
            ArtifactInfo(a.name, a.file, a.sha256, a.bytes, a.backend, a.precision) for a in bundle.manifest.artifacts
        ),
    )


def to_json(report: Report) -> str:
    """The report as JSON text, each block of samples on a line of its own."""
    content = {"schema": SCHEMA} | dataclasses.asdict(report) | {"summary": _summary(report)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    # A line break inside brackets is never part of a string: JSON writes it there as \n.
    return re.sub(r"\[\n[\s\d,]+\]", lambda match: re.sub(r"\s+", "", match[0]), text) + "\n"


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
        report: Report = _build(Report, content)
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


def _build(kind: Any, value: Any) -> Any:
    """A value of a type made of dataclasses, tuples, mappings and plain types, out of what JSON has made of it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _build(next(k for k in inner if k is not types.NoneType), value)
    if dataclasses.is_dataclass(kind):
        kinds = typing.get_type_hints(kind)
        fields = {name: _build(kinds[name], entry) for name, entry in value.items()}
        return typing.cast("type[Any]", kind)(**fields)
    if origin is tuple:
        return tuple(_build(inner[0], entry) for entry in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _build(inner[1], entry) for key, entry in value.items()}
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{value!r} where {kind.__name__} was expected")
    return value


def _summary(report: Report) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    if report.latency:
        summary["latency"] = [
            {
                "artifact": candidate.artifact,
                "interpreter": candidate.interpreter,
                "load": _figures([candidate.load_ns]),
                "first_call": _figures([candidate.first_call_ns]),
                "warm_up": _figures([candidate.warm_up_ns]),
            }
            | {operation: _figures(blocks) for operation, blocks in candidate.steady_ns.items()}
            for candidate in report.latency.candidates
        ]
    if report.pipeline:
        summary["pipeline"] = [
            {"artifact": frame.artifact, "interpreter": frame.interpreter, "frame": frame.frame}
            | {stage: _figures(blocks) for stage, blocks in frame.stages_ns.items()}
            for frame in report.pipeline.frames
        ]
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


def _figures(blocks: Sequence[Sequence[int]]) -> dict[str, float]:
    samples = flatten(blocks)
    figures: dict[str, float] = {"count": len(samples)}
    figures |= {f"p{percent}_ns": value for percent, value in percentiles(samples).items()}
    return figures | ({"spread": round(spread(blocks), 4)} if len(blocks) > 1 else {})
