from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runtime.values import Image
from tests.html import check_page
from train.corruptions import CORRUPTIONS
from train.data import LABELS, Mnist
from train.evaluate import main
from train.evaluation import evaluate, robustness
from train.inputs import LabeledImages, Model


def asked(images: Image) -> np.ndarray:
    """A model whose answers are known: the first pixel is the answer, the second how surely, in percent."""
    logits = np.zeros((len(images), len(LABELS)), np.float32)
    answer, sure = images[:, 0, 0].astype(int), images[:, 0, 1] / 100
    # With ten others at a logit of 0, this one has the probability wanted.
    logits[np.arange(len(images)), answer] = np.log(10 * sure / (1 - sure))
    return logits


def labeled(rows: list[tuple[int, int, int]]) -> LabeledImages:
    """Pictures by truth, answer and percent."""
    images = np.zeros((len(rows), 28, 28), np.uint8)
    for image, (_, answer, sure) in zip(images, rows, strict=True):
        image[0, :2] = answer, sure
    return LabeledImages("known", images, np.array([row[0] for row in rows], np.uint8), ("one",) * len(rows))


MODEL = Model("known", LABELS, asked)


class TestEvaluate:
    def test_mistakes_are_listed_the_surest_first(self) -> None:
        found = evaluate(MODEL, labeled([(1, 1, 90), (2, 3, 70), (4, 9, 95), (5, 10, 60)]))
        assert [(each.index, each.truth, each.answer) for each in found.mistakes] == [
            (2, "4", "9"),
            (1, "2", "3"),
            (3, "5", "none"),
        ]
        assert (found.accuracy.count, found.accuracy.of) == (1, 4)
        assert [each.confidence for each in found.mistakes] == pytest.approx([0.95, 0.7, 0.6], abs=1e-6)

    def test_what_is_unsure_or_no_digit_is_not_read(self) -> None:
        found = evaluate(MODEL, labeled([(1, 1, 90), (2, 2, 45), (3, 4, 80), (5, 10, 90)])).reading
        assert [each.count for each in (found.right, found.wrong, found.passed)] == [1, 1, 2]
        assert found.auroc is None

    def test_what_is_no_digit_and_read_as_one_is_false(self) -> None:
        found = evaluate(MODEL, labeled([(1, 1, 90), (10, 1, 75), (10, 10, 70), (10, 4, 45)])).reading
        assert (found.false.count, found.false.of) == (1, 3)
        assert found.auroc == 1.0

    def test_without_none_the_likeliest_digit_of_corrupted_pictures_is_counted_apart(self, drawn: Mnist) -> None:
        def always(images: Image) -> np.ndarray:
            return np.tile(np.array([0, 0, 0, 1] + [0] * 6 + [2], np.float32), (len(images), 1))

        images = LabeledImages("drawn", drawn.test_images[:50], drawn.test_labels[:50], ("",) * 50)
        found = robustness(Model("none", LABELS, always), images)
        assert [each.name for each in found] == ["identity", *(each.name for each in CORRUPTIONS)]
        assert {each.right.count for each in found} == {0}
        assert {each.none.count for each in found} == {50}
        assert {each.digit_right.count for each in found} == {5}


def test_the_command_leaves_a_page_and_the_figures(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--on", str(archive), "--robustness", "--limit", "200", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    values = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert values["count"] == 200
    assert np.sum(values["confusion"]) == 200
    assert len(values["mistakes"]) == 200 - values["accuracy"]["count"]
    assert [each["family"] for each in values["robustness"]][:2] == ["identity", "shot_noise"]
    assert f"{values['accuracy']['value']:.2%}".replace("%", " %") in out
    page = check_page(tmp_path / "out" / "evaluation.html")
    assert page.count('<div class="card">') == len(values["mistakes"]) + 20
    assert page.count("<figure>") == 3


def test_json_is_all_that_is_printed_when_asked_for(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--on", str(archive), "--limit", "30", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 30


def test_a_set_of_one_class_and_no_mistake_makes_a_page(tmp_path: Path, drawn: Mnist) -> None:
    np.savez(tmp_path / "ones.npz", images=drawn.train_images[1:2], labels=drawn.train_labels[1:2])
    assert main(["--on", str(tmp_path / "ones.npz"), "--out", str(tmp_path)]) == 0
    assert "No picture is answered wrongly." in check_page(tmp_path / "evaluation.html")


def test_corrupting_what_holds_no_digit_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "none.npz", images=np.zeros((3, 28, 28), np.uint8), labels=np.full(3, 10))
    assert main(["--on", str(tmp_path / "none.npz"), "--robustness", "--out", str(tmp_path)]) == 2
    assert "holds none" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert main(["--on", str(archive), "--limit", "3", "--out", str(tmp_path / "file")]) == 1
