from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime.errors import DataError
from runtime.spotter import BOTTOM, CELL, DIGIT, LEFT, MIDDLE, OWNED, Reader, digit_boxes
from tests.mnist import mnist_folder
from tests.train.test_strips import ring
from train.fit_spotter import loss_of, network, score, targets, to_onnx, train
from train.spotter import SpotterSettings, main
from train.strips import NONE, Strip, join


def test_targets_are_what_the_detector_takes_boxes_from() -> None:
    strip = join(ring(), ring(), np.random.default_rng(1))
    wanted, weights = targets(strip)
    answers = wanted.transpose(2, 0, 1).copy()
    answers[MIDDLE] = np.where(answers[MIDDLE] > 0, 5.0, -5.0)
    boxes, _ = digit_boxes(answers)
    assert boxes[boxes[:, 0].argsort()] == pytest.approx(strip.boxes, abs=0.1)
    inked = strip.owners >= 0
    assert (wanted[inked, OWNED] == 1).all()
    assert (weights[inked, 2:] == 1).all()
    # Votes lead to the middle.
    row, column = np.argwhere(strip.owners == 1)[0]
    at = np.array([column, row]) * CELL + CELL / 2 + wanted[row, column, OWNED + 1 :] * DIGIT
    box = strip.boxes[1]
    assert at == pytest.approx(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), abs=0.1)


def test_a_digit_that_nobody_can_tell_counts_neither_way() -> None:
    plain = ring()
    strip = Strip(plain.pixels, plain.owners, plain.boxes, np.array([False]), 0, True)
    wanted, weights = targets(strip)
    assert not wanted[..., MIDDLE].any()
    row, column = 32 // CELL, 24 // CELL
    assert weights[row, column, 0] == 0
    assert weights[0, 0, 0] == 1
    assert not weights[..., 1].any()


def test_right_answers_lose_least() -> None:
    wanted, weights = (each[None] for each in targets(ring()))
    right = wanted.copy()
    right[..., [MIDDLE, OWNED]] = np.where(right[..., [MIDDLE, OWNED]] > 0, 12.0, -12.0)
    best = float(loss_of(wanted, weights, right))
    assert best < 0.01
    for part in ([MIDDLE], [LEFT, BOTTOM], [OWNED], [OWNED + 1]):
        worse = right.copy()
        worse[..., part] *= -0.5
        assert float(loss_of(wanted, weights, worse)) > best + 0.01


def test_the_file_that_opencv_runs_answers_as_the_network_does(tmp_path: Path) -> None:
    model = network(8)
    rng = np.random.default_rng(0)
    model.set_weights([weight + rng.uniform(0, 0.2, weight.shape) for weight in model.get_weights()])
    onnx.save(to_onnx(model, "for a test"), tmp_path / "made.onnx")
    reader = Reader(tmp_path / "made.onnx")
    for shape in ((64, 96), (96, 64), (128, 320)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        wanted = model(pixels[None, :, :, None].astype(np.float32) / 255, training=False).numpy()[0].transpose(2, 0, 1)
        assert np.abs(reader(pixels) - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_training_learns_to_find_digits(tmp_path: Path) -> None:
    strips = [ring(frame) for frame in (0, 0, 1, 1) for _ in range(8)]
    doubtful = [join(a, b, np.random.default_rng(i)) for i, (a, b) in enumerate(itertools.pairwise(strips))]
    empty = Strip(
        np.zeros((64, 64), np.uint8), np.full((16, 16), NONE, np.int16), np.zeros((0, 4)), np.zeros(0, bool), 1, True
    )
    losses: list[float] = []
    model = train(
        [*strips, *doubtful, *[empty] * 8],
        SpotterSettings(epochs=30, width=8),
        lambda epoch, loss: losses.append(loss),
    )
    assert len(losses) == 30
    assert losses[-1] < 0.5 * losses[0]
    onnx.save(to_onnx(model, "for a test"), tmp_path / "made.onnx")
    assert score(Reader(tmp_path / "made.onnx"), doubtful)["found"] > 0.5


def test_a_perfect_network_scores_all() -> None:
    strip = join(ring(), ring(), np.random.default_rng(1))
    answers = targets(strip)[0].transpose(2, 0, 1).copy()
    answers[MIDDLE] = np.where(answers[MIDDLE] > 0, 5.0, -5.0)
    assert score(lambda pixels: answers, [strip]) == {"found": 1.0, "tight": 1.0, "invented": 0.0}
    none = np.full_like(answers, -5.0)
    assert score(lambda pixels: none, [strip]) == {"found": 0.0, "tight": 0.0, "invented": 0.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frames", "1"], "--frames is 1; expected 2 or more"),
        (["--epochs", "0"], "--epochs is 0; expected 1 or more"),
        (["--seed", "-1"], "--seed is -1; expected 0 or more"),
        (["--out", "/nowhere/at/all.onnx"], "cannot write"),
    ],
)
def test_bad_options_get_one_line(capsys: pytest.CaptureFixture[str], options: list[str], said: str) -> None:
    assert main(options) in (1, 2)
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_the_command_writes_a_network_and_says_how_good_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made.onnx"
    assert main(["--frames", "8", "--epochs", "1", "--data", str(mnist_folder()), "--out", str(out)]) == 0
    assert re.search(r"made.onnx: of digits .* \d.* have a box of an IoU of 0.5", capsys.readouterr().out)
    assert onnx.load(out).doc_string == "python -m train.spotter --frames 8 --epochs 1 --seed 0"
    assert Reader(out)(np.zeros((64, 96), np.uint8)).shape == (BOTTOM + 4, 64 // CELL, 96 // CELL)
    assert [path.name for path in tmp_path.iterdir()] == ["made.onnx"]


def test_strips_without_digits_are_one_line() -> None:
    with pytest.raises(DataError, match=r"no ink that may be several digits; render more: --frames"):
        train([ring(), ring()], SpotterSettings(epochs=1))
