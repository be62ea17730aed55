"""Keras model -> TFLite file, by TensorFlow's converter. The batch is fixed at one, which removes shape operators."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from runtime.preprocess import FIELD
from runtime.values import Image


def tflite_float32(model: keras.Model) -> bytes:
    """Convert without quantizing."""
    return _convert(model, lambda converter: None)


def tflite_float16(model: keras.Model) -> bytes:
    """Store the weights as float16; they become float32 again when the interpreter loads them."""

    def half(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    return _convert(model, half)


def tflite_dynamic(model: keras.Model) -> bytes:
    """Quantize the weights to int8; activations are quantized as they come, so that nothing need be calibrated."""

    def weights(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    return _convert(model, weights)


def tflite_int8(model: keras.Model, calibration: Image) -> bytes:
    """Quantize everything to int8, input and output too; ranges are those that the calibration pictures reach.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        calibration: uint8 (n, 28, 28); 0 and 255 occur in it, so that the input's step is exactly one gray level.
    """

    def full_int8(converter: tf.lite.TFLiteConverter) -> None:
        def representative() -> Iterator[list[np.ndarray]]:
            for picture in calibration:
                yield [picture[None, ..., None].astype(np.float32)]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8

    return _convert(model, full_int8)


def _convert(model: keras.Model, configure: Callable[[tf.lite.TFLiteConverter], None]) -> bytes:
    signature = [tf.TensorSpec((1, FIELD, FIELD, 1), tf.float32, name="pixels")]
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False, input_signature=signature)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        configure(converter)
        return bytes(converter.convert())
