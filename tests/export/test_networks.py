"""Every network, with ten labels: trained for seconds on drawn digits, exported, read by the runtime."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.limits import LimitSet
from export.write_bundle import export_bundle
from runtime.backends import load_classifier
from runtime.image import main
from runtime.pages import draw_page
from tests.mnist import drawn_digits
from train.augment import AugmentSettings
from train.data import LABELS, NONE
from train.fit import fit
from train.networks import NETWORKS, load_model
from train.recipes import recipe


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "micro" else pytest.mark.slow) for n in NETWORKS])
def test_a_network_of_ten_labels_is_exported_and_reads_a_page(
    name: str, trial_limits: LimitSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = drawn_digits()
    # Batch normalization's averages take some hundred steps, and more the deeper a network is.
    settings = replace(recipe("digits", name)[0], epochs=8 if name == "micro" else 24, batch=32)
    history = fit(drawn, settings, AugmentSettings(), tmp_path / "run")
    training = {"settings": asdict(settings), "last_epoch": history["epochs"][-1]}
    model = load_model(tmp_path / "run" / "model.keras")
    parities = export_bundle(model, drawn, tmp_path / name, training, gate_count=300, limits=trial_limits)
    assert list(parities) == ["gate"]
    for backend in ("litert", "onnx"):
        classifier = load_classifier(tmp_path / name, backend=backend, precision="int8")
        assert classifier.labels == LABELS[:NONE]
        assert (classifier.logits(drawn.test_images).argmax(axis=1) == drawn.test_labels).mean() > 0.9
    cv2.imwrite(str(tmp_path / "page.png"), draw_page(["407"], (640, 480), np.random.default_rng(1)).pixels)
    assert main([str(tmp_path / "page.png"), "--json", "--model", str(tmp_path / name)]) == 0
    line = json.loads(capsys.readouterr().out)
    assert len(line["readings"]) + len(line["unsure"]) >= 3
