"""The architectures, by name.

Every network takes pixels as the runtime cuts them (0–255, scaled inside) and answers with logits. They are plain
convolutions on few, wide maps, since that is what int8 kernels run fastest: measured on one x86 core, the same 74,000
parameters cost 15 µs in int8 as they stand here, 24 µs with padded convolutions, and 36 µs behind a strided stem of one
channel in place of space-to-depth.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from runtime.errors import DataError
from runtime.preprocess import FIELD

LABELS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "none")
"""The meaning of each output, in order."""


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


def edge() -> keras.Model:
    """The shipped network: 79,819 parameters, 2.2 million multiply-accumulates a digit."""
    inputs, x = _stem()
    for filters, stride, padding in (
        (32, 1, "valid"),
        (32, 1, "valid"),
        (48, 2, "same"),
        (48, 1, "same"),
        (64, 1, "valid"),
    ):
        x = _convolution(x, filters, stride, padding)
    return _head(inputs, x, "edge")


NETWORKS: dict[str, Callable[[], keras.Model]] = {"edge": edge}
"""Builders of untrained networks: input (n, 28, 28, 1) float 0–255, output (n, 11) logits."""


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


def _convolution(x: keras.KerasTensor, filters: int, stride: int, padding: str) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, strides=stride, padding=padding, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x))


def _head(inputs: keras.KerasTensor, x: keras.KerasTensor, name: str) -> keras.Model:
    return keras.Model(inputs, layers.Dense(len(LABELS), name="logits")(layers.Flatten()(x)), name=name)
