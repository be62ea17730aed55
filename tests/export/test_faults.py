"""What goes wrong in practice, put into a bundle or an export on purpose: the gate must say which file, and why."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import keras
import numpy as np
import pytest

from export.classifiers import reference_classifier
from export.convert import convert, specs
from export.limits import LimitSet, load_limits
from export.parity import Parities, compare
from export.samples import InputSet, calibration_set, gate_set
from export.verification import verify
from runtime.backends import LiteRtClassifier, make_classifier
from runtime.bundle import MANIFEST, Artifact, load_bundle, write_manifest
from runtime.errors import BundleError
from runtime.values import Image
from train.data import Mnist
from train.networks import LABELS, load_model

GATE = 300


@pytest.fixture(scope="module")
def gate(drawn: Mnist) -> InputSet:
    return gate_set(drawn, GATE)


@pytest.fixture
def bundle_folder(exported: tuple[Path, Parities], tmp_path: Path) -> Path:
    return shutil.copytree(exported[0], tmp_path / "some")


def breaches(folder: Path, gate: InputSet, limits: LimitSet) -> list[str]:
    bundle = load_bundle(folder)
    return list(verify(bundle, reference_classifier(bundle, "onnx"), [gate], [], limits).breaches)


def put(folder: Path, name: str, content: bytes) -> None:
    """Another file in the place of an artifact's, with all that an export would say of it: hashes, golden vectors."""
    bundle = load_bundle(folder)
    old = next(each for each in bundle.manifest.artifacts if each.name == name)
    source, sink = specs(name, content, len(LABELS))
    new = replace(old, sha256=sha256(content).hexdigest(), bytes=len(content), input=source, output=sink)
    (folder / old.file).write_bytes(content)
    artifacts = tuple(new if each.name == name else each for each in bundle.manifest.artifacts)
    bundle = replace(bundle, manifest=replace(bundle.manifest, artifacts=artifacts))
    golden = bundle.golden()
    arrays = {"inputs": golden.inputs, **golden.logits}
    for key in (key for key in golden.logits if key.split("@")[0] == name):
        arrays[key] = make_classifier(bundle, new, delegate="@" not in key).logits(golden.inputs)
    packed = io.BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    (folder / bundle.manifest.golden).write_bytes(packed.getvalue())
    write_manifest(folder, replace(bundle.manifest, golden_sha256=sha256(packed.getvalue()).hexdigest()))


def with_weights(model: keras.Model, change: Callable[[Image, Image], None]) -> keras.Model:
    """The model with its last layer's kernel and bias changed in place."""
    layer = model.get_layer("logits")
    kernel, bias = layer.get_weights()
    change(kernel, bias)
    layer.set_weights([kernel, bias])
    return model


def rotate_labels(kernel: Image, bias: Image) -> None:
    kernel[:], bias[:] = np.roll(kernel, 1, axis=1), np.roll(bias, 1)


def zero_one_class(kernel: Image, bias: Image) -> None:
    kernel[:, 3], bias[3] = 0, bias.min() - 100


MODEL_FAULTS = {"labels rotated": rotate_labels, "one class's weights zeroed": zero_one_class}


@pytest.mark.parametrize("name", ["litert-float32", "onnx-int8"])
@pytest.mark.parametrize("fault", MODEL_FAULTS)
def test_a_file_of_a_spoiled_model_is_caught_though_the_bundle_fits_it(
    bundle_folder: Path, gate: InputSet, run: Path, drawn: Mnist, trial_limits: LimitSet, fault: str, name: str
) -> None:
    spoiled = with_weights(load_model(run / "model.keras"), MODEL_FAULTS[fault])
    put(bundle_folder, name, convert(spoiled, calibration_set(drawn, 100), [name])[name])
    lines = [line for line in breaches(bundle_folder, gate, trial_limits) if line.startswith("gate: ")]
    assert any(line.startswith(f"gate: {name}: ") and "labels differ" in line for line in lines)
    assert all(line.startswith(f"gate: {name}: ") for line in lines)  # no other file is blamed
    if fault.startswith("one class"):
        assert any("recall of 3 drops by 100.000%" in line for line in lines)


def test_putting_the_honest_file_in_its_own_place_breaks_nothing(
    bundle_folder: Path, gate: InputSet, trial_limits: LimitSet
) -> None:
    put(bundle_folder, "litert-int8", (bundle_folder / "some-int8.tflite").read_bytes())
    assert breaches(bundle_folder, gate, trial_limits) == []


def test_a_file_of_quite_another_network_is_caught_too(
    bundle_folder: Path, gate: InputSet, drawn: Mnist, trial_limits: LimitSet
) -> None:
    pixels = keras.Input((28, 28, 1))
    other = keras.Model(pixels, keras.layers.Dense(len(LABELS))(keras.layers.Flatten()(pixels)))
    put(bundle_folder, "litert-int8", convert(other, calibration_set(drawn, 100), ["litert-int8"])["litert-int8"])
    lines = breaches(bundle_folder, gate, trial_limits)
    assert any(line.startswith("gate: litert-int8: ") and "labels differ" in line for line in lines)


def test_ranges_calibrated_on_noise_are_caught(
    bundle_folder: Path, gate: InputSet, trained: keras.Model, trial_limits: LimitSet
) -> None:
    faint = np.random.default_rng(0).integers(0, 40, (100, 28, 28), np.uint8)  # sensor noise, no ink
    faint[0, 0, :2] = 0, 255
    put(bundle_folder, "litert-int8", convert(trained, faint, ["litert-int8"])["litert-int8"])
    lines = breaches(bundle_folder, gate, trial_limits)
    assert any(line.startswith("gate: litert-int8: ") and "labels differ" in line for line in lines)


PIXEL_FAULTS: dict[str, Callable[[Image], Image]] = {
    "swapped polarity": lambda images: 255 - images,
    "input scaled twice": lambda images: (images / 255).astype(np.uint8),
    "a cast that wraps": lambda images: images + np.uint8(128),
    "ink squashed to the corner": lambda images: np.roll(images, (-6, -6), axis=(1, 2)),
}


@pytest.mark.parametrize("fault", PIXEL_FAULTS)
def test_an_adapter_that_spoils_pixels_is_caught(
    exported: tuple[Path, Parities], gate: InputSet, fault: str, trial_limits: LimitSet
) -> None:
    bundle = load_bundle(exported[0])
    artifact = bundle.artifact("litert", "int8")
    classifier = make_classifier(bundle, artifact)
    reference = reference_classifier(bundle, "onnx").logits(gate.images)
    spoiled = classifier.logits(PIXEL_FAULTS[fault](gate.images))
    found = compare(fault, trial_limits.of("int8"), reference, spoiled, gate.labels)
    assert any("labels differ" in line for line in found.breaches)
    honest = compare("honest", trial_limits.of("int8"), reference, classifier.logits(gate.images), gate.labels)
    assert honest.breaches == ()


def test_a_bare_cast_where_rounding_and_clipping_belong_is_caught(
    exported: tuple[Path, Parities], gate: InputSet
) -> None:
    bundle = load_bundle(exported[0])
    artifact = bundle.artifact("litert", "int8")
    spec = replace(artifact.output, scale=artifact.output.scale / 2)  # half the range: some logits lie outside
    reference = reference_classifier(bundle, "onnx").logits(gate.images)
    stored = reference / spec.scale
    results = []
    for cast in (stored.astype(np.int32).astype(np.int8), np.clip(np.rint(stored), -128, 127)):
        logits = (cast * spec.scale).astype(np.float32)
        results.append(compare("some", load_limits().of("int8"), reference, logits, gate.labels).breaches)
    assert any("labels differ" in line for line in results[0])
    assert results[1] == ()


@pytest.mark.parametrize("name", ["litert-int8", "litert-float16", "onnx-float32-batch", "onnx-int8"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_a_file_is_caught_by_its_hash(
    bundle_folder: Path, gate: InputSet, trial_limits: LimitSet, name: str, place: float
) -> None:
    file = next(a.file for a in load_bundle(bundle_folder).manifest.artifacts if a.name == name)
    content = bytearray((bundle_folder / file).read_bytes())
    content[int(place * len(content))] ^= 1
    (bundle_folder / file).write_bytes(content)
    lines = breaches(bundle_folder, gate, trial_limits)
    assert len(lines) == 1
    assert lines[0].startswith(f"{name}: ")
    assert "was altered" in lines[0]


def test_altered_golden_vectors_are_caught_by_their_hash(
    bundle_folder: Path, gate: InputSet, trial_limits: LimitSet
) -> None:
    content = bytearray((bundle_folder / "golden.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_folder / "golden.npz").write_bytes(content)
    lines = breaches(bundle_folder, gate, trial_limits)
    assert len(lines) == len(load_bundle(bundle_folder).manifest.artifacts)
    assert all("golden.npz was altered" in line for line in lines)


def test_an_interpreter_that_computes_wrongly_is_caught_by_the_golden_vectors(
    bundle_folder: Path, gate: InputSet, trial_limits: LimitSet
) -> None:
    # The other way round: here the interpreter is right, and the vectors are those that a broken one would miss.
    bundle = load_bundle(bundle_folder)
    golden = bundle.golden()
    moved = {key: logits + (key.startswith("litert-int8") * 3.0) for key, logits in golden.logits.items()}
    packed = io.BytesIO()
    np.savez(packed, inputs=golden.inputs, **moved)  # type: ignore[arg-type]
    (bundle_folder / "golden.npz").write_bytes(packed.getvalue())
    write_manifest(bundle_folder, replace(bundle.manifest, golden_sha256=sha256(packed.getvalue()).hexdigest()))
    lines = breaches(bundle_folder, gate, trial_limits)
    assert len(lines) == 1
    assert lines[0].startswith("litert-int8: litert-int8 does not answer as it did at export")


def test_a_stale_preprocessing_version_is_refused(bundle_folder: Path) -> None:
    manifest = load_bundle(bundle_folder).manifest
    write_manifest(bundle_folder, replace(manifest, preprocess_version=manifest.preprocess_version + 1))
    with pytest.raises(BundleError, match="preprocessing version"):
        load_bundle(bundle_folder)


def test_a_changed_manifest_is_refused(bundle_folder: Path) -> None:
    stored = json.loads((bundle_folder / MANIFEST).read_text())
    stored["artifacts"][0]["temperature"] *= 2
    (bundle_folder / MANIFEST).write_text(json.dumps(stored))
    with pytest.raises(BundleError, match="was altered"):
        load_bundle(bundle_folder)


def test_a_graph_whose_input_is_not_exactly_a_gray_level_is_refused(drawn: Mnist, trained: keras.Model) -> None:
    dim = calibration_set(drawn, 60) // 2  # 127 at the most: the input's step is half a level
    content = convert(trained, dim, ["litert-int8"])["litert-int8"]
    source, sink = specs("litert-int8", content, len(LABELS))
    artifact = Artifact("litert-int8", "", "", 0, "litert", "int8", source, sink, 1.0, 0.6, 0.3)
    with pytest.raises(BundleError, match="expected 1 and -128"):
        LiteRtClassifier(LABELS, artifact, content)
