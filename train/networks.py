"""The architectures, by name.

Every network takes pixels as the runtime cuts them (0–255, scaled inside) and answers with logits. Those made for this
project, from ``micro`` to ``edge``, are plain convolutions on few, wide maps, since that is what int8 kernels run
fastest: measured on one x86 core, the same 74,000 parameters cost 15 µs in int8 as they stand here, 24 µs with padded
convolutions, and 36 µs behind a strided stem of one channel in place of space-to-depth.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from runtime.errors import DataError
from runtime.preprocess import FIELD
from runtime.values import Image
from train.data import LABELS, NONE


@keras.saving.register_keras_serializable(package="edge-digits")
class SpaceToDepth(layers.Layer):
    """Each 2×2 block of pixels becomes one pixel of four times as many channels: (n, h, w, c) -> (n, h/2, w/2, 4c)."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Rearrange; nothing is computed."""
        return tf.nn.space_to_depth(inputs, 2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape that ``call`` returns."""
        batch, height, width, channels = input_shape
        assert height and width and channels
        return batch, height // 2, width // 2, channels * 4


def edge(labels: int = len(LABELS)) -> keras.Model:
    """The shipped network: 79,819 parameters, 2.2 million multiply-accumulates a digit."""
    return _strided("edge", (32, 32, 48, 48, 64), labels)


def wide(labels: int = len(LABELS)) -> keras.Model:
    """Twice edge's width, for edge to learn from: 302,475 parameters, 8.5 million multiply-accumulates a digit."""
    return _strided("wide", (64, 64, 96, 96, 128), labels)


def micro(labels: int = len(LABELS)) -> keras.Model:
    """For the smallest devices: 2,855 parameters, 0.1 million multiply-accumulates a digit; 3 kB of int8 weights."""
    return _plain("micro", (8, 9, 10), labels)


def tiny(labels: int = len(LABELS)) -> keras.Model:
    """A step up from micro: 4,933 parameters, 0.2 million multiply-accumulates a digit; 5 kB of int8 weights."""
    return _plain("tiny", (10, 13, 15), labels)


def small(labels: int = len(LABELS)) -> keras.Model:
    """Between tiny and medium: 10,903 parameters, 0.3 million multiply-accumulates a digit; 11 kB of int8 weights."""
    return _plain("small", (12, 16, 20, 20), labels)


def medium(labels: int = len(LABELS)) -> keras.Model:
    """A third of edge: 24,267 parameters, 0.7 million multiply-accumulates a digit; 25 kB of int8 weights."""
    return _plain("medium", (18, 24, 32, 32), labels)


def classic(labels: int = len(LABELS)) -> keras.Model:
    """The CNN of the tutorials, with dropout: 694,091 parameters, 0.9 million multiply-accumulates a digit."""
    inputs = keras.Input((FIELD, FIELD, 1), name="pixels")
    x = layers.Conv2D(32, 3, activation="relu")(layers.Rescaling(1 / 255, name="rescaling")(inputs))
    x = layers.Dense(128, activation="relu")(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    return _head(inputs, layers.Dropout(0.3)(x), labels, "classic")


def lenet5(labels: int = len(LABELS)) -> keras.Model:
    """LeNet-5 (LeCun et al., 1998), ReLU for its tanh: 61,791 parameters, 0.4 million multiply-accumulates a digit."""
    inputs = keras.Input((FIELD, FIELD, 1), name="pixels")
    x = layers.Conv2D(6, 5, padding="same", activation="relu")(layers.Rescaling(1 / 255, name="rescaling")(inputs))
    x = layers.Conv2D(16, 5, activation="relu")(layers.AveragePooling2D(2)(x))
    x = layers.Dense(120, activation="relu")(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    return _head(inputs, layers.Dense(84, activation="relu")(x), labels, "lenet5")


def resnet(labels: int = len(LABELS)) -> keras.Model:
    """Residual blocks (He et al., 2016): 87,627 parameters, 3.9 million multiply-accumulates a digit."""
    inputs, x = _stem()
    x = _convolution(x, 24, 1, "same")
    for filters, stride in ((24, 1), (32, 2), (64, 2)):
        kept = x if stride == 1 else _normalized(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x))
        x = _convolution(x, filters, stride, "same")
        x = _normalized(_unbiased(filters, 1, "same")(x))
        x = layers.ReLU()(layers.Add()([x, kept]))
    return _head(inputs, layers.GlobalAveragePooling2D()(x), labels, "resnet")


def mobilenet(labels: int = len(LABELS)) -> keras.Model:
    """Depthwise-separable blocks (Howard et al., 2017): 38,907 parameters, 1.0 million multiply-accumulates a digit."""
    inputs, x = _stem()
    x = _convolution(x, 16, 1, "same")
    for filters, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1)):
        depthwise = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)
        x = layers.ReLU()(_normalized(depthwise(x)))
        x = layers.ReLU()(_normalized(layers.Conv2D(filters, 1, use_bias=False)(x)))
    return _head(inputs, layers.GlobalAveragePooling2D()(x), labels, "mobilenet")


NETWORKS: dict[str, Callable[..., keras.Model]] = {
    build.__name__: build for build in (edge, wide, micro, tiny, small, medium, classic, lenet5, resnet, mobilenet)
}
"""Builders of untrained networks: input (n, 28, 28, 1) float 0–255, output (n, labels) logits, eleven unless told."""


def logits_of(model: keras.Model, images: Image) -> npt.NDArray[np.float32]:
    """Answers of a network as it stands: uint8 (n, 28, 28) -> float32 (n, labels)."""
    parts = [model.predict_on_batch(images[i : i + 500, ..., None]) for i in range(0, len(images), 500)]
    return np.concatenate([np.empty((0, model.output_shape[-1]), np.float32), *parts])


def multiply_accumulates(model: keras.Model) -> int:
    """Multiply-accumulates of convolutions and dense layers, a digit."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            places = math.prod(layer.output.shape[1:3])
            # A depthwise kernel is (height, width, channels, 1): one product a place, as a plain one.
            total += places * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total


def weight_bytes(model: keras.Model) -> int:
    """Bytes of the weights in int8: a byte for each of a kernel, four for each bias, batch normalization folded in."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            total += math.prod(layer.kernel.shape) + 4 * layer.output.shape[-1]
    return total


def to_int8_grid(model: keras.Model) -> None:
    """Round kernels to what int8 holds: for each output channel whole multiples of 1/127 of its largest weight.

    Folding batch normalization scales a channel as a whole and keeps it on that grid, so that a file of int8 weights
    has the very weights of the network that it was made from.
    """
    for layer in model.layers:
        # A depthwise kernel is (height, width, channels, 1).
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            channels = 2 if isinstance(layer, layers.DepthwiseConv2D) else layer.kernel.ndim - 1
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            others = tuple(axis for axis in range(kernel.ndim) if axis != channels)
            step = np.maximum(np.abs(kernel).max(axis=others, keepdims=True), 1e-12) / 127
            layer.kernel.assign(np.rint(kernel / step) * step)


def hold_back_none(model: keras.Model, margin: float) -> None:
    """Lower the bias of ``none`` by ``margin``; a network of ten labels is left as it is."""
    layer = model.get_layer("logits")
    weights, bias = layer.get_weights()
    bias[NONE:] -= margin
    layer.set_weights([weights, bias])


def load_model(path: Path) -> keras.Model:
    """Load a model that ``train`` saved.

    Raises:
        DataError: the file is missing or is not a whole Keras model.
    """
    try:
        return keras.models.load_model(path)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path} is not a Keras model ({reason}); train again, without --resume") from error


def _stem() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    inputs = keras.Input((FIELD, FIELD, 1), name="pixels")
    return inputs, SpaceToDepth(name="space_to_depth")(layers.Rescaling(1 / 255, name="rescaling")(inputs))


def _strided(name: str, widths: Sequence[int], labels: int) -> keras.Model:
    """Five convolutions of these widths: two at half resolution, the others at a quarter, where a stride leads."""
    inputs, x = _stem()
    forms = ((1, "valid"), (1, "valid"), (2, "same"), (1, "same"), (1, "valid"))
    for filters, (stride, padding) in zip(widths, forms, strict=True):
        x = _convolution(x, filters, stride, padding)
    return _head(inputs, layers.Flatten()(x), labels, name)


def _plain(name: str, widths: Sequence[int], labels: int) -> keras.Model:
    """Convolutions of these widths: two at half resolution, the others at a quarter, the last of them unpadded.

    Pooling keeps more than a stride does. Where things are decides what digit it is: the last maps, of three by three,
    go to the labels as they are. Of nearly as many bytes, the mean of wider maps reads fewer digits right.
    """
    inputs, x = _stem()
    for place, filters in enumerate(widths):
        if place == 2:
            x = layers.MaxPooling2D(2)(x)
        x = _convolution(x, filters, 1, "valid" if place < 2 or place == len(widths) - 1 else "same")
    return _head(inputs, layers.Flatten()(x), labels, name)


def _convolution(x: keras.KerasTensor, filters: int, stride: int, padding: str) -> keras.KerasTensor:
    return layers.ReLU()(_normalized(_unbiased(filters, stride, padding)(x)))


def _unbiased(filters: int, stride: int, padding: str) -> layers.Conv2D:
    return layers.Conv2D(filters, 3, strides=stride, padding=padding, use_bias=False, kernel_initializer="he_normal")


def _normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)


def _head(inputs: keras.KerasTensor, features: keras.KerasTensor, labels: int, name: str) -> keras.Model:
    return keras.Model(inputs, layers.Dense(labels, name="logits")(features), name=name)
