from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.camera import Camera, CameraRun
from benchmarks.candidates import Skipped
from benchmarks.environment import describe_machine
from benchmarks.latency import Latency
from benchmarks.matching import Mistake, PictureScore
from benchmarks.measure import Plan
from benchmarks.pipeline import FramePipeline, Pipeline
from benchmarks.report import SCHEMA, Report, describe_model, from_json, read_report, to_json
from benchmarks.size import ArtifactSize, DeviceSize, PackageSize, Size
from benchmarks.summary import percentile
from runtime.bundle import load_bundle
from runtime.errors import DataError


@pytest.fixture
def report(latency: Latency) -> Report:
    """One with something in every part."""
    frame = FramePipeline(
        *("one", "litert", "ten digits", "f" * 64),
        *(640, 480, 10, 12, 9, 1, 0, 2),
        {"detect": ((10, 11), (12, 13)), "classify": ((1, 2), (3, 4)), "total": ((11, 13), (15, 17))},
    )
    mistake = Mistake("wrong", "a.jpg", (1, 2, 3, 4), "7", "1", 0.9)
    picture = PictureScore("a.jpg", "pen", ("clean",), False, 2, 2, 1, 3, 1, 0, (mistake,))
    # A reason that looks like a block of samples must come through as it is.
    skipped = Skipped("tflite-runtime", ("one",), 'expected [1, 28,\n 28] "installed" – µ')
    return Report(
        created="2026-11-21T00:00:00+00:00",
        seconds=1.5,
        quick=True,
        threads=1,
        environment=describe_machine(),
        model=describe_model(load_bundle()),
        latency=dataclasses.replace(latency, skipped=(skipped,)),
        size=Size(
            (ArtifactSize("one", "one.tflite", 10, 9),),
            *(20, 30),
            (PackageSize("numpy", "2.0", 40),),
            (DeviceSize("litert", ("numpy",), 90),),
        ),
        pipeline=Pipeline(Plan(2, 2, 1), (frame,)),
        camera=Camera((CameraRun("frames", "pipeline", "one", "litert", (picture,)),)),
    )


def test_a_report_comes_back_from_json_as_it_was(report: Report, tmp_path: Path) -> None:
    text = to_json(report)
    assert from_json(text) == report
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    assert read_report(tmp_path / "report.json") == report


def test_a_report_of_one_benchmark_comes_back_too(report: Report) -> None:
    alone = dataclasses.replace(report, latency=None, pipeline=None)
    assert from_json(to_json(alone)) == alone


def test_the_json_holds_what_its_documentation_lists(report: Report) -> None:
    content = json.loads(to_json(report))
    assert set(content) == {
        *("schema", "created", "seconds", "quick", "threads", "environment", "model"),
        *("latency", "size", "pipeline", "camera", "summary"),
    }
    assert content["schema"] == SCHEMA == 1
    assert set(content["environment"]) >= {
        *("cpu", "cores", "flags", "governor", "load_average", "memory_bytes", "emulation"),
        *("system", "kernel", "python", "packages"),
    }
    bundle = load_bundle()
    assert [artifact["sha256"] for artifact in content["model"]["artifacts"]] == [
        artifact.sha256 for artifact in bundle.manifest.artifacts
    ]
    assert set(content["latency"]) == {"settings", "crops", "crops_sha256", "candidates", "skipped"}
    for candidate in content["latency"]["candidates"]:
        assert set(candidate) == {"artifact", "interpreter", "load_ns", "first_call_ns", "warm_up_ns", "steady_ns"}
    assert set(content["size"]) == {"artifacts", "bundle_bytes", "runtime_bytes", "packages", "devices"}
    assert set(content["pipeline"]["frames"][0]["stages_ns"]) == {"detect", "classify", "total"}


def test_the_summary_is_made_of_the_raw_samples(report: Report) -> None:
    content = json.loads(to_json(report))
    raw = content["latency"]["candidates"][1]["steady_ns"]["probabilities"]
    samples = [sample for block in raw for sample in block]
    figures = content["summary"]["latency"][1]["probabilities"]
    assert figures["count"] == len(samples) == 20
    assert figures["p50_ns"] == percentile(samples, 50)
    # Twenty samples say nothing of p90 and p99.
    assert set(figures) == {"count", "p50_ns", "spread"}
    assert content["summary"]["pipeline"][0]["total"]["count"] == 4


def test_the_summary_has_the_cameras_figures_and_null_where_there_are_none(report: Report) -> None:
    (run,) = json.loads(to_json(report))["summary"]["camera"]
    assert run["all"]["f1"]["value"] == pytest.approx(2 * 1 / (2 + 3))
    assert run["all"]["false_readings"] is None
    assert run["conditions"]["clean"]["pictures"] == 1


def test_a_report_from_before_the_camera_is_read(report: Report) -> None:
    content = json.loads(to_json(report))
    del content["camera"]
    assert from_json(json.dumps(content)) == dataclasses.replace(report, camera=None)


def test_each_block_of_samples_is_on_a_line_of_its_own(report: Report) -> None:
    assert '"detect": [\n' in to_json(report)
    assert "[10,11],\n" in to_json(report)


def edited(report: Report, **changes: Any) -> str:
    return json.dumps(json.loads(to_json(report)) | changes)


def test_another_schema_is_refused(report: Report) -> None:
    with pytest.raises(DataError, match="schema 2, expected 1"):
        from_json(edited(report, schema=2))


@pytest.mark.parametrize(
    "changes", [{"threads": "1"}, {"latency": []}, {"environment": None}, {"unknown": 1}, {"created": 3}]
)
def test_a_report_with_a_field_that_cannot_be_is_refused(report: Report, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="not a benchmark report"):
        from_json(edited(report, **changes))


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"schema": 1}', "not json"])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a benchmark report"):
        from_json(text)


def test_a_report_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_report(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot read"):
        read_report(tmp_path / "binary.json")
