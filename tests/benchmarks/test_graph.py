from __future__ import annotations

import math

import pytest

from benchmarks.graph import Graph, count_onnx, count_tflite
from runtime.bundle import Bundle, load_bundle
from runtime.errors import DataError

onnx = pytest.importorskip("onnx", reason="an independent count of the same network takes the onnx package")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def counted(bundle: Bundle, precision: str) -> Graph:
    graph = count_tflite(bundle.read(bundle.artifact("litert", precision)))
    assert graph is not None
    return graph


def test_multiplications_are_those_that_the_onnx_graph_has(bundle: Bundle) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(bundle.read(bundle.artifact("onnx", "float32"))))
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*model.graph.value_info, *model.graph.output)
    }
    weights = {w.name: list(w.dims) for w in model.graph.initializer}
    macs = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            macs += math.prod(shapes[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            macs += math.prod(weights[node.input[1]])
    assert counted(bundle, "int8").macs == counted(bundle, "float32").macs == macs > 0


def test_weights_of_an_onnx_file_are_its_initializers(bundle: Bundle) -> None:
    for precision in ("float32", "int8"):
        content = bundle.read(bundle.artifact("onnx", precision))
        expected = sum(onnx.numpy_helper.to_array(w).nbytes for w in onnx.load_from_string(content).graph.initializer)
        assert count_onnx(content) == Graph(None, expected, None)


def test_float_weights_are_four_times_those_of_int8_but_for_biases(bundle: Bundle) -> None:
    wide, narrow = counted(bundle, "float32"), counted(bundle, "int8")
    # A bias has four bytes in both; all else one in int8. Constants of reshaping are the same eight bytes.
    assert 3.8 < wide.weight_bytes / narrow.weight_bytes < 4.0
    assert wide.weight_bytes < bundle.artifact("litert", "float32").bytes


def test_what_must_be_in_memory_at_one_time_is_a_quarter_in_int8(bundle: Bundle) -> None:
    wide, narrow = counted(bundle, "float32").activation_bytes, counted(bundle, "int8").activation_bytes
    assert narrow is not None
    assert wide == 4 * narrow
    assert narrow >= 2 * 28 * 28  # the input, and what is made of it


@pytest.mark.parametrize("content", [b"\x3a\xff\x7f", b"\x3a\x80", b"\x0b", b"\x3a\x02\x2a\x00"])
def test_a_file_that_ends_within_a_field_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="not an ONNX file"):
        count_onnx(content)
