"""What a network is made of, counted from its file: multiplications, weights, the memory of what flows through it."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterator
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

    ONNX files are protocol buffers: field 7 of the model is the graph, its field 5 the initializers, of which field 1
    is the shape and field 2 the type (onnx.proto of ONNX 1.18).

    Raises:
        DataError: it is no such file.
    """
    weights = 0
    try:
        for graph in _messages(content, 7):
            for initializer in _messages(graph, 5):
                (kind,) = _numbers(initializer, 2)
                weights += math.prod(_numbers(initializer, 1)) * _ONNX_BYTES[kind]
    except (IndexError, KeyError, ValueError) as error:
        raise DataError("not an ONNX file, or one that ends within a field") from error
    return Graph(None, weights, None)


_ONNX_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Of an element, by ONNX's number of its type."""


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


def _messages(message: bytes, wanted: int) -> list[bytes]:
    """The messages of a field's number within a message."""
    return [value for number, value in _fields(message) if number == wanted and isinstance(value, bytes)]


def _numbers(message: bytes, wanted: int) -> list[int]:
    """The whole numbers of a field's number within a message, packed or each by itself."""
    found = []
    for number, value in _fields(message):
        if number == wanted:
            at = 0
            while isinstance(value, bytes) and at < len(value):
                one, at = _varint(value, at)
                found.append(one)
            if isinstance(value, int):
                found.append(value)
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer's message: number and value; fixed-width values are skipped."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
        elif key & 7 == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise IndexError(at)
            yield key >> 3, message[at : at + length]
            at += length
        else:
            at += {1: 8, 5: 4}[key & 7]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
