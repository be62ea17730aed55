from __future__ import annotations

import keras
import numpy as np

from export.calibration import calibration_dependence
from export.convert import convert, specs
from export.samples import calibration_subsets
from runtime.backends import LiteRtClassifier
from runtime.bundle import Artifact
from train.data import LABELS, Mnist


def test_dependence_is_how_often_two_models_calibrated_apart_differ(trained: keras.Model, drawn: Mnist) -> None:
    images = drawn.validation_images
    found = calibration_dependence(trained, drawn, images, 100)
    assert (found.calibration_count, found.count) == (100, len(images))
    answers, steps = [], []
    for subset in calibration_subsets(drawn, 100):
        content = convert(trained, subset, ["litert-int8"])["litert-int8"]
        source, sink = specs("litert-int8", content, len(LABELS))
        artifact = Artifact("litert-int8", "", "", 0, "litert", "int8", source, sink, 1.0, 0.6, 0.3)
        answers.append(LiteRtClassifier(LABELS, artifact, content).logits(images).argmax(axis=1))
        steps.append(sink.scale)
    assert found.disagreement == np.mean(answers[0] != answers[1])
    assert found.logit_steps == tuple(steps)
    assert steps[0] != steps[1]
