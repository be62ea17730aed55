"""Which layer of a quantized ONNX network would mend it most, were it float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.layers import decibels, weight_error
from runtime.values import Image


@dataclass(frozen=True, slots=True)
class Repair:
    """The quantized network with one layer kept in float: its weights, and what it hands on.

    Attributes:
        layer: its place among the layers with weights, from 1; 0 for the network as it is.
        decibels: signal to noise of the logits.
        flips: images with another label than from the float network.
        count: images.
        weights: largest error of that layer's weights in quantization steps; 0 for the network as it is.
    """

    layer: int
    decibels: float
    flips: int
    count: int
    weights: float


def repairs(float_model: bytes, int8_model: bytes, images: Image) -> list[Repair]:
    """The quantized ONNX network as it is, and then with each layer in turn kept in float.

    Args:
        float_model: the float32 file.
        int8_model: the QDQ file made of it.
        images: uint8 (n, 28, 28).

    Raises:
        ValueError: the two files do not have the same layers.
    """
    import onnx  # here, since a device has none: it verifies by the files' answers alone

    original, quantized = onnx.load_from_string(float_model), onnx.load_from_string(int8_model)
    layers = _heavy(original)
    if len(layers) != len(_heavy(quantized)):
        raise ValueError(f"the float file has {len(layers)} layers, the int8 file {len(_heavy(quantized))}")
    wanted = _ask(float_model, images)
    found = []
    for layer in range(len(layers) + 1):
        model = onnx.load_from_string(int8_model)
        if layer:
            _keep_in_float(model, original, layer - 1)
        logits = _ask(model.SerializeToString(), images)
        flips = int((logits.argmax(axis=1) != wanted.argmax(axis=1)).sum())
        clean = float(decibels(np.square(wanted).sum(), np.square(logits - wanted).sum()))
        error = _error(original, quantized, layer - 1) if layer else 0.0
        found.append(Repair(layer, clean, flips, len(images), error))
    return found


def _ask(content: bytes, images: Image) -> npt.NDArray[np.float64]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it would remark on weights that nothing uses any longer
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    pixels = images[:, None, ..., None].astype(np.float32)
    return np.concatenate([session.run(None, {"pixels": each})[0] for each in pixels]).astype(np.float64)


def _heavy(model: Any) -> list[Any]:
    """Layers with weights, each after those that it reads: the quantizer stores branches in another order."""
    makers = {name: node for node in model.graph.node for name in node.output}
    walked: dict[str, Any] = {}

    def walk(name: str) -> None:
        if name in makers and name not in walked:
            for source in makers[name].input:
                walk(source)
            walked[name] = makers[name]

    walk(model.graph.output[0].name)
    return [node for node in walked.values() if node.op_type in {"Conv", "Gemm", "MatMul"}]


def _error(original: Any, quantized: Any, number: int) -> float:
    """Largest error of a layer's weights, in steps."""
    makers = {name: node for node in quantized.graph.node for name in node.output}
    source = makers[_heavy(quantized)[number].input[1]]
    stored, scales = (_constant(quantized, source.input[slot]) for slot in (0, 1))
    axis = next((each.i for each in source.attribute if each.name == "axis"), 0)
    return weight_error(_constant(original, _heavy(original)[number].input[1]), stored, scales, axis)


def _constant(model: Any, name: str) -> npt.NDArray[Any]:
    import onnx

    constant = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return np.asarray(onnx.numpy_helper.to_array(constant))


def _keep_in_float(quantized: Any, original: Any, number: int) -> None:
    """Give a layer its float weights back, and hand on what it makes without rounding it."""
    node, source = _heavy(quantized)[number], _heavy(original)[number]
    constants = {tensor.name: tensor for tensor in original.graph.initializer}
    for slot in range(1, len(source.input)):
        tensor = quantized.graph.initializer.add()
        tensor.CopyFrom(constants[source.input[slot]])
        tensor.name = f"float_{slot}"
        node.input[slot] = tensor.name
    # Rounding to values from 0 up does what a Relu would, and so the quantizer left that out.
    absorbed = "Relu" in _readers(original, source.output[0]) and "Relu" not in _readers(quantized, node.output[0])
    _unround(quantized, node, relu=bool(absorbed))


def _readers(model: Any, tensor: str) -> dict[str, Any]:
    return {node.op_type: node for node in model.graph.node if tensor in node.input}


def _unround(model: Any, node: Any, *, relu: bool) -> None:
    """Take out the rounding of what a node makes, and of what reshapes it on its way to the next layer."""
    readers = _readers(model, node.output[0])
    for reader in readers.values():
        if reader.op_type == "QuantizeLinear":
            back = _readers(model, reader.output[0])["DequantizeLinear"]
            if relu:
                reader.op_type = "Relu"
                del reader.input[1:], reader.attribute[:]
                reader.output[0] = back.output[0]
            else:
                model.graph.node.remove(reader)
                node.output[0] = back.output[0]
            model.graph.node.remove(back)
            readers = _readers(model, back.output[0])
    for reader in readers.values():
        if reader.op_type not in {"Conv", "Gemm", "MatMul", "QuantizeLinear"}:
            _unround(model, reader, relu=False)
