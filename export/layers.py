"""Where a quantized TFLite network loses what: its error layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.quiet import native_stderr_silent
from runtime.values import Image

_HEAVY = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far a layer's quantized output is from the float one.

    Attributes:
        operator: TFLite's name of it, such as ``CONV_2D``.
        layer: its place among the layers with weights, from 1; 0 for operators without.
        decibels: signal to noise of its output.
        worst_decibels: of the channel where it is least.
        worst_channel: which that is.
        cut_off: share of its outputs that lie at the end of their range, where larger ones are cut off.
        weights: largest error of its weights in quantization steps; rounding leaves half a step. 0 without weights.
    """

    operator: str
    layer: int
    decibels: float
    worst_decibels: float
    worst_channel: int
    cut_off: float
    weights: float


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
    cut_off = [0.0 for _ in first.operators]
    for image in images:
        pairs = zip(first.outputs(image), second.outputs(image), second.cut_off(), strict=True)
        for number, (wanted, found, share) in enumerate(pairs):
            cut_off[number] += share / len(images)
            axes = tuple(range(wanted.ndim - 1))
            signal[number] = signal[number] + np.square(wanted).sum(axis=axes)
            noise[number] = noise[number] + np.square(found - wanted).sum(axis=axes)
    errors, layer = [], 0
    for number, (operator, strong, off) in enumerate(zip(first.operators, signal, noise, strict=True)):
        heavy = operator in _HEAVY
        layer += heavy
        by_channel = np.where(np.asarray(strong) > 0, decibels(np.asarray(strong), np.asarray(off)), np.inf)
        worst = int(np.argmin(by_channel))
        total = float(decibels(np.sum(strong), np.sum(off)))
        weights = weight_error(first.weights(number)[0], *second.weights(number)) if heavy else 0.0
        errors.append(
            LayerError(
                *(operator, layer if heavy else 0, total, float(by_channel[worst]), worst),
                *(cut_off[number], weights),
            )
        )
    return errors


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
        self._weights = [details[step["inputs"][1]] if step["op_name"] in _HEAVY else None for step in steps]

    def outputs(self, image: Image) -> list[npt.NDArray[np.float64]]:
        """What each operator makes of a picture, uint8 (28, 28)."""
        pixels = image[None, ..., None].astype(np.float32)
        if self._input["dtype"] is np.int8:
            pixels = pixels - 128
        self._interpreter.set_tensor(self._input["index"], pixels.astype(self._input["dtype"]))
        self._interpreter.invoke()
        return [self._real(each) for each in self._outputs]

    def cut_off(self) -> list[float]:
        """The share of what each operator made of the last picture that lies at the end of its range."""
        shares = []
        for each in self._outputs:
            stored, (scale, zero_point) = self._interpreter.get_tensor(each["index"]), each["quantization"]
            # Where zero is the least that can be stored, it is what a Relu makes, and nothing is cut off there.
            ends = (127,) if zero_point == -128 else (-128, 127)
            shares.append(float(np.isin(stored, ends).mean()) if scale else 0.0)
        return shares

    def weights(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.floating], int]:
        """The weights of an operator as stored, their scales, none where they are float, and the axis of these."""
        details = self._weights[number]
        assert details is not None
        quantized = details["quantization_parameters"]
        return (
            self._interpreter.get_tensor(details["index"]),
            quantized["scales"],
            quantized["quantized_dimension"],
        )

    def _real(self, details: dict[str, Any]) -> npt.NDArray[np.float64]:
        stored = self._interpreter.get_tensor(details["index"]).astype(np.float64)
        scale, zero_point = details["quantization"]
        return (stored - zero_point) * scale if scale else stored


def weight_error(
    wanted: npt.NDArray[np.floating], stored: npt.NDArray[Any], scales: npt.NDArray[np.floating], axis: int
) -> float:
    """The largest error of a layer's weights, in quantization steps.

    Args:
        wanted: the float weights.
        stored: the quantized ones, of the same shape; zero is stored as 0.
        scales: a step for each slice along the axis, or one for all.
        axis: of the weights.
    """
    shape = [-1 if each == axis else 1 for each in range(stored.ndim)] if scales.size > 1 else []
    return float(np.abs(stored - wanted / scales.reshape(shape)).max())


def decibels(signal: Any, noise: Any) -> Any:
    """Ten times the logarithm of their ratio; infinite without noise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(signal / noise)
