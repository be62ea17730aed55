"""Where a quantized network loses what: its error layer by layer, and which layer would mend it most as float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.quiet import native_stderr_silent
from runtime.values import Image

IMAGES = 1_000
"""Images that errors are measured on; they are means over thousands of values in each."""


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far a layer's quantized output is from the float one.

    Attributes:
        operator: TFLite's name of it, such as ``CONV_2D``.
        layer: its place among the layers with weights, from 1; 0 for operators without.
        decibels: signal to noise of its output.
        worst_decibels: of the channel where it is least.
        worst_channel: which that is.
    """

    operator: str
    layer: int
    decibels: float
    worst_decibels: float
    worst_channel: int


@dataclass(frozen=True, slots=True)
class Repair:
    """The quantized network with one layer kept in float: its weights, and what it hands on.

    Attributes:
        layer: its place among the layers with weights, from 1; 0 for the network as it is.
        decibels: signal to noise of the logits.
        flips: images with another label than from the float network.
        count: images.
    """

    layer: int
    decibels: float
    flips: int
    count: int


def layer_errors(float_file: bytes, int8_file: bytes, images: Image) -> list[LayerError]:
    """The error of each operator's output, in order of depth, between two TFLite files of one network.

    Args:
        float_file: the float32 file.
        int8_file: the int8 file.
        images: uint8 (n, 28, 28).

    Raises:
        ValueError: the two files are not the same operators in the same order.
    """
    first, second = _Inside(float_file), _Inside(int8_file)
    if first.operators != second.operators:
        raise ValueError(f"the float file has the operators {first.operators}, the int8 file {second.operators}")
    signal = [0.0 for _ in first.operators]  # each grows to (channels,)
    noise = [0.0 for _ in first.operators]
    for image in images:
        pairs = zip(first.outputs(image), second.outputs(image), strict=True)
        for number, (wanted, found) in enumerate(pairs):
            axes = tuple(range(wanted.ndim - 1))
            signal[number] = signal[number] + np.square(wanted).sum(axis=axes)
            noise[number] = noise[number] + np.square(found - wanted).sum(axis=axes)
    errors, layer = [], 0
    for operator, strong, off in zip(first.operators, signal, noise, strict=True):
        heavy = operator in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
        layer += heavy
        by_channel = np.where(np.asarray(strong) > 0, _decibels(np.asarray(strong), np.asarray(off)), np.inf)
        worst = int(np.argmin(by_channel))
        total = float(_decibels(np.sum(strong), np.sum(off)))
        errors.append(LayerError(operator, layer if heavy else 0, total, float(by_channel[worst]), worst))
    return errors


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
        decibels = _decibels(np.square(wanted).sum(), np.square(logits - wanted).sum())
        found.append(Repair(layer, float(decibels), flips, len(images)))
    return found


class _Inside:
    """A TFLite file whose operators' outputs can be read, dequantized."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        with native_stderr_silent():
            self._interpreter = Interpreter(
                model_content=content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        details = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        # No public function tells which operator makes which tensor.
        steps = self._interpreter._get_ops_details()
        self.operators = [step["op_name"] for step in steps]
        self._outputs = [details[step["outputs"][0]] for step in steps]

    def outputs(self, image: Image) -> list[npt.NDArray[np.float64]]:
        """What each operator makes of a picture, uint8 (28, 28)."""
        pixels = image[None, ..., None].astype(np.float32)
        if self._input["dtype"] is np.int8:
            pixels = pixels - 128
        self._interpreter.set_tensor(self._input["index"], pixels.astype(self._input["dtype"]))
        self._interpreter.invoke()
        return [self._real(each) for each in self._outputs]

    def _real(self, details: dict[str, Any]) -> npt.NDArray[np.float64]:
        stored = self._interpreter.get_tensor(details["index"]).astype(np.float64)
        scale, zero_point = details["quantization"]
        return (stored - zero_point) * scale if scale else stored


def _decibels(signal: Any, noise: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(signal / noise)


def _ask(content: bytes, images: Image) -> npt.NDArray[np.float64]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it would remark on weights that nothing uses any longer
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    pixels = images[:, None, ..., None].astype(np.float32)
    return np.concatenate([session.run(None, {"pixels": each})[0] for each in pixels]).astype(np.float64)


def _heavy(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.op_type in {"Conv", "Gemm", "MatMul"}]


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
