from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from export.causes import CUT_OFF
from export.convert import convert
from export.layers import LayerError, layer_errors
from export.repairs import repairs
from export.samples import calibration_set
from runtime.values import Image
from train.data import Mnist
from train.networks import load_model

FORMATS = ("litert-int8", "litert-float32", "onnx-float32", "onnx-int8")
SPOILED = 3  # of five convolutions and a dense layer

Convert = Callable[[keras.Model], dict[str, bytes]]


@pytest.fixture(scope="module")
def images(drawn: Mnist) -> Image:
    return drawn.validation_images


@pytest.fixture(scope="module")
def files(run: Path, drawn: Mnist) -> dict[str, bytes]:
    return convert(load_model(run / "model.keras"), calibration_set(drawn, 200), FORMATS)


@pytest.fixture(scope="module")
def rough(run: Path, drawn: Mnist) -> dict[str, bytes]:
    """The same network with kernels as training leaves them, anywhere between the steps of eight bits."""
    model = load_model(run / "model.keras")
    noise = np.random.default_rng(0)
    for each in model.layers:
        if isinstance(each, keras.layers.Conv2D | keras.layers.Dense):
            kernel = each.kernel.numpy()
            step = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / 127
            each.kernel.assign(kernel + step * noise.uniform(-0.5, 0.5, kernel.shape))
    return convert(model, calibration_set(drawn, 200), FORMATS)


@pytest.fixture(scope="module")
def spoiled(run: Path, drawn: Mnist) -> dict[str, bytes]:
    """A network one channel of which is far too loud for eight bits; nothing listens to it, so float does not care."""
    model = load_model(run / "model.keras")
    norms = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]
    convolutions = [each for each in model.layers if isinstance(each, keras.layers.Conv2D)]
    gamma, beta, mean, variance = norms[SPOILED - 1].get_weights()
    gamma[5], beta[5] = 100 * max(abs(gamma[5]), 0.5), 50
    norms[SPOILED - 1].set_weights([gamma, beta, mean, variance])
    (kernel,) = convolutions[SPOILED].get_weights()
    kernel[:, :, 5] = 0
    convolutions[SPOILED].set_weights([kernel])
    return convert(model, calibration_set(drawn, 200), FORMATS)


def heavy(errors: list[LayerError]) -> list[LayerError]:
    return [each for each in errors if each.layer]


@pytest.mark.parametrize(("kernels", "least", "most"), [("files", 0, 0.005), ("rough", 0.4, 0.5001)])
def test_an_honest_network_loses_little_anywhere(
    kernels: str, least: float, most: float, images: Image, request: pytest.FixtureRequest
) -> None:
    honest: dict[str, bytes] = request.getfixturevalue(kernels)
    errors = layer_errors(honest["litert-float32"], honest["litert-int8"], images)
    assert [each.layer for each in heavy(errors)] == [1, 2, 3, 4, 5, 6]
    assert [each.operator for each in heavy(errors)] == ["CONV_2D"] * 5 + ["FULLY_CONNECTED"]
    # Eight bits of a range well used: 6 dB a bit, less what the range leaves unused and the layers before add.
    assert all(25 < each.decibels < 49 for each in heavy(errors))
    assert all(each.worst_decibels <= each.decibels for each in errors)
    # Of pictures like those of the calibration few reach past its range; trained weights lie on the steps, others
    # are rounded to the nearest.
    assert all(each.cut_off < CUT_OFF / 2 for each in heavy(errors))
    assert all(least <= each.weights <= most for each in heavy(errors))


def test_the_layer_that_eight_bits_break_is_found(spoiled: dict[str, bytes], images: Image) -> None:
    errors = heavy(layer_errors(spoiled["litert-float32"], spoiled["litert-int8"], images))
    worst = [each.worst_decibels for each in errors]
    assert min(worst[: SPOILED - 1]) > 15
    assert worst[SPOILED - 1] < 10
    assert errors[SPOILED - 1].worst_channel != 5  # the loud one drowns the others, not itself


def test_keeping_that_layer_in_float_repairs_most(spoiled: dict[str, bytes], images: Image) -> None:
    found = repairs(spoiled["onnx-float32"], spoiled["onnx-int8"], images)
    assert [each.layer for each in found] == [0, 1, 2, 3, 4, 5, 6]
    assert max(found, key=lambda each: each.decibels).layer == SPOILED
    assert found[SPOILED].decibels > found[0].decibels + 6
    assert found[SPOILED].flips <= found[0].flips
    assert {each.count for each in found} == {len(images)}


def test_any_layer_in_float_is_better_than_none(rough: dict[str, bytes], images: Image) -> None:
    as_it_is, *mended = repairs(rough["onnx-float32"], rough["onnx-int8"], images)
    assert as_it_is.decibels > 20
    assert all(0.4 < each.weights <= 0.5001 for each in mended)
    # A layer's rounding is one of seven noises of like size; others may be in its way, but never by half a decibel.
    assert all(each.decibels > as_it_is.decibels - 0.5 for each in mended)
    assert np.mean([each.decibels for each in mended]) > as_it_is.decibels


def test_kernels_on_the_steps_of_eight_bits_lose_less(
    files: dict[str, bytes], rough: dict[str, bytes], images: Image
) -> None:
    on_steps, between = (repairs(each["onnx-float32"], each["onnx-int8"], images)[0] for each in (files, rough))
    assert on_steps.decibels > between.decibels + 0.5


def test_networks_that_differ_are_refused(files: dict[str, bytes], run: Path, images: Image) -> None:
    other = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(11)])
    strange = convert(other, images[:50], ("litert-float32", "onnx-float32"))
    with pytest.raises(ValueError, match="the float file has the operators"):
        layer_errors(strange["litert-float32"], files["litert-int8"], images)
    with pytest.raises(ValueError, match="the float file has 1 layers, the int8 file 6"):
        repairs(strange["onnx-float32"], files["onnx-int8"], images)
