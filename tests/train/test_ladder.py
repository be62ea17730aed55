from __future__ import annotations

from pathlib import Path

import pytest

from tests.mnist import mnist_folder
from train.ladder import main


def test_each_step_is_trained_once_and_tabulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--networks", "micro,tiny", "--seeds", "0-1", "--epochs", "1", "--limit", "60", "--frames", "0"]
    arguments = [*short, "--out", str(tmp_path), "--data", str(mnist_folder()), "--test"]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    head, micro, tiny = table.splitlines()
    assert head.split() == ["network", "int8", "weights", "validation", "test", "published"]
    assert micro.split()[:3] == ["micro", "2,846", "B"]
    assert "±" in tiny
    written = [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/*/model.keras"))]
    assert len(written) == 4
    assert main(arguments) == 0
    assert capsys.readouterr().out == table
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.glob("*/*/model.keras"))] == written


def test_an_unknown_network_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--networks", "micro,huge"]) == 2
    assert "huge" in capsys.readouterr().err
