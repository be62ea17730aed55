from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.html import check_page
from train.augment import AugmentSettings
from train.data import LABELS, Mnist
from train.exploration import augmentation_previews, class_shapes, contact_sheet, suspects
from train.explore import main
from train.inputs import LabeledImages, Model


def squares() -> LabeledImages:
    """Of class 0 a square of 4 pixels, of class 1 bars 2 wide and 20 tall."""
    images = np.zeros((5, 28, 28), np.uint8)
    images[:2, 12:16, 12:16] = 255
    images[2:, 4:24, 13:15] = 255
    return LabeledImages("squares", images, np.array([0, 0, 1, 1, 1], np.uint8), tuple("abcde"))


def test_the_shape_of_a_class_is_measured_in_pixels() -> None:
    square, bar = class_shapes(squares())
    assert (square.count, bar.count) == (2, 3)
    assert (square.width, square.height) == ((4, 0), (4, 0))
    assert (bar.width, bar.height) == ((2, 0), (20, 0))
    assert square.ink == pytest.approx(16 / 784)
    np.testing.assert_array_equal(bar.mean, squares().images[4])
    assert not bar.spread.any()


def test_labels_that_the_model_denies_most_come_first() -> None:
    images = squares()
    logits = np.zeros((5, len(LABELS)), np.float32)
    logits[[0, 1, 2, 3, 4], [0, 3, 1, 7, 1]] = [5, 1, 5, 4, 5]
    found = suspects(Model("known", LABELS, lambda pictures: logits[: len(pictures)]), images, 10)
    assert [(each.index, each.label, each.answer) for each in found] == [(3, "1", "7"), (1, "0", "3")]
    assert found[0].answer_probability > found[0].label_probability


def test_a_model_of_digits_alone_doubts_what_is_none() -> None:
    images = LabeledImages("one", np.zeros((1, 28, 28), np.uint8), np.array([10], np.uint8), ("a",))
    logits = np.full((1, 10), 0, np.float32)
    logits[0, 4] = 5
    (found,) = suspects(Model("digits", LABELS[:10], lambda pictures: logits), images, 10)
    assert (found.label, found.answer, found.label_probability) == ("none", "4", 0)


def test_a_contact_sheet_has_a_row_for_each_class() -> None:
    images = squares()
    picture = contact_sheet(images, 4, np.random.default_rng(0))
    assert picture.shape == (2 * 28, 4 * 28)
    assert not picture[:28, 2 * 28 :].any()  # there are only two of class 0
    np.testing.assert_array_equal(picture[28:, :28], images.images[2])


def test_each_setting_of_augmentation_is_shown_alone(drawn: Mnist) -> None:
    previews = augmentation_previews(drawn.test_images[:10], np.random.default_rng(0))
    originals = previews.pop("as they are")
    assert {name.split()[0] for name in previews} >= set(AugmentSettings.__dataclass_fields__) - {"none_share"}
    for name, pictures in previews.items():
        assert pictures.shape == originals.shape
        assert (pictures != originals).any(), name


def test_the_command_leaves_a_page(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--on", str(archive), "--frames", "1", "--suspects", "3", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1 + 10 + 2  # head, classes, where the page is
    page = check_page(tmp_path / "exploration.html")
    for title in ("Balance", "Labels in doubt", "Augmentation", "What is not a digit", "Rendered camera frames"):
        assert title in page


@pytest.mark.parametrize("option", ["--suspects", "--frames", "--seed"])
def test_a_count_below_zero_is_wrong_usage(archive: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--on", str(archive), option, "-1"]) == 2
    assert f"{option} is -1" in capsys.readouterr().err
