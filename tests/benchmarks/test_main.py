from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import main
from benchmarks.latency import LatencySettings
from benchmarks.measure import Plan
from benchmarks.report import read_report
from benchmarks.tables import WIDTH
from runtime.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick is not quick enough for a test."""
    monkeypatch.setattr(command, "QUICK_LATENCY", LatencySettings(2, 2, Plan(rounds=2, calls=10, settle=1)))
    monkeypatch.setattr(command, "QUICK_PIPELINE", Plan(rounds=2, calls=2, settle=1))


@pytest.mark.usefixtures("short")
def test_all_benchmarks_end_in_tables_and_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    assert main(["--quick", "--json", str(out)]) == 0
    text = capsys.readouterr().out
    for title in ("machine ", "Latency of one digit", "Size of model", "Pipeline of a frame", "Camera: "):
        assert f"\n{title}" in f"\n{text}"
    report = read_report(out)
    assert report.quick
    assert report.latency is not None
    assert report.pipeline is not None
    assert report.size is not None
    assert report.camera is not None
    assert [run.reader for run in report.camera.runs] == ["pipeline"]
    names = [artifact.name for artifact in load_bundle().manifest.artifacts]
    assert {candidate.artifact for candidate in report.latency.candidates} <= set(names)
    for name in names:
        assert name in text
    assert [frame.frame for frame in report.pipeline.frames] == ["blank page", "ten digits", "full page"]
    assert {frame.artifact for frame in report.pipeline.frames} == {"litert-int8"}
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.usefixtures("short")
def test_json_on_stdout_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "--json", "-"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["latency"] is None
    assert "Size of model" in output.err


@pytest.mark.usefixtures("short")
def test_named_artifacts_alone_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    arguments = ["--artifact", "litert-float32", "--artifact", "litert-int8", "--threads", "2", "--json", str(out)]
    assert main(["all", "--quick", *arguments]) == 0
    report = read_report(out)
    assert report.latency is not None
    assert report.pipeline is not None
    assert report.size is not None
    assert report.threads == 2
    expected = {"litert-int8", "litert-float32"}
    assert {candidate.artifact for candidate in report.latency.candidates} == expected
    assert {frame.artifact for frame in report.pipeline.frames} == expected
    assert {entry.artifact for entry in report.size.artifacts} == expected
    assert "2 threads" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "absent"], 1, "no model absent: shipped are"),
        (["--artifact", "int4"], 2, "has no artifact int4; it has"),
        (["size", "--json", "/absent/folder/report.json"], 1, "cannot write --json /absent/folder/report.json"),
        (["size", "--json", "/"], 1, "cannot write --json /"),
        (["camera", "--frames", "/absent"], 1, "cannot read /absent/labels.json"),
        (["camera", "--sheet", "/absent/a.png"], 1, "there is no folder /absent"),
        (["camera", "--sheet", "a.txt"], 2, "--sheet is a.txt; expected a name that ends in .png or .jpg"),
    ],
)
def test_what_cannot_work_is_told_in_one_line_before_anything_is_measured(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert message in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["weight"], ["--threads", "0"], ["--threads", "two"], ["--fast"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m benchmarks" in capsys.readouterr().err


def test_an_altered_bundle_is_an_error_and_leaves_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = load_bundle()
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    path = copy / bundle.artifact("litert", "int8").file
    path.write_bytes(path.read_bytes()[:-1])
    out = tmp_path / "report.json"
    assert main(["latency", "--quick", "--model", str(copy), "--json", str(out)]) == 1
    assert "was altered" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_the_module_runs_and_needs_no_training_framework() -> None:
    code = "import sys, benchmarks.__main__; print(*{'tensorflow', 'keras', 'onnx', 'tf2onnx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")


def test_the_help_names_every_benchmark_and_option() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m benchmarks ")
    for word in (
        "latency",
        "size",
        "pipeline",
        "camera",
        "all",
        "--frames",
        "--photos",
        "--tutorial",
        "--sheet",
        "--model",
        "--artifact",
        "--threads",
        "--quick",
        "--json",
    ):
        assert word in done.stdout
