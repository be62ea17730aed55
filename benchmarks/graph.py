"""What a network is made of, counted from its file: multiplications, weights, the memory of what flows through it."""

from __future__ import annotations

import importlib
import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.backends import INTERPRETERS
from runtime.errors import DataError


@dataclass(frozen=True, slots=True)
class Graph:
    """A network, counted.

    Attributes:
        macs: multiply-accumulate operations of one digit, in convolutions and dense layers; None where not known.
        weight_bytes: of all constants.
        activation_bytes: of the tensors that must be there at one time, at the worst one: what a tensor arena cannot be
            smaller than; None where not known.
    """

    macs: int | None
    weight_bytes: int
    activation_bytes: int | None


def count_tflite(content: bytes) -> Graph | None:
    """Count a .tflite file; None where no interpreter is installed to read it with.

    The operators are those of the file, before any delegate takes them.
    """
    for module, _ in INTERPRETERS.values():
        if importlib.util.find_spec(module.split(".")[0]) is not None:
            break
    else:
        return None
    package = importlib.import_module(module)
    lite = package.Interpreter(
        model_content=content, experimental_op_resolver_type=package.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    # Before tensors are allocated: kernels then add their own scratch tensors.
    tensors = {each["index"]: each for each in lite.get_tensor_details()}
    operators = [
        (each["op_name"], [int(i) for i in each["inputs"] if i >= 0], [int(i) for i in each["outputs"]])
        for each in lite._get_ops_details()
    ]
    inputs = [each["index"] for each in lite.get_input_details()]
    outputs = [each["index"] for each in lite.get_output_details()]
    made = {*inputs, *(i for _, _, results in operators for i in results)}
    return Graph(
        macs=sum(
            _macs(name, [tensors[i] for i in sources], tensors[results[0]]) for name, sources, results in operators
        ),
        weight_bytes=sum(_bytes(tensors[i]) for i in {i for _, sources, _ in operators for i in sources} - made),
        activation_bytes=_live_bytes({i: _bytes(tensors[i]) for i in made}, operators, inputs, outputs),
    )


def count_onnx(content: bytes) -> Graph:
    """Count the constants of an .onnx file; ONNX Runtime tells nothing of its operators.

    ONNX files are protocol buffers: field 7 of the model is the graph, its field 5 the initializers, of which
    field 9 is the content (onnx.proto of ONNX 1.18).

    Raises:
        DataError: it is no such file.
    """
    weights = 0
    try:
        for graph in _fields(content, 7):
            for initializer in _fields(graph, 5):
                weights += sum(map(len, _fields(initializer, 9)))
    except IndexError as error:
        raise DataError("not an ONNX file: it ends within a field") from error
    return Graph(None, weights, None)


def _macs(operator: str, sources: list[dict[str, Any]], result: dict[str, Any]) -> int:
    if operator == "CONV_2D" or operator == "FULLY_CONNECTED":
        # Each output is a sum over all but the first axis of the weights.
        return int(math.prod(result["shape"])) * int(math.prod(sources[1]["shape"][1:]))
    if operator == "DEPTHWISE_CONV_2D":
        return int(math.prod(result["shape"])) * int(math.prod(sources[1]["shape"][1:3]))
    return 0


def _bytes(tensor: dict[str, Any]) -> int:
    return int(math.prod(tensor["shape"])) * np.dtype(tensor["dtype"]).itemsize


def _live_bytes(
    sizes: dict[int, int], operators: list[tuple[str, list[int], list[int]]], inputs: list[int], outputs: list[int]
) -> int:
    last = {i: place for place, (_, sources, _) in enumerate(operators) for i in sources}
    last |= dict.fromkeys(outputs, len(operators))
    live, worst = set(inputs), 0
    for place, (_, _, results) in enumerate(operators):
        live |= set(results)
        worst = max(worst, sum(sizes[i] for i in live))
        live = {i for i in live if last.get(i, -1) > place}
    return worst


def _fields(message: bytes, wanted: int) -> list[bytes]:
    """The length-delimited fields of a number in a protocol buffer's message."""
    found, at = [], 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise IndexError(at)
            if key >> 3 == wanted:
                found.append(message[at : at + length])
            at += length
        else:
            at += {1: 8, 5: 4}[kind] if kind in (1, 5) else len(message)
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
