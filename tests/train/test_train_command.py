from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.mnist import mnist_folder
from tests.refusal import refusal
from train.__main__ import main, seed_list

ROOT = Path(__file__).resolve().parents[2]
GREETING = re.compile(
    r"absl|oneDNN|cuda|cuInit|cpu_feature|^[IWEF]\d{4} |Traceback|Warning", re.IGNORECASE | re.MULTILINE
)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "train", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


refused = partial(refusal, main)


@pytest.mark.parametrize("option", ["epochs", "batch", "limit"])
@pytest.mark.parametrize("value", ["0", "-3"])
def test_a_count_below_one_is_wrong_usage(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    assert f"--{option} is {value}" in refused(capsys, [f"--{option}", value], 2)


def test_a_seed_below_zero_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--seed is -1; expected 0 or more" in refused(capsys, ["--seed", "-1"], 2)


def test_frames_below_zero_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--frames is -1; expected 0 or more" in refused(capsys, ["--frames", "-1"], 2)


def test_an_unknown_network_is_wrong_usage_and_the_known_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    text = refused(capsys, ["--model", "enormous"], 2)
    assert "enormous" in text
    assert "edge" in text


@pytest.mark.parametrize("make", [True, False], ids=["empty", "missing"])
def test_a_folder_without_mnist_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make: bool
) -> None:
    folder = tmp_path / "data"
    if make:
        folder.mkdir()
    assert str(folder) in refused(capsys, ["--data", folder, "--out", tmp_path / "run"], 1)
    assert not (tmp_path / "run").exists()


def test_there_is_nothing_to_resume_without_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = refused(capsys, ["--resume", "--frames", "0", "--data", mnist_folder(), "--out", tmp_path / "run"], 1)
    assert str(tmp_path / "run") in text


def test_a_file_in_the_place_of_the_results_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = refused(capsys, ["--data", mnist_folder(), "--limit", "10", "--frames", "0", "--out", tmp_path / "file"], 1)
    assert str(tmp_path / "file") in text


def test_help_names_every_option_without_loading_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert not re.search(r"\b(tensorflow|keras)$", done.stderr, re.MULTILINE)
    for option in ["model", "data", "out", "epochs", "batch", "limit", "frames", "pools", "seed", "resume"]:
        assert f"--{option}" in done.stdout


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("7", (7,)), ("1,5", (1, 5)), ("0-1, 1-2", (0, 1, 2))]
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: tuple[int, ...]) -> None:
    assert seed_list(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-", "4-2", "-1", "1;2"])
def test_other_lists_of_seeds_are_wrong_usage(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="0-4"):
        seed_list(text)


def test_an_unknown_kind_of_augmentation_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected some of rotation" in refused(capsys, ["--without", "rotation,mirror"], 2)


@pytest.mark.parametrize("option", [["--resume"], ["--without", "bend"], ["--teacher", "wide"]])
def test_the_plain_recipe_refuses_what_it_has_not(capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    assert option[0] in refused(capsys, ["--recipe", "plain", *option], 2)


def test_several_seeds_print_mean_and_spread_and_a_finished_one_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--model", "micro", "--limit", "100", "--epochs", "1", "--frames", "0", "--seeds", "0-1", "--tensorboard"]
    arguments = ["--data", str(mnist_folder()), *short, "--out", str(tmp_path)]
    assert main(arguments) == 0
    *each, summary = capsys.readouterr().out.splitlines()
    assert len(each) == 2
    accuracies = []
    for seed in (0, 1):
        run = tmp_path / f"seed-{seed}"
        accuracies.append(json.loads((run / "history.json").read_text())["epochs"][-1]["validation_accuracy"])
        assert list((run / "events").iterdir())
    spread = abs(accuracies[0] - accuracies[1]) / 2**0.5
    assert summary == f"2 seeds: {sum(accuracies) / 2:.2%} ± {100 * spread:.2f} points (standard deviation)"
    written = (tmp_path / "seed-0" / "model.keras").stat().st_mtime_ns
    assert main([*arguments, "--resume"]) == 0
    assert capsys.readouterr().out.splitlines() == [*each, summary]
    assert (tmp_path / "seed-0" / "model.keras").stat().st_mtime_ns == written


def test_a_teacher_that_is_neither_a_network_nor_a_folder_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = refused(capsys, ["--teacher", "wise", "--data", mnist_folder(), "--out", tmp_path / "run"], 2)
    assert "--teacher is wise; expected a finished training's folder, or one of edge, wide" in text


def test_a_folder_without_a_network_is_no_teacher(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = refused(capsys, ["--teacher", tmp_path, "--data", mnist_folder(), "--out", tmp_path / "run"], 1)
    assert str(tmp_path / "model.keras") in text
    assert not (tmp_path / "run").exists()


def test_a_named_teacher_is_trained_first_and_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.recipes._EPOCHS", {"tiny": 1})
    short = ["--limit", "100", "--epochs", "1", "--frames", "0", "--teacher", "tiny", "--model", "micro"]
    arguments = ["--data", str(mnist_folder()), *short, "--out", str(tmp_path / "run")]
    assert main(arguments) == 0
    teacher, student = capsys.readouterr().out.splitlines()
    assert teacher.startswith(str(tmp_path / "run" / "teacher" / "model.keras"))
    written = (tmp_path / "run" / "teacher" / "model.keras").read_bytes()
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["teacher"] == {"network": "tiny", "sha256": hashlib.sha256(written).hexdigest()}
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [student]
    assert (tmp_path / "run" / "teacher" / "model.keras").read_bytes() == written
    assert (
        main([*arguments[:-6], "--model", "micro", "--teacher", str(tmp_path / "run" / "teacher"), *arguments[-2:]])
        == 0
    )
    assert capsys.readouterr().out.splitlines() == [student]


def test_extra_says_before_training_what_it_cannot_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no subfolder" in refused(capsys, ["--extra", tmp_path, "--data", mnist_folder()], 1)
    assert "--seeds" in refused(capsys, ["--extra", tmp_path, "--seeds", "0-2"], 2)
    assert "--workers" in refused(capsys, ["--extra", tmp_path, "--workers", "2"], 2)
    assert "--teacher" in refused(capsys, ["--extra", tmp_path, "--teacher", "wide"], 2)


def test_an_unknown_option_is_wrong_usage() -> None:
    done = run("--epoch-count", "3")
    assert done.returncode == 2
    assert "--epoch-count" in done.stderr


def test_a_short_training_ends_well_and_quietly(tmp_path: Path) -> None:
    short = ("--limit", "200", "--epochs", "1", "--batch", "50", "--frames", "32", "--pools", tmp_path / "pools")
    done = run("--data", mnist_folder(), *short, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    last = history["epochs"][-1]
    assert done.stdout == (
        f"{tmp_path / 'run' / 'model.keras'}: {last['validation_accuracy']:.2%} of 5,000 validation images; of crops "
        f"of rendered frames {last['crops_right']:.2%} of the digits right, {last['crops_invented']:.2%} of the others "
        "taken for digits\n"
    )
    assert len(list((tmp_path / "pools").iterdir())) == 2
    assert not GREETING.search(done.stderr), done.stderr
    assert "edge: 100%" in done.stderr  # the progress bar
