"""Make a bundle: convert, prove, and only then put it in place."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from tqdm import tqdm

from export.parity import LIMITS, Limits, Parity, accuracy_figure, compare
from export.samples import GATE_COUNT, calibration_set, gate_set, golden_inputs
from export.to_onnx import logits_step, onnx_float32, onnx_int8
from export.to_tflite import tflite_float32, tflite_int8
from runtime.backends import ArtifactClassifier, LiteRtClassifier, make_classifier
from runtime.bundle import MANIFEST, Artifact, Bundle, Manifest, TensorSpec, load_bundle, write_manifest
from runtime.errors import DataError, EdgeDigitsError, SinkError, UsageError
from runtime.preprocess import FIELD, PREPROCESS_VERSION, preprocess
from runtime.values import Image
from train.data import Mnist
from train.networks import LABELS
from train.quiet import quiet

ACCEPT, UNSURE = 0.6, 0.3
"""Confidence from which a digit is read, and from which ink is shown as a possible digit."""

_CARD = "README.md"
_PACKAGES = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "numpy")


class ParityError(EdgeDigitsError):
    """An artifact does not agree with the float model."""


def export_bundle(
    model: keras.Model,
    data: Mnist,
    folder: Path,
    training: Mapping[str, Any],
    *,
    gate_count: int = GATE_COUNT,
    limits: Mapping[str, Limits] = LIMITS,
) -> list[Parity]:
    """Write a bundle of a trained model, or nothing.

    Every artifact is run through the runtime's classifier over the gate set and compared with the float model; the
    folder is replaced by one rename after all have passed. MNIST's test set is then only reported, in the manifest.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        data: MNIST.
        folder: the bundle's place; its name is the model's. A model card in it (README.md) is kept.
        training: what ``train`` left of the run, for the provenance.
        gate_count: images of the gate set; fewer only in trials.
        limits: what an artifact of each precision may differ by; others only in trials.

    Returns:
        One comparison for each artifact.

    Raises:
        ParityError: an artifact broke a limit; the old bundle is untouched.
        UsageError: the folder holds something else than a bundle.
        DataError: the model does not take and answer what a bundle's model must.
        SinkError: the folder cannot be written.
    """
    if model.input_shape[1:] != (FIELD, FIELD, 1) or model.output_shape[1:] not in ((10,), (11,)):
        raise DataError(
            f"the model takes {model.input_shape[1:]} and answers {model.output_shape[1:]}, "
            f"expected {(FIELD, FIELD, 1)} and (10,) or (11,); train one with python -m train"
        )
    folder = folder.resolve()
    _check_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as staging:
            fresh = Path(staging) / folder.name
            fresh.mkdir()
            none_prior = float(training.get("settings", {}).get("none_margin", 0.0))
            bundle = _convert(model, calibration_set(data), fresh, none_prior)
            bundle, parities = _prove(bundle, model, data, gate_count, limits)
            breaches = [line for parity in parities for line in parity.breaches]
            if breaches:
                raise ParityError(f"{folder} is left as it was: " + "; ".join(breaches))
            _seal(_with_test_metrics(bundle, data), model, data, training, parities)
            if (folder / _CARD).is_file():
                shutil.copy(folder / _CARD, fresh)
            load_bundle(fresh)
            replace_folder(folder, fresh)
    except OSError as error:
        raise SinkError(f"cannot write {folder} ({error}); make room for it, or name another folder") from error
    return parities


def replace_folder(folder: Path, fresh: Path) -> None:
    """Rename the fresh folder into the place of the old one, which comes back if that fails.

    Raises:
        OSError: it failed.
    """
    old = fresh.with_name(f"{fresh.name}-old")
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(folder: Path) -> None:
    """Nothing but a bundle is ever replaced: ``--out .`` must not empty somebody's folder."""
    if not folder.exists():
        return
    strangers = ["it is a file"] if not folder.is_dir() else sorted({p.name for p in folder.iterdir()} - {_CARD})
    if strangers and not (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} is no bundle ({strangers[0]}) and would be replaced; name another folder with --out"
        )


def _convert(model: keras.Model, calibration: Image, fresh: Path, none_prior: float) -> Bundle:
    """Make the files, and a manifest of what they are; temperatures, metrics and golden vectors come later."""
    labels = LABELS[: model.output_shape[-1]]
    contents: dict[str, bytes] = {}
    converters: dict[str, Callable[[], bytes]] = {
        "litert-int8": lambda: tflite_int8(model, calibration),
        "litert-float32": lambda: tflite_float32(model),
        "onnx-float32": lambda: onnx_float32(contents["litert-float32"]),
        "onnx-int8": lambda: onnx_int8(contents["onnx-float32"], calibration),
    }
    for name, convert in tqdm(converters.items(), desc="converting", unit="file"):
        with quiet():
            contents[name] = convert()
    artifacts = []
    for artifact_name, content in contents.items():
        backend, precision = artifact_name.split("-")
        file = f"{fresh.name}-{precision}.{'tflite' if backend == 'litert' else 'onnx'}"
        (fresh / file).write_bytes(content)
        source, sink = TensorSpec((1, FIELD, FIELD, 1), "float32"), TensorSpec((1, len(labels)), "float32")
        if artifact_name == "litert-int8":
            source, sink = _tflite_specs(content)
        if artifact_name == "onnx-int8":
            sink = replace(sink, scale=logits_step(content))
        artifacts.append(
            Artifact(
                name=artifact_name,
                file=file,
                sha256=_sha256(content),
                bytes=len(content),
                backend=backend,
                precision=precision,
                input=source,
                output=sink,
                temperature=1.0,
                accept=ACCEPT,
                unsure=UNSURE,
                none_prior=none_prior,
            )
        )
    return Bundle(fresh, Manifest(fresh.name, labels, PREPROCESS_VERSION, tuple(artifacts), "golden.npz", "", {}))


def _tflite_specs(content: bytes) -> tuple[TensorSpec, TensorSpec]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    specs = []
    for details in (interpreter.get_input_details()[0], interpreter.get_output_details()[0]):
        scale, zero_point = details["quantization"]
        shape = tuple(int(n) for n in details["shape"])
        specs.append(TensorSpec(shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point)))
    return specs[0], specs[1]


def _prove(
    bundle: Bundle, model: keras.Model, data: Mnist, gate_count: int, limits: Mapping[str, Limits]
) -> tuple[Bundle, list[Parity]]:
    """Compare every artifact with the float model on the gate set; temperatures and accuracy there are filled in."""
    images, truth = gate_set(data, gate_count)
    reference = _answers(lambda chunk: model.predict_on_batch(chunk[..., None]), images, "asking the float model")
    parities, artifacts = [], []
    for artifact in bundle.manifest.artifacts:
        logits = _answers(make_classifier(bundle, artifact).logits, images, f"proving {artifact.name}")
        parities.append(compare(artifact.name, limits[artifact.precision], reference, logits, truth))
        metrics = {"gate": accuracy_figure(logits, truth)}
        artifacts.append(replace(artifact, temperature=_temperature(logits, truth), metrics=metrics))
    return _with_artifacts(bundle, artifacts), parities


def _with_test_metrics(bundle: Bundle, data: Mnist) -> Bundle:
    """The bundle with each artifact's accuracy on MNIST's test set, as it is and through ``preprocess``."""
    placed = np.stack([preprocess(image)[0] for image in data.test_images])
    artifacts = []
    for artifact in bundle.manifest.artifacts:
        classifier = make_classifier(bundle, artifact)
        metrics = {
            name: accuracy_figure(_answers(classifier.logits, images, f"testing {artifact.name}"), data.test_labels)
            for name, images in (("mnist_test", data.test_images), ("mnist_test_preprocessed", placed))
        }
        artifacts.append(replace(artifact, metrics={**artifact.metrics, **metrics}))
    return _with_artifacts(bundle, artifacts)


def _seal(bundle: Bundle, model: keras.Model, data: Mnist, training: Mapping[str, Any], parities: list[Parity]) -> None:
    """Add the golden vectors, the float model and the manifest."""
    golden = _golden(bundle, golden_inputs(lambda images: model.predict(images[..., None], verbose=0)))
    (bundle.folder / bundle.manifest.golden).write_bytes(golden)
    float_model = bundle.folder / "model.keras"
    model.save(float_model)
    calibration = calibration_set(data)
    provenance = {
        "revision": _revision(),
        "training": dict(training),
        "float_model": {"file": float_model.name, "sha256": _sha256(float_model.read_bytes())},
        "data": data.checksums,
        "calibration": {"count": len(calibration), "sha256": _sha256(calibration.tobytes())},
        "parity": [asdict(parity) for parity in parities],
        "packages": {name: version(name) for name in _PACKAGES},
    }
    write_manifest(bundle.folder, replace(bundle.manifest, golden_sha256=_sha256(golden), provenance=provenance))


def _with_artifacts(bundle: Bundle, artifacts: list[Artifact]) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, artifacts=tuple(artifacts)))


def _answers(answer: Callable[[Image], npt.NDArray[np.float32]], images: Image, what: str) -> npt.NDArray[np.float32]:
    """Logits (n, labels) of many images, a thousand at a time, with a progress bar where it takes long."""
    chunks = [images[i : i + 1000] for i in range(0, len(images), 1000)]
    return np.concatenate([answer(chunk) for chunk in tqdm(chunks, desc=what, unit="k", delay=1)])


def _temperature(logits: npt.NDArray[np.float32], truth: npt.NDArray[np.uint8]) -> float:
    """The temperature of least cross-entropy (Guo et al., 2017, arXiv 1706.04599)."""

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 4)


def _golden(bundle: Bundle, inputs: Image) -> bytes:
    """Golden vectors: the inputs and each artifact's answers, as numpy's .npz."""
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
