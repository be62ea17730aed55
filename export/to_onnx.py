"""TFLite float32 file -> ONNX file, by tf2onnx; and its int8 form, by ONNX Runtime's static quantization.

The way through TFLite gives the cleanest graph, since TensorFlow's converter has folded batch normalization into the
convolutions. Neither tool names and orders things alike in two runs: the files are brought to one canonical form.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tf2onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from runtime.values import Image

OPSET = 17
"""The highest that tf2onnx 1.17 writes without extra transposes."""


def onnx_float32(tflite: bytes) -> bytes:
    """Convert a float32 TFLite model: ``pixels`` float32 (1, 28, 28, 1) -> ``logits`` float32 (1, labels)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(tflite)
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        proto, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    return canonical(proto)


def onnx_float32_batch(float_model: bytes) -> bytes:
    """Free the batch of a float32 ONNX model: ``pixels`` (batch, 28, 28, 1) -> ``logits`` (batch, labels).

    Only reshapes hold the batch, in their targets. Converting a TFLite file whose batch is free gives the same answers
    with six more operators, which compute the targets each time.

    Args:
        float_model: from ``onnx_float32``.

    Raises:
        ValueError: an operator holds the batch in another way.
    """
    model = onnx.load_from_string(float_model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Reshape":
            target = onnx.numpy_helper.to_array(constants[node.input[1]]).copy()
            if target[0] != 1 or (target < 1).any():
                raise ValueError(
                    f"{node.name} reshapes to {target.tolist()}, expected [1, …]: the batch cannot be freed"
                )
            target[0] = -1
            constants[node.input[1]].CopyFrom(onnx.numpy_helper.from_array(target, node.input[1]))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return canonical(model)


def onnx_int8(float_model: bytes, calibration: Image) -> bytes:
    """Quantize a float32 ONNX model: uint8 activations, int8 weights per channel, in QDQ form.

    uint8 activations ran 2.4 times faster than int8 ones on x86 at the same accuracy. Input and output stay float32.

    Args:
        float_model: from ``onnx_float32``.
        calibration: uint8 (n, 28, 28).
    """
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "quantized.onnx"
        quantize_static(
            onnx.shape_inference.infer_shapes(onnx.load_from_string(float_model), strict_mode=True),
            str(quantized),
            _Pictures(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return canonical(onnx.load(str(quantized)))


def logits_step(content: bytes) -> float:
    """The quantization step of an int8 model's logits, which it answers as float32: its last scale."""
    graph = onnx.load_from_string(content).graph
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    if last.op_type != "DequantizeLinear":
        raise ValueError(f"the model ends in {last.op_type}, not in DequantizeLinear: it is not quantized")
    scale = next(tensor for tensor in graph.initializer if tensor.name == last.input[1])
    return float(onnx.numpy_helper.to_array(scale))


def canonical(proto: Any) -> bytes:
    """One file for one graph: tensors named by their order, initializers sorted, no remarks of the tools.

    Args:
        proto: ``onnx.ModelProto``.
    """
    graph = proto.graph
    graph_inputs = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    names = dict.fromkeys(graph_inputs, "pixels") | {graph.output[0].name: "logits"}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        for slot, name in enumerate(node.input):
            if name in constants:
                names.setdefault(name, f"constant_{number}_{slot}")
        for slot, name in enumerate(node.output):
            names.setdefault(name, f"tensor_{number}_{slot}")
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    kept = sorted((t for t in constants.values() if t.name in names), key=lambda t: names[t.name])
    for tensor in kept:
        tensor.name, tensor.doc_string = names[tensor.name], ""
    for value in (*graph.input, *graph.output):
        value.name, value.doc_string = names[value.name], ""
    inputs = [value for value in graph.input if value.name == "pixels"]
    fresh = onnx.helper.make_graph(list(graph.node), "digits", inputs, list(graph.output), kept)
    model = onnx.helper.make_model(fresh, opset_imports=sorted(proto.opset_import, key=lambda o: o.domain))
    model.ir_version = min(proto.ir_version, 10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


class _Pictures(CalibrationDataReader):
    """Feeds the calibration pictures one at a time."""

    def __init__(self, calibration: Image) -> None:
        self._rest: Iterator[np.ndarray] = iter(calibration)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._rest, None)
        return None if picture is None else {"pixels": picture[None, ..., None].astype(np.float32)}
