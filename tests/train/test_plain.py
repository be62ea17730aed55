from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import SinkError
from train.data import Mnist
from train.networks import load_model
from train.plain import PlainSettings, fit_plain

SETTINGS = PlainSettings(epochs=2, limit=500)


def test_it_trains_ten_classes_on_seven_tenths(drawn: Mnist, tmp_path: Path) -> None:
    told: list[int] = []
    history = fit_plain(drawn, SETTINGS, tmp_path, lambda epoch, figures: told.append(epoch))
    assert json.loads((tmp_path / "history.json").read_text()) == history
    assert history["settings"]["recipe"] == "plain"
    assert [each["validation_count"] for each in history["epochs"]] == [150, 150]
    assert history["epochs"][-1]["validation_accuracy"] > 0.6  # by chance a tenth
    assert load_model(tmp_path / "model.keras").output_shape == (None, 10)
    assert told == [1, 2]


def test_the_same_seed_gives_the_same_weights(drawn: Mnist, tmp_path: Path) -> None:
    for name in "ab":
        fit_plain(drawn, SETTINGS, tmp_path / name)
    one, other = (load_model(tmp_path / name / "model.keras").get_weights() for name in "ab")
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_folder_that_cannot_be_made_is_one_line(drawn: Mnist, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="file"):
        fit_plain(drawn, SETTINGS, tmp_path / "file")
