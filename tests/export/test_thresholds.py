from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax

from export.parity import Parities
from export.thresholds import choose_thresholds, fit_temperature
from export.write_bundle import _with_thresholds
from runtime.backends import make_classifier
from runtime.bundle import load_bundle
from runtime.values import Image
from tests.crops import drawn_crops
from train.augment import NONE


def answers(*groups: tuple[int, int, float, int]) -> tuple[npt.NDArray[np.float32], Image]:
    """Probabilities and truth: for each group its truth, its answer, the answer's probability, and how many."""
    probabilities, truth = [], []
    for label, answer, confidence, count in groups:
        row = np.full(11, (1 - confidence) / 10, np.float32)
        row[answer] = confidence
        probabilities += [row] * count
        truth += [label] * count
    return np.array(probabilities), np.array(truth, np.uint8)


@pytest.mark.parametrize("wanted", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_what_logits_were_stretched_by(wanted: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 11)).astype(np.float32)
    # Labels drawn with the probabilities that the logits say: at these the cross-entropy is least.
    truth = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((len(logits), 1))).argmax(axis=1).astype(np.uint8)
    # The estimate's deviation is about 1 / √(n · variance of the logits): 0.4 %; five of them.
    assert fit_temperature(logits * wanted, truth) == pytest.approx(wanted, rel=0.02)


def test_the_threshold_lies_above_what_is_invented_and_under_what_is_right() -> None:
    digits, nones = (3, 3, 0.93, 100), (NONE, 5, 0.72, 30)
    accept, unsure = choose_thresholds(*answers(digits, nones))
    assert (accept, unsure) == (0.9, 0.45)


def test_it_is_low_where_right_answers_are_unsure_and_nothing_is_invented() -> None:
    groups = [(7, 7, confidence, 20) for confidence in (0.52, 0.62, 0.72, 0.82, 0.92)]
    assert choose_thresholds(*answers(*groups, (NONE, NONE, 0.9, 50)))[0] == 0.5


def test_where_f1_is_flat_it_is_the_highest() -> None:
    # One right digit in ten thousand under 0.9 is worth less than a tenth of a point.
    assert choose_thresholds(*answers((4, 4, 0.99, 9_999), (4, 4, 0.55, 1)))[0] == 0.95


def test_a_bundle_gets_temperatures_that_fit_each_artifact_and_thresholds_that_fit_the_float_one(
    exported: tuple[Path, Parities],
) -> None:
    bundle, crops = load_bundle(exported[0]), drawn_crops().validation
    fitted = _with_thresholds(bundle, crops)
    digits = crops.labels != NONE
    assert [each.name for each in fitted.manifest.artifacts] == [each.name for each in bundle.manifest.artifacts]
    exact = make_classifier(fitted, fitted.artifact("litert", "float32")).probabilities(crops.images)
    thresholds = choose_thresholds(exact, crops.labels)
    for artifact in fitted.manifest.artifacts:
        probabilities = make_classifier(fitted, artifact).probabilities(crops.images)
        logits = make_classifier(fitted, artifact).logits(crops.images)
        logits[:, NONE] += artifact.none_prior
        assert artifact.temperature == fit_temperature(logits, crops.labels)
        assert (artifact.accept, artifact.unsure) == thresholds
        read = (probabilities.argmax(axis=1) != NONE) & (probabilities.max(axis=1) >= artifact.accept)
        figures = artifact.metrics["crops"]
        assert (figures["digits"], figures["nones"]) == (60, 60)
        assert figures["right"] == (read & (probabilities.argmax(axis=1) == crops.labels))[digits].mean()
        assert figures["invented"] == read[~digits].mean()
        assert {"gate", "mnist_test"} <= set(artifact.metrics)
