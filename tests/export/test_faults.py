"""What goes wrong in practice, put into a bundle or an installation on purpose: the commands must name it."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter

from export.convert import convert, specs
from export.formats import FORMATS
from export.parity import Parities
from export.samples import calibration_set
from export.verify import main
from runtime.backends import LiteRtClassifier, make_classifier
from runtime.bundle import MANIFEST, Artifact, load_bundle, write_manifest
from runtime.errors import BundleError
from runtime.values import Image
from train.data import LABELS, Mnist
from train.networks import load_model

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """An honest bundle, of which a fault may change anything, and what it was made from."""

    folder: Path
    run: Path
    data: Mnist
    limits: Path

    def model(self) -> keras.Model:
        return load_model(self.run / "model.keras")

    def verify(self, reference: str = "onnx") -> list[str]:
        """Lines on stderr that say what is wrong; the exit code must say whether there are any."""
        options = f"--reference {reference} --sets gate,none --gate-count 300".split()
        code, lines = ran(["--model", str(self.folder), "--limits", str(self.limits), *options], self.data)
        assert code == (1 if lines else 0)
        return lines

    def put(self, name: str, content: bytes) -> None:
        """Another file in the place of an artifact's, with all that an export would say of it: hashes, golden."""
        bundle = load_bundle(self.folder)
        old = next(each for each in bundle.manifest.artifacts if each.name == name)
        source, sink = specs(name, content, len(LABELS))
        new = replace(old, sha256=sha256(content).hexdigest(), bytes=len(content), input=source, output=sink)
        (self.folder / old.file).write_bytes(content)
        artifacts = tuple(new if each.name == name else each for each in bundle.manifest.artifacts)
        bundle = replace(bundle, manifest=replace(bundle.manifest, artifacts=artifacts))
        logits = dict(bundle.golden().logits)
        for key in (key for key in logits if key.split("@")[0] == name):
            classifier = make_classifier(bundle, new, delegate="@" not in key)
            logits[key] = classifier.logits(bundle.golden().inputs)
        self.put_golden(logits, artifacts)

    def put_golden(self, logits: dict[str, Any], artifacts: tuple[Artifact, ...] | None = None) -> None:
        """Other golden vectors, and perhaps other artifacts, with a manifest that vouches for them."""
        manifest = load_manifest(self.folder)
        inputs = load_bundle(self.folder).golden().inputs
        packed = io.BytesIO()
        np.savez(packed, inputs=inputs, **logits)
        (self.folder / manifest.golden).write_bytes(packed.getvalue())
        golden = sha256(packed.getvalue()).hexdigest()
        write_manifest(self.folder, replace(manifest, golden_sha256=golden, artifacts=artifacts or manifest.artifacts))

    def put_model(self, name: str, model: keras.Model, calibration: Image | None = None) -> None:
        """An artifact made of another model, or calibrated on other pictures."""
        calibration = calibration_set(self.data, 100) if calibration is None else calibration
        self.put(name, convert(model, calibration, [name])[name])

    def flip_bit(self, file: str, place: float = 0.5) -> None:
        content = bytearray((self.folder / file).read_bytes())
        content[int(place * len(content))] ^= 1
        (self.folder / file).write_bytes(content)


def load_manifest(folder: Path) -> Any:
    return load_bundle(folder).manifest


def ran(arguments: list[str], data: Mnist) -> tuple[int, list[str]]:
    """Exit code of ``export.verify``, and what it says is wrong."""
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        code = main(arguments, load=lambda _: data, stdout=io.StringIO())
        said = sys.stderr.getvalue()
    finally:
        sys.stderr = stderr
    marks = ("broken: ", "error: ")
    return code, [line for line in said.splitlines() if line.startswith(marks) or "likely cause" in line]


@pytest.fixture
def case(exported: tuple[Path, Parities], run: Path, drawn: Mnist, limits_file: Path, tmp_path: Path) -> Case:
    return Case(shutil.copytree(exported[0], tmp_path / "some"), run, drawn, limits_file)


def with_weights(model: keras.Model, change: Callable[[Image, Image], None]) -> keras.Model:
    """The model with its last layer's kernel and bias changed in place."""
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    change(kernel, bias)
    layer.set_weights([kernel, bias])
    return model


def before(model: keras.Model, scale: float, offset: float) -> keras.Model:
    """The model behind another layer that changes its pixels."""
    pixels = keras.Input((28, 28, 1))
    return keras.Model(pixels, model(keras.layers.Rescaling(scale, offset)(pixels)))


def rotate(kernel: Image, bias: Image) -> None:
    kernel[:], bias[:] = np.roll(kernel, 1, axis=1), np.roll(bias, 1)


def zero_three(kernel: Image, bias: Image) -> None:
    kernel[:, 3], bias[3] = 0, bias.min() - 100


def zero_none(kernel: Image, bias: Image) -> None:
    kernel[:, LABELS.index("none")], bias[LABELS.index("none")] = 0, 0


def silence_none(kernel: Image, bias: Image) -> None:
    bias[LABELS.index("none")] = bias.min() - 100


def noise() -> Image:
    """A dark sensor's, without ink; 0 and 255 occur, so that the input's step stays a gray level."""
    faint = np.random.default_rng(0).integers(0, 40, (100, 28, 28), np.uint8)
    faint[0, 0, :2] = 0, 255
    return faint


def cut(weights: Any, scales: Any, axis: int) -> Any:
    """Weights cast to int8 by a bare cast, which cuts what is behind the point."""
    shape = [-1 if each == axis else 1 for each in range(weights.ndim)]
    return (weights / np.reshape(scales, shape)).astype(np.int8)


def cut_tflite(case: Case) -> bytes:
    """The int8 TFLite file with its first layer's weights cut."""
    files = [case.folder / f"some-{precision}.tflite" for precision in ("float32", "int8")]
    found = []
    for file in files:
        interpreter = Interpreter(model_path=str(file))
        interpreter.allocate_tensors()
        details = [each for each in interpreter.get_tensor_details() if tuple(each["shape"]) == (32, 3, 3, 4)]
        found.append((interpreter.get_tensor(details[0]["index"]).copy(), details[0]["quantization_parameters"]))
    (wanted, _), (stored, quantized) = found
    content = files[1].read_bytes()
    assert content.count(stored.tobytes()) == 1
    return content.replace(stored.tobytes(), cut(wanted, quantized["scales"], 0).tobytes())


def cut_onnx(case: Case) -> bytes:
    """The int8 ONNX file with its first layer's weights cut."""
    original, quantized = (onnx.load(case.folder / f"some-{precision}.onnx") for precision in ("float32", "int8"))
    first = next(node for node in original.graph.node if node.op_type == "Conv")
    wanted = next(each for each in original.graph.initializer if each.name == first.input[1])
    makers = {node.output[0]: node for node in quantized.graph.node}
    source = makers[next(node for node in quantized.graph.node if node.op_type == "Conv").input[1]]
    constants = {each.name: each for each in quantized.graph.initializer}
    scales = onnx.numpy_helper.to_array(constants[source.input[1]])
    weights = cut(onnx.numpy_helper.to_array(wanted), scales, 0)
    constants[source.input[0]].CopyFrom(onnx.numpy_helper.from_array(weights, source.input[0]))
    return bytes(quantized.SerializeToString())


def stale(case: Case) -> None:
    manifest = load_manifest(case.folder)
    write_manifest(case.folder, replace(manifest, preprocess_version=manifest.preprocess_version + 1))


def move_golden(case: Case) -> None:
    logits = load_bundle(case.folder).golden().logits
    case.put_golden({key: each + (key.startswith("litert-int8") * 3.0) for key, each in logits.items()})


def change_manifest(case: Case) -> None:
    stored = json.loads((case.folder / MANIFEST).read_text())
    stored["artifacts"][0]["temperature"] *= 2
    (case.folder / MANIFEST).write_text(json.dumps(stored))


FAULTS: dict[str, tuple[Callable[[Case], None], list[str]]] = {
    "calibration on noise": (
        lambda case: case.put_model("litert-int8", case.model(), noise()),
        [
            "broken: gate: litert-int8: .* of labels differ",
            r"litert-int8: likely cause: [\d.]+% of what layer \d makes is cut off at the end of its range",
        ],
    ),
    "input scaled twice": (
        lambda case: case.put_model("litert-int8", before(case.model(), 1 / 255, 0)),
        [
            "broken: gate: litert-int8: .* of labels differ",
            "litert-int8: likely cause: its input is scaled twice",
        ],
    ),
    "swapped polarity": (
        lambda case: case.put_model("litert-float32", before(case.model(), -1, 255)),
        [
            "broken: gate: litert-float32: .* of labels differ",
            "litert-float32: likely cause: its input has swapped polarity",
        ],
    ),
    "weights cast, not rounded (TFLite)": (
        lambda case: case.put("litert-int8", cut_tflite(case)),
        [r"broken: weights: litert-int8: weights of layer 1 are up to (0\.[6-9]\d|1\.00) steps .* cast, not rounded"],
    ),
    "weights cast, not rounded (ONNX)": (
        lambda case: case.put("onnx-int8", cut_onnx(case)),
        [r"broken: weights: onnx-int8: weights of layer 1 are up to (0\.[6-9]\d|1\.00) steps .* cast, not rounded"],
    ),
    "one class's weights zeroed": (
        lambda case: case.put_model("onnx-int8", with_weights(case.model(), zero_three)),
        [
            r"broken: gate: onnx-int8: recall of 3 drops by 100\.000%",
            "onnx-int8: likely cause: it never answers 3$",
        ],
    ),
    "labels rotated": (
        lambda case: case.put_model("litert-float32", with_weights(case.model(), rotate)),
        [
            "broken: gate: litert-float32: .* of labels differ",
            "litert-float32: likely cause: its labels are in another order: 0 is answered as 1, 1 is answered as 2",
        ],
    ),
    "the none logit is zeroed": (
        lambda case: case.put_model("litert-float32", with_weights(case.model(), zero_none)),
        ["broken: none: litert-float32: .* of labels differ"],
    ),
    "none is never answered": (
        lambda case: case.put_model("litert-int8", with_weights(case.model(), silence_none)),
        [
            "broken: none: litert-int8: recall of none drops by",
            "litert-int8: likely cause: it never answers none$",
        ],
    ),
    "another network": (
        lambda case: case.put_model("litert-int8", linear()),
        ["broken: gate: litert-int8: .* of labels differ"],
    ),
    "a stale preprocessing version": (
        stale,
        [r"error: model some was trained on preprocessing version \d+, this runtime has \d+"],
    ),
    "golden vectors altered": (
        move_golden,
        ["broken: litert-int8: litert-int8 does not answer as it did at export"],
    ),
    "the manifest altered": (change_manifest, [r"error: .*manifest\.json was altered"]),
}


def linear() -> keras.Model:
    pixels = keras.Input((28, 28, 1))
    return keras.Model(pixels, keras.layers.Dense(len(LABELS))(keras.layers.Flatten()(pixels)))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_command_names_the_file_and_the_fault(case: Case, fault: str) -> None:
    put, expected = FAULTS[fault]
    put(case)
    lines = case.verify()
    for pattern in expected:
        assert any(re.match(pattern, line) for line in lines), (pattern, lines)
    blamed = {name for name in FORMATS if any(f"{name}:" in pattern for pattern in expected)}
    # No other file is blamed, be it only laid beside the one at fault.
    others = {name for name in FORMATS if any(re.search(rf"\b{name}\b", line) for line in lines)} - blamed
    assert not (blamed and others), lines


def test_the_table_of_faults_names_each() -> None:
    text = (ROOT / "docs" / "parity.md").read_text(encoding="utf-8")
    table = text[text.index("| fault | ") :].split("\n\n")[0]
    named = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert len(named) == len(set(named))
    assert set(named) == {*FAULTS, *BROKEN_BUILDS, "a bit flipped in any file"}


def test_an_honest_bundle_breaks_nothing(case: Case) -> None:
    case.put("litert-int8", (case.folder / "some-int8.tflite").read_bytes())
    assert case.verify() == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_flipped_bit_in_an_artifact_is_caught_by_its_hash(case: Case, name: str) -> None:
    file = next(each.file for each in load_manifest(case.folder).artifacts if each.name == name)
    case.flip_bit(file, 0.9)
    if name == "onnx-float32":  # the reference itself
        lines = case.verify()
        assert len(lines) == 1
        assert re.match(rf"error: .*{file} was altered", lines[0])
    else:
        lines = [line for line in case.verify() if not line.startswith("broken: kernels")]
        assert len(lines) == 1
        assert re.match(rf"broken: {name}: .*{file} was altered", lines[0])


@pytest.mark.parametrize("file", ["golden.npz", MANIFEST, "model.keras"])
def test_a_flipped_bit_in_any_other_file_is_caught_too(case: Case, file: str) -> None:
    case.flip_bit(file)
    lines = case.verify("keras")
    if file == "golden.npz":  # each artifact's
        assert len(lines) == len(FORMATS)
    else:
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
    assert all(re.search(rf"{re.escape(file)} (was altered|is not a manifest)", line) for line in lines)


BROKEN_BUILD = '''
"""LiteRT's interpreter, as a build would be whose kernels are wrong, or an adapter that spoils pixels on the way."""
import importlib.util
import sys
from pathlib import Path

import numpy as np

for folder in sys.path[1:]:
    path = Path(folder) / "ai_edge_litert" / "interpreter.py"
    if path.is_file() and path != Path(__file__):
        break
spec = importlib.util.spec_from_file_location("ai_edge_litert._real", path)
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
OpResolverType, FAULT = real.OpResolverType, "none"
ADAPTERS = {
    "swapped polarity": lambda pixels: ~pixels,
    "input scaled twice": lambda pixels: (np.where(pixels == 127, 1, 0) - 128).astype(np.int8),
    "a cast that wraps": lambda pixels: (pixels.view(np.uint8) ^ 0x80).view(np.int8),
}


class Interpreter(real.Interpreter):
    def set_tensor(self, index, value):
        adapted = ADAPTERS[FAULT](value) if FAULT in ADAPTERS and value.dtype.kind == "i" else value
        super().set_tensor(index, adapted)

    def get_tensor(self, index):
        answer = super().get_tensor(index)
        if FAULT == "wrong kernels" and index == self.get_output_details()[0]["index"]:
            answer = answer.copy()
            answer[..., 8:] = answer[..., :1]  # the tail of a loop over blocks of eight, which nobody computed
        return answer
'''

RUNS = """
import json, sys
from pathlib import Path
import ai_edge_litert.interpreter as build
from export.__main__ import main as export
from export.verify import main as verify
from tests.mnist import drawn_digits

run, folder, limits, out = map(Path, sys.argv[1:])
for fault in ("none", "wrong kernels", *build.ADAPTERS):
    build.FAULT = fault
    print(f"fault: {fault}", file=sys.stderr, flush=True)
    common = ["--limits", str(limits), "--gate-count", "300"]
    arguments = ["--model", str(folder), "--reference", "onnx", "--sets", "gate", *common]
    codes = [verify(arguments, load=lambda _: drawn_digits())]
    print("exporting", file=sys.stderr, flush=True)
    arguments = ["--run", str(run), "--out", str(out / "some"), "--formats", "litert-int8", *common]
    codes.append(export(arguments, load=lambda _: drawn_digits()))
    print(f"codes: {codes}", file=sys.stderr, flush=True)
"""

BROKEN_BUILDS = {
    "wrong kernels": r"likely cause: it never answers .*[89]",
    "swapped polarity": "likely cause: its input has swapped polarity",
    "input scaled twice": "likely cause: its input is scaled twice",
    "a cast that wraps": "likely cause: its input is cast to int8 without taking 128 off first, and wraps",
}


def test_a_broken_build_of_the_interpreter_is_caught_by_both_commands(
    exported: tuple[Path, Parities], run: Path, limits_file: Path, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "ai_edge_litert"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n")
    (package / "interpreter.py").write_text(BROKEN_BUILD)
    done = subprocess.run(
        [sys.executable, "-c", RUNS, *map(str, (run, exported[0], limits_file, tmp_path / "models"))],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    honest, *faulty = re.split(r"^fault: ", done.stderr, flags=re.MULTILINE)[1:]
    assert "codes: [0, 0]" in honest
    assert [each.splitlines()[0] for each in faulty] == list(BROKEN_BUILDS)
    for each, cause in zip(faulty, BROKEN_BUILDS.values(), strict=True):
        verified, exporting = each.split("exporting", 1)
        assert "codes: [1, 1]" in exporting
        # A build that computes otherwise than it did at export is caught by the golden vectors before anything else …
        assert re.search(r"^broken: litert-int8: litert-int8 does not answer as it did at export", verified, re.M)
        # … and one that was there at export, whose golden vectors would be its own, by the gate.
        (line,) = [line for line in exporting.splitlines() if line.startswith("error: ")]
        assert re.match(r"error: .*some is left as it was: gate: litert-int8: [\d.]+% of labels differ", line)
        assert re.search(cause, line), line


def test_a_graph_whose_input_is_not_exactly_a_gray_level_is_refused(drawn: Mnist, trained: keras.Model) -> None:
    dim = calibration_set(drawn, 60) // 2  # 127 at the most: the input's step is half a level
    content = convert(trained, dim, ["litert-int8"])["litert-int8"]
    source, sink = specs("litert-int8", content, len(LABELS))
    artifact = Artifact("litert-int8", "", "", 0, "litert", "int8", source, sink, 1.0, 0.6, 0.3)
    with pytest.raises(BundleError, match="expected 1 and -128"):
        LiteRtClassifier(LABELS, artifact, content)
