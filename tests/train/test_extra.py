from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import DataError
from tests.html import check_page
from train.data import Mnist
from train.extra import ExtraResult, ExtraSettings, train_extra
from train.extra_page import extra_page, extra_table
from train.inputs import LabeledImages, keras_model, load_images, open_model
from train.networks import NETWORKS

SETTINGS = ExtraSettings(epochs=3, learning_rate=2e-3, digits=200, extra=1_500, frames=2)


def upside_down(drawn: Mnist, count: int) -> LabeledImages:
    """A style that no model reads: every digit on its head."""
    images = drawn.train_images[:count, ::-1, ::-1].copy()
    return LabeledImages("on their heads", images, drawn.train_labels[:count], tuple(map(str, range(count))))


@pytest.fixture(scope="module")
def result(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> tuple[ExtraResult, Path]:
    path = keras_model("edge")
    run = tmp_path_factory.mktemp("extra")
    return train_extra(open_model(str(path)), path, upside_down(drawn, 200), drawn, SETTINGS, run), run


def test_a_third_of_each_class_is_held_back_and_asked_before_and_after(result: tuple[ExtraResult, Path]) -> None:
    found, _ = result
    assert (found.trained, len(found.held.labels)) == (130, 70)
    assert np.bincount(found.held.labels).tolist() == [7] * 10
    before, after = (found.answers == found.held.labels).sum(axis=1)
    assert (found.own.before.count, found.own.after.count) == (before, after)
    assert after - before == found.own.gained - found.own.lost


def test_a_style_that_is_misread_is_learned(result: tuple[ExtraResult, Path]) -> None:
    own = result[0].own
    # The claim of the product: ten points on what was held back.
    assert own.after.value >= own.before.value + 0.1
    assert own.p < 0.01


def test_it_leaves_a_model_that_answers_as_the_figures_say(result: tuple[ExtraResult, Path]) -> None:
    found, run = result
    model = open_model(str(run))
    assert model.none_prior == open_model("edge").none_prior
    answers = model.probabilities(model.logits(found.held.images), camera=False).argmax(axis=1)
    np.testing.assert_array_equal(answers, found.answers[1])
    history = json.loads((run / "history.json").read_text())
    assert len(history["epochs"]) == history["settings"]["epochs"] == 3


def test_the_verdict_names_what_got_worse(result: tuple[ExtraResult, Path], tmp_path: Path) -> None:
    found, _ = result
    assert found.verdict.startswith("Better" if found.better else "Not better")
    (tmp_path / "good.html").write_text(extra_page(found))
    assert check_page(tmp_path / "good.html").count('<div class="card">') == 70
    assert [row[0] for row in extra_table(found)[1:]] == [
        "your digits, held back",
        "MNIST, validation digits",
        "rendered frames, F1 of digits",
    ]


def test_a_model_of_digits_alone_is_not_taught_what_is_none(drawn: Mnist, tmp_path: Path) -> None:
    path = tmp_path / "ten.keras"
    NETWORKS["micro"](10).save(path)
    short = replace(SETTINGS, epochs=1, digits=100, extra=200, frames=1)
    found = train_extra(open_model(str(path)), path, upside_down(drawn, 60), drawn, short, tmp_path / "run")
    assert found.trained == 40
    assert len(open_model(str(tmp_path / "run")).labels) == 10


def test_too_few_pictures_are_one_line(drawn: Mnist, tmp_path: Path) -> None:
    path = keras_model("edge")
    with pytest.raises(DataError, match="9 pictures; 10 or more"):
        train_extra(open_model(str(path)), path, upside_down(drawn, 9), drawn, SETTINGS, tmp_path)


def test_one_picture_a_class_cannot_be_held_back(drawn: Mnist, tmp_path: Path) -> None:
    path = keras_model("edge")
    with pytest.raises(DataError, match="held back"):
        train_extra(open_model(str(path)), path, upside_down(drawn, 10), drawn, replace(SETTINGS, held=0.2), tmp_path)


def test_a_folder_of_pictures_is_read(drawn: Mnist, tmp_path: Path) -> None:
    for i in range(20):
        (tmp_path / str(drawn.train_labels[i])).mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / str(drawn.train_labels[i]) / f"{i}.png"), 255 - drawn.train_images[i])
    found = load_images(str(tmp_path))
    assert np.bincount(found.labels).tolist() == [2] * 10
    np.testing.assert_array_equal(found.images[0], drawn.train_images[0])
