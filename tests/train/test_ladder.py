from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.mnist import mnist_folder
from train.ladder import main

SHORT = ["--epochs", "1", "--limit", "60"]


def test_each_step_is_trained_once_and_tabulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SHORT, "--seeds", "0-1", "--out", str(tmp_path), "--data", str(mnist_folder()), "--test"]
    assert main([*arguments, "--finished"]) == 1
    assert "nothing is finished" in capsys.readouterr().err
    assert main([*arguments, "--networks", "micro"]) == 0
    table = capsys.readouterr().out
    head, micro = table.splitlines()
    titles = ["network", "int8", "weights", "seeds", "validation", "wanted", "test", "published", "one", "training"]
    assert head.split() == titles
    assert micro.split()[:4] == ["micro", "2,794", "B", "2"]
    assert "±" in micro
    assert (tmp_path / "ladder.md").read_text(encoding="utf-8").splitlines()[2].startswith("| micro | 2,794 B | 2 |")
    written = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/*/model.keras"))]
    assert len(written) == 2
    for again in (["--networks", "micro"], ["--finished"]):  # the second of all networks, of which one is there
        assert main([*arguments, *again]) == 0
        assert capsys.readouterr().out == table
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/*/model.keras"))] == written


def test_a_training_that_fails_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "micro").touch()
    arguments = [*SHORT, "--networks", "micro", "--seeds", "0", "--out", str(tmp_path), "--data", str(mnist_folder())]
    assert main(arguments) == 1
    assert "training micro with seed 0 failed: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", [["--networks", "micro,huge"], ["--epochs", "0"], ["--processes", "none"]])
def test_what_cannot_be_is_wrong_usage(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2") if option[0] != "--networks" else contextlib.nullcontext():
        assert main(option) == 2
    assert option[1].split(",")[-1] in capsys.readouterr().err
