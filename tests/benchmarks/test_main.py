from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.__main__ import main
from benchmarks.report import read_report
from benchmarks.sessions import Plan
from benchmarks.tables import WIDTH
from runtime.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
FILES = {"report.json", "report.md"}
PAGES = ["blank page", "ten digits", "full page"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick is not quick enough for a test."""
    monkeypatch.setattr(run, "QUICK", Plan(sessions=2, rounds=1, block_ns=1, least=10, most=10, settle=1))
    monkeypatch.setattr(run, "QUICK_STARTS", 1)
    monkeypatch.setattr(run, "QUICK_IDLE_SECONDS", 0.2)


@pytest.mark.usefixtures("short")
def test_all_benchmarks_end_in_tables_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    assert main(["--quick", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    for title in ("Verdict", "Machine", "One digit", "Whole frames", "Starting up", "Size", "Accuracy", "Camera: "):
        assert f"\n{title}" in f"\n{text}"
    assert {"report.json", "report.md"} <= {path.name for path in out.iterdir()} <= {*FILES, "report.html"}
    report = read_report(out / "report.json")
    assert report.quick
    assert report.size is not None
    assert report.camera is not None
    assert [run.reader for run in report.camera.runs] == ["pipeline"]
    names = [artifact.name for artifact in load_bundle().manifest.artifacts]
    assert {subject.artifact for subject in report.subjects} <= {*names, ""}
    for name in names:
        assert name in text
    assert report.workload is not None
    assert [frame.name.rpartition(" ")[0] for frame in report.workload.frames] == PAGES
    assert {startup.name for startup in report.startup} >= {"litert-int8 in litert"}
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.usefixtures("short")
def test_json_on_stdout_is_alone_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "--json", "-"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["series"] == []
    assert "\nSize\n" in output.err


@pytest.mark.usefixtures("short")
def test_named_artifacts_alone_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    named = ["--artifact", "litert-float32", "--artifact", "litert-int8"]
    assert main(["latency", "--quick", *named, "--threads", "2,1", "--json", str(out)]) == 0
    report = read_report(out)
    assert report.threads == (2, 1)
    classifiers = [subject for subject in report.subjects if subject.kind == "classifier"]
    assert {(subject.artifact, subject.threads) for subject in classifiers} >= {
        (name, count) for name in ("litert-int8", "litert-float32") for count in (1, 2)
    }
    assert {subject.artifact for subject in classifiers} == {"litert-int8", "litert-float32"}
    assert "2 threads" in capsys.readouterr().out


@pytest.mark.usefixtures("short")
def test_limits_that_nothing_keeps_end_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["latency", "--quick", "--artifact", "litert-int8", "--max-kb", "1"]
    assert main(arguments) == 1
    assert "Nothing keeps within the limits (at most 1 kB); nearest is" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "absent"], 1, "no model absent: shipped are"),
        (["--artifact", "int4"], 2, "has no artifact int4; it has"),
        (["size", "--json", "/absent/folder/report.json"], 1, "cannot write --json /absent/folder/report.json"),
        (["size", "--json", "/"], 1, "cannot write --json /"),
        (["camera", "--frames", "/absent"], 1, "cannot read /absent/labels.json"),
        (["camera", "--sheet", "/absent/a.png"], 1, "there is no folder /absent"),
        (["size", "--out", "/proc/absent"], 1, "cannot make --out /proc/absent"),
        (["size", "--python", "ncnn=/absent"], 2, "--python ncnn=/absent: there is no file /absent"),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latency", "--max-ms", "5"], "--max-ms is for a whole frame, which latency does not time"),
        (["size", "--max-kb", "10"], "size times nothing; run latency, pipeline or all"),
        (["camera", "--min-accuracy", "0.9"], "camera times nothing"),
    ],
)
def test_a_limit_that_nothing_would_be_held_to_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        *(["weight"], ["--threads", "0"], ["--threads", "1,two"], ["--fast"], ["--max-kb", "-1"], ["--max-kb", "x"]),
        *(["--python", "ncnn"], ["--min-accuracy", "99.5"], ["--sustained", "0"]),
    ],
)
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
        "memory",
        "startup",
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
        "--out",
        "--peers",
        "--python",
        "--sustained",
        "--max-ms",
        "--max-kb",
        "--min-accuracy",
    ):
        assert word in done.stdout
