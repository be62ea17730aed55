from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import pytest

from export.__main__ import main
from runtime.bundle import load_bundle
from tests.mnist import mnist_folder
from tests.refusal import refusal

ROOT = Path(__file__).resolve().parents[2]
GREETING = re.compile(
    r"absl|oneDNN|cuda|cuInit|cpu_feature|^[IWEF]\d{4} |Traceback|Warning", re.IGNORECASE | re.MULTILINE
)


def command(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


refused = partial(refusal, main)


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def test_without_a_trained_model_it_says_how_to_train_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = refused(capsys, ["--model", "other", "--run", tmp_path / "run"], 1)
    assert str(tmp_path / "run" / "model.keras") in text
    assert "python -m train --model other" in text


def test_a_gate_of_few_images_is_wrong_usage(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    assert "--gate-count is 99" in refused(capsys, ["--run", copied, "--gate-count", "99"], 2)


def test_a_format_that_nobody_makes_is_wrong_usage(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    text = refused(capsys, ["--run", copied, "--formats", "litert-int8,litert-int4"], 2)
    assert "'litert-int4'" in text
    assert "onnx-float32-batch" in text


def test_a_folder_without_mnist_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], copied: Path, tmp_path: Path
) -> None:
    assert str(tmp_path / "nowhere") in refused(capsys, ["--run", copied, "--data", tmp_path / "nowhere"], 1)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": {}, "augmentation": {}, "epochs": []}'])
def test_a_broken_history_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], copied: Path, content: str
) -> None:
    (copied / "history.json").write_text(content)
    assert str(copied / "history.json") in refused(capsys, ["--run", copied], 1)


def test_a_run_that_is_still_training_is_refused(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    history = json.loads((copied / "history.json").read_text())
    history["epochs"].pop()
    (copied / "history.json").write_text(json.dumps(history))
    assert "5 of 6 epochs" in refused(capsys, ["--run", copied], 1)


def test_a_broken_model_is_one_line_that_names_it(capsys: pytest.CaptureFixture[str], copied: Path) -> None:
    (copied / "model.keras").write_bytes(b"half")
    text = refused(capsys, ["--run", copied, "--data", mnist_folder(), "--out", copied.parent / "out"], 1)
    assert str(copied / "model.keras") in text


def test_a_folder_that_is_no_bundle_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], copied: Path, tmp_path: Path
) -> None:
    text = refused(capsys, ["--run", copied, "--data", mnist_folder(), "--out", tmp_path], 2)
    assert str(tmp_path) in text
    assert (copied / "model.keras").is_file()


def test_help_names_every_option_without_loading_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "export", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert not re.search(r"\b(tensorflow|keras|onnx)$", done.stderr, re.MULTILINE)
    for option in ("--model", "--run", "--out", "--data", "--formats", "--gate-count"):
        assert option in done.stdout


def test_a_model_that_int8_breaks_ends_with_1_one_line_and_no_bundle(
    unquantizable: keras.Model, copied: Path, tmp_path: Path
) -> None:
    unquantizable.save(copied / "model.keras")
    out = tmp_path / "models" / "some"
    done = command("export", "--run", copied, "--data", mnist_folder(), "--out", out, "--gate-count", "200")
    assert done.returncode == 1
    assert done.stdout == ""
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: {out} is left as it was: gate: litert-int8: ")
    assert not GREETING.search(done.stderr), done.stderr
    assert "converting" in done.stderr  # progress
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_a_real_training_exports_within_the_real_limits(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "models" / "small"
    data = mnist_folder()
    trained = command("train", "--data", data, "--limit", "20000", "--epochs", "4", "--out", run)
    assert trained.returncode == 0, trained.stderr
    done = command("export", "--run", run, "--data", data, "--out", out)
    assert done.returncode == 0, done.stderr
    assert not GREETING.search(done.stderr), done.stderr
    lines = done.stdout.splitlines()
    counts = "50,000 images of digits and 10,000 of what is not a digit"
    assert lines[-1] == f"{out}: every artifact agrees with the float model on {counts}"
    artifacts = load_bundle(out).manifest.artifacts
    assert re.fullmatch(r"two other calibrations: \d\.\d{3}% of 5,000 labels differ", lines[-2])
    for artifact, line in zip(artifacts, lines[1:-2], strict=True):
        assert line.split()[:3] == [
            artifact.name,
            f"{artifact.bytes:,}",
            f"{artifact.metrics['mnist_test']['accuracy']:.2%}",
        ]
        assert artifact.metrics["mnist_test"]["accuracy"] > 0.97
