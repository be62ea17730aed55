"""How much a quantized model owes to the pictures that happened to calibrate it."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from export.convert import convert, specs
from export.samples import CALIBRATION_COUNT, calibration_subsets
from runtime.backends import LiteRtClassifier
from runtime.bundle import Artifact
from runtime.values import Image
from train.data import LABELS, Mnist


@dataclass(frozen=True, slots=True)
class Dependence:
    """Two int8 models, alike but for the pictures they were calibrated on.

    Attributes:
        calibration_count: pictures in each of the two sets, which share none.
        count: images that both models were asked.
        disagreement: share of those that they label differently.
        logit_steps: the quantization step of each model's logits.
    """

    calibration_count: int
    count: int
    disagreement: float
    logit_steps: tuple[float, float]


def calibration_dependence(
    model: keras.Model, data: Mnist, images: Image, count: int = CALIBRATION_COUNT
) -> Dependence:
    """Calibrate twice, on disjoint sets of training images, and compare the answers.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        data: MNIST.
        images: uint8 (n, 28, 28), to compare on.
        count: pictures in each set; fewer where there are not enough for two.
    """
    first, second = (_quantized(model, each) for each in calibration_subsets(data, count))
    differ = first.logits(images).argmax(axis=1) != second.logits(images).argmax(axis=1)
    steps = first.artifact.output.scale, second.artifact.output.scale
    used = min(count, len(data.train_images) // 2)
    return Dependence(used, len(images), float(np.mean(differ)), steps)


def _quantized(model: keras.Model, calibration: Image) -> LiteRtClassifier:
    name = "litert-int8"
    content = convert(model, calibration, [name])[name]
    labels = LABELS[: model.output_shape[-1]]
    source, sink = specs(name, content, len(labels))
    artifact = Artifact(name, "", "", len(content), "litert", "int8", source, sink, 1.0, 0.0, 0.0)
    return LiteRtClassifier(labels, artifact, content)
