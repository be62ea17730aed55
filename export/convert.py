"""A trained model -> the files of the chosen formats, and what each file is at its edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version

import keras
import numpy as np
from tqdm import tqdm

from export.to_onnx import logits_step, onnx_float32, onnx_float32_batch, onnx_int8
from export.to_tflite import tflite_dynamic, tflite_float16, tflite_float32, tflite_int8
from runtime.bundle import TensorSpec
from runtime.errors import BackendError
from runtime.preprocess import FIELD
from runtime.values import Image
from train.quiet import quiet


def convert(model: keras.Model, calibration: Image, formats: Sequence[str]) -> dict[str, bytes]:
    """Make the files.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        calibration: uint8 (n, 28, 28), for the quantized files.
        formats: names from ``FORMATS``.

    Returns:
        Content by name, in the order asked for.

    Raises:
        BackendError: a converter failed.
    """
    float_tflite = cache(lambda: tflite_float32(model))
    float_onnx = cache(lambda: onnx_float32(float_tflite()))
    converters: dict[str, Callable[[], bytes]] = {
        "litert-int8": lambda: tflite_int8(model, calibration),
        "litert-dynamic": lambda: tflite_dynamic(model),
        "litert-float16": lambda: tflite_float16(model),
        "litert-float32": float_tflite,
        "onnx-float32": float_onnx,
        "onnx-float32-batch": lambda: onnx_float32_batch(float_onnx()),
        "onnx-int8": lambda: onnx_int8(float_onnx(), calibration),
    }
    contents = {}
    for name in tqdm(formats, desc="converting", unit="file"):
        try:
            with quiet():
                contents[name] = converters[name]()
        except Exception as error:  # converters raise anything; what they printed stands above this
            versions = ", ".join(f"{each} {version(each)}" for each in ("tensorflow", "tf2onnx", "onnxruntime"))
            reason = " ".join(str(error).split())[:160]
            raise BackendError(
                f"cannot make {name} ({type(error).__name__}: {reason}) with {versions}; "
                "take the versions in constraints/full.txt, or leave it out of --formats"
            ) from error
    return contents


def specs(name: str, content: bytes, labels: int) -> tuple[TensorSpec, TensorSpec]:
    """Input and output of a file.

    Args:
        name: the artifact's.
        content: the file.
        labels: how many the model answers.
    """
    batch = None if name.endswith("-batch") else 1
    source, sink = TensorSpec((batch, FIELD, FIELD, 1), "float32"), TensorSpec((batch, labels), "float32")
    if name == "litert-int8":
        return _tflite_specs(content)
    return source, replace(sink, scale=logits_step(content)) if name == "onnx-int8" else sink


def _tflite_specs(content: bytes) -> tuple[TensorSpec, TensorSpec]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    found = []
    for details in (interpreter.get_input_details()[0], interpreter.get_output_details()[0]):
        scale, zero_point = details["quantization"]
        shape = tuple(int(n) for n in details["shape"])
        found.append(TensorSpec(shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point)))
    return found[0], found[1]
