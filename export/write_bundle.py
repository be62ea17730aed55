"""Make a bundle: convert, prove, and only then put it in place."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from export.parity import GATE_COUNT, LIMITS, Parity, accuracy_figure, compare
from export.to_onnx import onnx_float32, onnx_int8
from export.to_tflite import tflite_float32, tflite_int8
from runtime.backends import ArtifactClassifier, LiteRtClassifier, make_classifier
from runtime.bundle import Artifact, Bundle, Manifest, TensorSpec, load_bundle, write_manifest
from runtime.errors import EdgeDigitsError
from runtime.preprocess import FIELD, PREPROCESS_VERSION, preprocess
from runtime.values import Image
from train.augment import AugmentSettings, augment
from train.data import Mnist

CALIBRATION_COUNT = 1_000
"""Training images that ranges are calibrated on."""

GOLDEN_COUNT = 16

ACCEPT, UNSURE = 0.6, 0.3
"""Confidence from which a digit is read, and from which ink is shown as a possible digit."""

_SEEDS = {"calibration": 41, "gate": 42}


class ParityError(EdgeDigitsError):
    """An artifact does not agree with the float model."""


def export_bundle(
    model: keras.Model, data: Mnist, folder: Path, training: Mapping[str, Any], *, gate_count: int = GATE_COUNT
) -> list[Parity]:
    """Write a bundle of a trained model, or nothing.

    Every artifact is run through the runtime's classifier over the gate set and compared with the float model; the
    folder is replaced by one rename after all have passed. MNIST's test set is then only reported, in the manifest.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        data: MNIST.
        folder: the bundle's place; its name is the model's.
        training: what ``train`` left of the run, for the provenance.
        gate_count: images of the gate set; fewer only in trials.

    Returns:
        One comparison for each artifact.

    Raises:
        ParityError: an artifact broke a limit; the old bundle is untouched.
    """
    labels = tuple(str(i) for i in range(10)) + (("none",) if model.output_shape[-1] == 11 else ())
    calibration = calibration_set(data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as staging:
        fresh = Path(staging) / "fresh"
        fresh.mkdir()
        bundle = _convert(model, calibration, labels, folder.name, fresh)
        parities, artifacts = _prove(bundle, model, data, gate_count)
        breaches = [line for parity in parities for line in parity.breaches]
        if breaches:
            raise ParityError(f"{folder} is left as it was: " + "; ".join(breaches))
        golden = _golden(bundle, data)
        (fresh / "golden.npz").write_bytes(golden)
        model.save(fresh / "model.keras")
        manifest = replace(
            bundle.manifest,
            artifacts=tuple(artifacts),
            golden_sha256=_sha256(golden),
            provenance={
                "revision": _revision(),
                "training": dict(training),
                "float_model": {"file": "model.keras", "sha256": _sha256((fresh / "model.keras").read_bytes())},
                "data": data.checksums,
                "calibration": {"count": len(calibration), "sha256": _sha256(calibration.tobytes())},
                "parity": [asdict(parity) for parity in parities],
                "packages": {name: version(name) for name in _PACKAGES},
            },
        )
        write_manifest(fresh, manifest)
        card = folder / "README.md"
        if card.is_file():
            shutil.copy(card, fresh / card.name)
        load_bundle(fresh)
        _replace(folder, fresh)
    return parities


def calibration_set(data: Mnist, count: int = CALIBRATION_COUNT) -> Image:
    """Training images, half as they are and half through the runtime's preprocessing: uint8 (count, 28, 28)."""
    rng = np.random.default_rng(_SEEDS["calibration"])
    chosen = data.train_images[rng.choice(len(data.train_images), count, replace=False)]
    half = count // 2
    return np.concatenate([chosen[:half], augment(chosen[half:], AugmentSettings(through_preprocess=1.0), rng)])


def gate_set(data: Mnist, count: int = GATE_COUNT) -> tuple[Image, npt.NDArray[np.uint8]]:
    """Validation images, varied as in training, with a fixed seed: uint8 (count, 28, 28) and their labels."""
    rng = np.random.default_rng(_SEEDS["gate"])
    rounds = -(-count // len(data.validation_images))
    images = [augment(data.validation_images, AugmentSettings(), rng) for _ in range(rounds)]
    return np.concatenate(images)[:count], np.tile(data.validation_labels, rounds)[:count]


_PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy")


def _convert(model: keras.Model, calibration: Image, labels: tuple[str, ...], name: str, fresh: Path) -> Bundle:
    """Make the files, and a manifest of what they are; temperatures, metrics and golden vectors come later."""
    with _quiet():
        float_tflite = tflite_float32(model, calibration)
        float_onnx = onnx_float32(float_tflite)
        contents = {
            "litert-int8": tflite_int8(model, calibration),
            "litert-float32": float_tflite,
            "onnx-float32": float_onnx,
            "onnx-int8": onnx_int8(float_onnx, calibration),
        }
    artifacts = []
    for artifact_name, content in contents.items():
        backend, precision = artifact_name.split("-")
        file = f"{name}-{precision}.{'tflite' if backend == 'litert' else 'onnx'}"
        (fresh / file).write_bytes(content)
        source, sink = TensorSpec((1, FIELD, FIELD, 1), "float32"), TensorSpec((1, len(labels)), "float32")
        if artifact_name == "litert-int8":
            source, sink = _tflite_specs(content)
        artifacts.append(
            Artifact(
                artifact_name,
                file,
                _sha256(content),
                len(content),
                backend,
                precision,
                source,
                sink,
                1.0,
                ACCEPT,
                UNSURE,
            )
        )
    return Bundle(fresh, Manifest(name, labels, PREPROCESS_VERSION, tuple(artifacts), "golden.npz", "", {}))


def _tflite_specs(content: bytes) -> tuple[TensorSpec, TensorSpec]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    specs = []
    for details in (interpreter.get_input_details()[0], interpreter.get_output_details()[0]):
        scale, zero_point = details["quantization"]
        shape = tuple(int(n) for n in details["shape"])
        specs.append(TensorSpec(shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point)))
    return specs[0], specs[1]


def _prove(bundle: Bundle, model: keras.Model, data: Mnist, gate_count: int) -> tuple[list[Parity], list[Artifact]]:
    images, truth = gate_set(data, gate_count)
    reference = _float_logits(model, images)
    placed = np.stack([preprocess(image)[0] for image in data.test_images])
    parities, artifacts = [], []
    for artifact in bundle.manifest.artifacts:
        _say(f"proving {artifact.name}")
        classifier = make_classifier(bundle, artifact)
        logits = classifier.logits(images)
        parities.append(compare(artifact.name, LIMITS[artifact.precision], reference, logits, truth))
        metrics = {
            "gate": accuracy_figure(logits, truth),
            "mnist_test": accuracy_figure(classifier.logits(data.test_images), data.test_labels),
            "mnist_test_preprocessed": accuracy_figure(classifier.logits(placed), data.test_labels),
        }
        artifacts.append(replace(artifact, temperature=_temperature(logits, truth), metrics=metrics))
    return parities, artifacts


def _float_logits(model: keras.Model, images: Image) -> npt.NDArray[np.float32]:
    return np.concatenate(
        [model.predict_on_batch(images[i : i + 1000, ..., None]) for i in range(0, len(images), 1000)]
    )


def _temperature(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.uint8]) -> float:
    """The temperature of least cross-entropy (Guo et al., 2017, arXiv 1706.04599)."""

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 4)


def _golden(bundle: Bundle, data: Mnist) -> bytes:
    """Golden vectors: validation images of all classes, one blank, one of noise, with each artifact's answers."""
    by_class = [data.validation_images[data.validation_labels == label] for label in range(10)]
    digits = [by_class[i % 10][i // 10] for i in range(GOLDEN_COUNT - 2)]
    noise = np.random.default_rng(0).integers(0, 256, (FIELD, FIELD), dtype=np.uint8)
    inputs = np.stack([*digits, np.zeros_like(noise), noise])
    arrays = {"inputs": inputs}
    for artifact in bundle.manifest.artifacts:
        arrays[artifact.name] = make_classifier(bundle, artifact).logits(inputs)
        if artifact.backend == "litert" and artifact.precision != "float32":
            reference: ArtifactClassifier = LiteRtClassifier(
                bundle.manifest.labels, artifact, bundle.read(artifact), delegate=False
            )
            arrays[f"{artifact.name}@reference"] = reference.logits(inputs)
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def _replace(folder: Path, fresh: Path) -> None:
    """Rename the fresh folder into place of the old one, which comes back if that fails."""
    old = fresh.with_name(f"{fresh.name}-old")
    if folder.exists():
        os.rename(folder, old)
    try:
        os.rename(fresh, folder)
    except OSError:
        if old.exists():
            os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _revision() -> str:
    """Git revision of the code that exports, marked where it is changed; empty outside a checkout."""
    root = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        revision = git("rev-parse", "HEAD")
        return f"{revision}-changed" if revision and git("status", "--porcelain", "-uno") else revision
    except OSError:
        return ""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converters' remarks, some of which are written below Python, off stderr while all goes well."""
    _say("converting")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as remarks:
        os.dup2(remarks.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            remarks.seek(0)
            sys.stderr.write(remarks.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
