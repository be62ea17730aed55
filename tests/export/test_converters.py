from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from export.samples import calibration_set
from export.to_onnx import OPSET, canonical, onnx_float32, onnx_int8
from export.to_tflite import tflite_float32, tflite_int8
from runtime.values import Image
from train.augment import AugmentSettings, augment
from train.data import Mnist
from train.networks import LABELS, load_model
from train.quiet import quiet

ROOT = Path(__file__).resolve().parents[2]
Files = dict[str, bytes]
Logits = npt.NDArray[np.float32]


def convert(model: keras.Model, calibration: Image) -> Files:
    with quiet():
        float_tflite = tflite_float32(model)
        float_onnx = onnx_float32(float_tflite)
        return {
            "litert-float32": float_tflite,
            "litert-int8": tflite_int8(model, calibration),
            "onnx-float32": float_onnx,
            "onnx-int8": onnx_int8(float_onnx, calibration),
        }


def ask_tflite(content: bytes, pictures: Image) -> Logits:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    out = []
    for picture in pictures:
        interpreter.set_tensor(source["index"], picture[None, ..., None].astype(source["dtype"]))
        interpreter.invoke()
        out.append(interpreter.get_tensor(sink["index"])[0].copy())
    return np.array(out)


def ask_onnx(content: bytes, pictures: Image) -> Logits:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, {"pixels": p[None, ..., None].astype(np.float32)})[0][0] for p in pictures])


@pytest.fixture(scope="module")
def calibration(drawn: Mnist) -> Image:
    return calibration_set(drawn, 200)


@pytest.fixture(scope="module")
def files(run: Path, calibration: Image) -> Files:
    return convert(load_model(run / "model.keras"), calibration)


@pytest.fixture(scope="module")
def pictures(drawn: Mnist) -> Image:
    """Digits varied at random, as cameras see them, and noise."""
    rng = np.random.default_rng(21)
    noise = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    return np.concatenate([augment(drawn.validation_images[:80], AugmentSettings(), rng), noise])


class TestFloat:
    @pytest.mark.parametrize("name", ["litert-float32", "onnx-float32"])
    def test_a_float_file_answers_as_keras_does(
        self, name: str, files: Files, trained: keras.Model, pictures: Image
    ) -> None:
        expected = trained.predict_on_batch(pictures[..., None])
        found = (ask_tflite if name.startswith("litert") else ask_onnx)(files[name], pictures)
        # Seven layers of float32 sums of at most 4,608 products each, in another order: far under 1e-4 of the largest.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

    def test_the_onnx_graph_has_the_names_and_the_opset_that_the_runtime_relies_on(self, files: Files) -> None:
        for name in ("onnx-float32", "onnx-int8"):
            model = onnx.load_from_string(files[name])
            assert {opset.domain: opset.version for opset in model.opset_import}[""] == OPSET
            assert [value.name for value in model.graph.input] == ["pixels"]
            assert [value.name for value in model.graph.output] == ["logits"]


class TestInt8:
    def test_an_input_step_is_exactly_one_gray_level(self, files: Files) -> None:
        (source,) = Interpreter(model_content=files["litert-int8"]).get_input_details()
        assert source["dtype"] is np.int8
        assert source["quantization"] == (1.0, -128)
        assert source["shape"].tolist() == [1, 28, 28, 1]

    def test_output_is_int8_too(self, files: Files) -> None:
        (sink,) = Interpreter(model_content=files["litert-int8"]).get_output_details()
        assert sink["dtype"] is np.int8
        assert sink["shape"].tolist() == [1, len(LABELS)]

    def test_every_convolution_of_the_onnx_file_has_quantized_inputs(self, files: Files) -> None:
        graph = onnx.load_from_string(files["onnx-int8"]).graph
        maker = {name: node.op_type for node in graph.node for name in node.output}
        heavy = [node for node in graph.node if node.op_type in {"Conv", "Gemm", "MatMul"}]
        assert len(heavy) == 6  # five convolutions and the dense layer
        for node in heavy:
            assert [maker[name] for name in node.input[:2]] == ["DequantizeLinear"] * 2
        weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
        types = {weights[node.input[0]] for node in graph.node if node.input[0] in weights}
        assert onnx.TensorProto.INT8 in types
        assert onnx.TensorProto.FLOAT not in types

    def test_an_int8_file_is_within_a_step_of_keras_on_the_average(
        self, files: Files, trained: keras.Model, pictures: Image
    ) -> None:
        expected = trained.predict_on_batch(pictures[..., None])
        (sink,) = Interpreter(model_content=files["litert-int8"]).get_output_details()
        step, zero_point = sink["quantization"]
        litert = step * (ask_tflite(files["litert-int8"], pictures.astype(np.int16) - 128) - float(zero_point))
        for found in (litert, ask_onnx(files["onnx-int8"], pictures)):
            # Six layers round their outputs, each by 1/√12 of a step of its own range: together about √(6/12) of one.
            assert 0 < np.sqrt(np.square(found - expected).mean()) < step


class TestSameAgain:
    def test_the_same_model_gives_the_same_bytes(self, files: Files, trained: keras.Model, calibration: Image) -> None:
        again = convert(trained, calibration)
        assert [name for name in files if again[name] != files[name]] == []

    def test_onnx_files_are_the_same_from_another_process(
        self, files: Files, calibration: Image, tmp_path: Path
    ) -> None:
        (tmp_path / "model.tflite").write_bytes(files["litert-float32"])
        np.save(tmp_path / "calibration.npy", calibration)
        script = (
            "import numpy as np; from pathlib import Path; from export.to_onnx import onnx_float32, onnx_int8; "
            f"folder = Path({str(tmp_path)!r}); model = onnx_float32((folder / 'model.tflite').read_bytes()); "
            "(folder / 'float32').write_bytes(model); "
            "(folder / 'int8').write_bytes(onnx_int8(model, np.load(folder / 'calibration.npy')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "12345"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for precision in ("float32", "int8"):
            assert (tmp_path / precision).read_bytes() == files[f"onnx-{precision}"], precision


class TestCanonical:
    @pytest.mark.parametrize("name", ["onnx-float32", "onnx-int8"])
    def test_it_changes_names_and_order_but_no_answer(self, name: str, files: Files, pictures: Image) -> None:
        messy = onnx.load_from_string(files[name])
        for number, node in enumerate(messy.graph.node):
            node.name, node.doc_string = f"random_{number * 7919 % 101}", "a remark"
        renamed = {
            tensor.name: f"w_{number * 31 % 97}_{number}" for number, tensor in enumerate(messy.graph.initializer)
        }
        for tensor in messy.graph.initializer:
            tensor.name = renamed[tensor.name]
        for node in messy.graph.node:
            node.input[:] = [renamed.get(each, each) for each in node.input]
        shuffled = list(messy.graph.initializer)[::-1]
        del messy.graph.initializer[:]
        messy.graph.initializer.extend(shuffled)
        messy.producer_name, messy.doc_string = "a tool", "made at noon"

        assert messy.SerializeToString() != files[name]
        np.testing.assert_array_equal(ask_onnx(messy.SerializeToString(), pictures), ask_onnx(files[name], pictures))
        assert canonical(messy) == files[name]

    def test_a_constant_that_nothing_uses_is_left_out(self, files: Files) -> None:
        model = onnx.load_from_string(files["onnx-float32"])
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(1000, np.float32), "unused"))
        assert canonical(model) == files["onnx-float32"]
