from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from export.parity import Parities
from export.temperature import fit_temperature
from export.write_bundle import _with_temperatures
from runtime.backends import make_classifier
from runtime.bundle import load_bundle
from tests.crops import drawn_crops
from train.data import NONE
from train.inputs import ACCEPT, UNSURE


@pytest.mark.parametrize("wanted", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_what_logits_were_stretched_by(wanted: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 11)).astype(np.float32)
    # Labels drawn with the probabilities that the logits say: at these the cross-entropy is least.
    truth = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((len(logits), 1))).argmax(axis=1).astype(np.uint8)
    # The estimate's deviation is about 1 / √(n · variance of the logits): 0.4 %; five of them.
    assert fit_temperature(logits * wanted, truth) == pytest.approx(wanted, rel=0.02)


def test_a_bundle_gets_for_each_artifact_what_fits_its_own_answers(exported: tuple[Path, Parities]) -> None:
    bundle, crops = load_bundle(exported[0]), drawn_crops().validation
    fitted = _with_temperatures(bundle, crops)
    digits = crops.labels != NONE
    for artifact in fitted.manifest.artifacts:
        probabilities = make_classifier(fitted, artifact).probabilities(crops.images)
        logits = make_classifier(fitted, artifact).logits(crops.images)
        logits[:, NONE] += artifact.none_prior
        assert artifact.temperature == fit_temperature(logits, crops.labels)
        assert (artifact.accept, artifact.unsure) == (ACCEPT, UNSURE)
        read = (probabilities.argmax(axis=1) != NONE) & (probabilities.max(axis=1) >= artifact.accept)
        figures = artifact.metrics["crops"]
        assert (figures["digits"], figures["nones"]) == (60, 60)
        assert figures["right"] == (read & (probabilities.argmax(axis=1) == crops.labels))[digits].mean()
        assert figures["invented"] == read[~digits].mean()
        assert {"gate", "mnist_test"} <= set(artifact.metrics)
