from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from export.convert import convert as convert_all
from export.formats import FORMATS
from export.samples import calibration_set
from export.to_onnx import OPSET, canonical, onnx_float32_batch
from runtime.errors import BackendError
from runtime.values import Image
from train.augment import AugmentSettings, augment
from train.data import LABELS, Mnist
from train.networks import load_model

ROOT = Path(__file__).resolve().parents[2]
Files = dict[str, bytes]
Logits = npt.NDArray[np.float32]


def convert(model: keras.Model, calibration: Image) -> Files:
    return convert_all(model, calibration, tuple(FORMATS))


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
    @pytest.mark.parametrize("name", ["litert-float32", "onnx-float32", "onnx-float32-batch"])
    def test_a_float_file_answers_as_keras_does(
        self, name: str, files: Files, trained: keras.Model, pictures: Image
    ) -> None:
        expected = trained.predict_on_batch(pictures[..., None])
        found = (ask_tflite if name.startswith("litert") else ask_onnx)(files[name], pictures)
        # Seven layers of float32 sums of at most 4,608 products each, in another order: far under 1e-4 of the largest.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

    def test_the_onnx_graph_has_the_names_and_the_opset_that_the_runtime_relies_on(self, files: Files) -> None:
        for name in ("onnx-float32", "onnx-float32-batch", "onnx-int8"):
            model = onnx.load_from_string(files[name])
            assert {opset.domain: opset.version for opset in model.opset_import}[""] == OPSET
            assert [value.name for value in model.graph.input] == ["pixels"]
            assert [value.name for value in model.graph.output] == ["logits"]


class TestFreeBatch:
    def test_it_answers_many_at_once_as_one_by_one(self, files: Files, pictures: Image) -> None:
        session = onnxruntime.InferenceSession(files["onnx-float32-batch"], providers=["CPUExecutionProvider"])
        (together,) = session.run(None, {"pixels": pictures[..., None].astype(np.float32)})
        alone = ask_onnx(files["onnx-float32"], pictures)
        # Only the order of sums may differ.
        np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5 * np.abs(alone).max())

    def test_its_first_dimension_has_a_name_and_no_size(self, files: Files) -> None:
        graph = onnx.load_from_string(files["onnx-float32-batch"]).graph
        for value in (*graph.input, *graph.output):
            dimension = value.type.tensor_type.shape.dim[0]
            assert (dimension.dim_param, dimension.dim_value) == ("batch", 0)
        operators = [node.op_type for node in onnx.load_from_string(files["onnx-float32"]).graph.node]
        assert [node.op_type for node in graph.node] == operators  # nothing computes shapes

    def test_a_graph_that_holds_its_batch_otherwise_is_refused(self, files: Files) -> None:
        model = onnx.load_from_string(files["onnx-float32"])
        targets = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
        tensor = next(each for each in model.graph.initializer if each.name in targets)
        target = onnx.numpy_helper.to_array(tensor).copy()
        target[:2] = target[1], 1
        tensor.CopyFrom(onnx.numpy_helper.from_array(target, tensor.name))
        with pytest.raises(ValueError, match="the batch cannot be freed"):
            onnx_float32_batch(model.SerializeToString())


class TestSmallerWeights:
    @pytest.mark.parametrize(("name", "share"), [("litert-float16", 1 / 2), ("litert-dynamic", 1 / 4)])
    def test_the_file_shrinks_as_its_weights_do(self, name: str, share: float, files: Files) -> None:
        # Some ten kilobytes of graph come on top of the weights.
        assert len(files[name]) == pytest.approx(share * len(files["litert-float32"]), abs=12_000)

    @pytest.mark.parametrize(
        ("name", "off"),
        # A weight is off by 2⁻¹² of itself at the most, or by 1/254 of the largest of its channel; such errors add up
        # at random over six layers, and the largest logit is one of many sums.
        [("litert-float16", 6 * 2**-12), ("litert-dynamic", 6 / 254)],
    )
    def test_it_answers_nearly_as_keras_does(
        self, name: str, off: float, files: Files, trained: keras.Model, pictures: Image
    ) -> None:
        expected = trained.predict_on_batch(pictures[..., None])
        difference = np.abs(ask_tflite(files[name], pictures) - expected).max() / np.abs(expected).max()
        assert 0 < difference < off

    def test_edges_stay_float32(self, files: Files) -> None:
        for name in ("litert-float16", "litert-dynamic"):
            interpreter = Interpreter(model_content=files[name])
            for details in (*interpreter.get_input_details(), *interpreter.get_output_details()):
                assert details["dtype"] is np.float32


class TestConvert:
    def test_it_makes_what_was_asked_for_and_no_more(
        self, files: Files, trained: keras.Model, calibration: Image
    ) -> None:
        made = convert_all(trained, calibration, ["onnx-int8", "litert-dynamic"])
        assert list(made) == ["onnx-int8", "litert-dynamic"]
        assert all(made[name] == files[name] for name in made)

    def test_a_converter_that_fails_is_one_line_that_names_file_and_versions(
        self, trained: keras.Model, calibration: Image
    ) -> None:
        with pytest.raises(BackendError) as caught:
            convert_all(trained, calibration[:, :20], ["litert-float16", "litert-int8"])  # images of another size
        assert "\n" not in str(caught.value)
        assert "cannot make litert-int8" in str(caught.value)
        assert f"tensorflow {version('tensorflow')}" in str(caught.value)


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
