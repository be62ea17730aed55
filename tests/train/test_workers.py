from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import UsageError
from tests.mnist import mnist_folder
from train.workers import connect, start

ROOT = Path(__file__).resolve().parents[2]


def run(out: Path, *options: str) -> dict[str, float]:
    """The last epoch of a short training in a process of its own."""
    short = ["--model", "micro", "--limit", "600", "--epochs", "1", "--frames", "0", "--batch", "40"]
    arguments = [*short, *options, "--data", str(mnist_folder()), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "train", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1  # of the chief alone
    assert {path.name for path in out.iterdir()} == {"model.keras", "history.json"}
    last: dict[str, float] = json.loads((out / "history.json").read_text())["epochs"][-1]
    return last


def test_two_processes_on_loopback_reach_the_loss_of_one(tmp_path: Path) -> None:
    one, two = run(tmp_path / "one"), run(tmp_path / "two", "--workers", "2")
    # The chief's loss is that of its half of the pictures, and batch normalization counts on halves: the losses of 744
    # pictures spread by about 0.35, so that the mean of half of them is 0.02 off.
    assert two["loss"] == pytest.approx(one["loss"], abs=0.06)
    assert two["validation_loss"] == pytest.approx(one["validation_loss"], abs=0.03)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        '{"cluster": {"worker": []}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}}',
    ],
)
def test_a_broken_configuration_is_one_line_that_shows_the_form(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG is not") as caught:
        connect()
    assert "\n" not in str(caught.value)


def test_what_workers_say_holds_none_of_them_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One says more than a pipe holds, and the others wait for it, as they do for each other's gradients.
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").touch()
    (tmp_path / "train" / "__main__.py").write_text(
        "import json, os, sys, time\n"
        "from pathlib import Path\n"
        'index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]\n'
        "if index == 2:\n"
        '    sys.stderr.write("x" * 300_000)\n'
        '    Path("said").touch()\n'
        "patience = time.monotonic() + 20\n"
        'while not Path("said").exists() and time.monotonic() < patience:\n'
        "    time.sleep(0.01)\n"
        'sys.exit(0 if Path("said").exists() else "waited in vain")\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert start([], 3) == 0


def test_without_a_configuration_there_are_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert connect() is None
