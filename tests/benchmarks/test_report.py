from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import SCHEMA, Report, describe_model, from_json, read_report, to_json
from benchmarks.sessions import Skipped
from benchmarks.summary import percentile
from runtime.bundle import load_bundle
from runtime.errors import DataError
from tests.benchmarks.test_sections import whole

PARTS = {
    *("schema", "created", "seconds", "quick", "threads", "core", "limits", "environment", "timeline", "models"),
    *("plan", "workload", "subjects", "series", "skipped", "size", "startup", "sustained", "camera", "summary"),
}


@pytest.fixture
def full(report: Report) -> Report:
    """With something in every part, and a reason that looks like a block of samples."""
    return dataclasses.replace(whole(report), skipped=(Skipped("one", 'expected [1, 28,\n 28] "installed" – µ'),))


def test_a_report_comes_back_from_json_as_it_was(full: Report, tmp_path: Path) -> None:
    text = to_json(full)
    assert from_json(text) == full
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    assert read_report(tmp_path / "report.json") == full


def test_a_report_of_one_benchmark_comes_back_too(full: Report) -> None:
    alone = dataclasses.replace(full, plan=None, workload=None, subjects=(), series=(), camera=None, sustained=None)
    assert from_json(to_json(alone)) == alone


def test_the_json_holds_what_its_documentation_lists(full: Report) -> None:
    content = json.loads(to_json(full))
    assert set(content) == PARTS
    assert content["schema"] == SCHEMA == 2
    assert set(content["environment"]) >= {
        *("cpu", "cores", "flags", "governor", "load_average", "memory_bytes", "emulation"),
        *("system", "kernel", "python", "packages"),
    }
    assert set(content["series"][0]) == {"subject", "operation", "stage", "sessions_ns", "busy"}
    assert set(content["timeline"][0]) >= {"seconds", "megahertz", "celsius", "throttled", "load", "stolen"}


def test_the_documentation_lists_every_part() -> None:
    from benchmarks import report

    assert report.__doc__ is not None
    for part in PARTS:
        assert f"\n    {part} " in report.__doc__


def test_a_model_is_told_by_its_hashes_and_accuracies() -> None:
    bundle = load_bundle()
    model = describe_model(bundle)
    for told, artifact in zip(model.artifacts, bundle.manifest.artifacts, strict=True):
        assert (told.sha256, told.bytes) == (artifact.sha256, artifact.bytes)
        assert told.accuracy == artifact.metrics["mnist_test"]["accuracy"]
        assert told.accuracy_low is not None
        assert told.accuracy is not None
        assert told.accuracy_low < told.accuracy


def test_the_summary_is_made_of_the_raw_samples(full: Report) -> None:
    content = json.loads(to_json(full))
    for series, figures in zip(content["series"], content["summary"]["series"], strict=True):
        samples = [sample for session in series["sessions_ns"] for block in session for sample in block]
        assert figures["count"] == len(samples)
        if "p50_ns" in figures:
            assert figures["p50_ns"]["value"] == percentile(samples, 50)
            assert figures["p50_ns"]["low"] <= figures["p50_ns"]["value"] <= figures["p50_ns"]["high"]
    most = max(content["summary"]["series"], key=lambda each: each["count"])
    assert set(most) == {"subject", "operation", "stage", "count", "p50_ns", "p90_ns", "outliers", "spread"}


def test_the_summary_has_the_cameras_figures_and_null_where_there_are_none(full: Report) -> None:
    (run,) = json.loads(to_json(full))["summary"]["camera"]
    assert run["all"]["f1"]["value"] == pytest.approx(2 * 1 / (2 + 3))
    assert run["all"]["false_readings"] is None
    assert run["conditions"]["clean"]["pictures"] == 1


def test_each_block_of_samples_is_on_a_line_of_its_own(full: Report) -> None:
    first = ",".join(map(str, full.series[0].sessions_ns[0][0]))
    assert f"[{first}]" in to_json(full)


def edited(report: Report, **changes: Any) -> str:
    return json.dumps(json.loads(to_json(report)) | changes)


@pytest.mark.parametrize("schema", [1, 3])
def test_another_schema_is_refused(full: Report, schema: int) -> None:
    with pytest.raises(DataError, match=f"schema {schema}, expected 2"):
        from_json(edited(full, schema=schema))


@pytest.mark.parametrize(
    "changes",
    [{"threads": ["1"]}, {"threads": 1}, {"series": {}}, {"environment": None}, {"unknown": 1}, {"created": 3}],
)
def test_a_report_with_a_field_that_cannot_be_is_refused(full: Report, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="not a benchmark report"):
        from_json(edited(full, **changes))


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"schema": 2}', "not json"])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a benchmark report"):
        from_json(text)


def test_a_report_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*absent\.json"):
        read_report(tmp_path / "absent.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"cannot read .*binary\.json"):
        read_report(tmp_path / "binary.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"other\.json: not a benchmark report"):
        read_report(tmp_path / "other.json")
