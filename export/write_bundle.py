"""Make a bundle: convert, prove, and only then put it in place."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from tqdm import tqdm

from export.calibration import calibration_dependence
from export.convert import convert, specs
from export.formats import DEFAULT_FORMATS
from export.limits import LimitSet, load_limits
from export.packages import check_packages
from export.parity import Parity, accuracy_figure, compare
from export.samples import GATE_COUNT, calibration_set, gate_set, golden_inputs
from export.thresholds import choose_thresholds, fit_temperature
from runtime.backends import make_classifier
from runtime.bundle import MANIFEST, Artifact, Bundle, Manifest, load_bundle, write_manifest
from runtime.errors import DataError, EdgeDigitsError, SinkError, UsageError
from runtime.preprocess import FIELD, PREPROCESS_VERSION, preprocess
from runtime.values import Image
from train.augment import NONE
from train.crops import LabeledCrops
from train.data import Mnist
from train.networks import LABELS

ACCEPT, UNSURE = 0.6, 0.3
"""Confidence from which a digit is read, and from which ink is shown as a possible digit, of a model without crops."""

_CARD = "README.md"
_DEPENDENCE_COUNT = 5_000


class ParityError(EdgeDigitsError):
    """An artifact does not agree with the float model."""


def export_bundle(
    model: keras.Model,
    data: Mnist,
    folder: Path,
    training: Mapping[str, Any],
    *,
    gate_count: int = GATE_COUNT,
    limits: LimitSet | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    crops: LabeledCrops | None = None,
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
        limits: what an artifact of each precision may differ by; those of ``limits.toml``, others only in trials.
        formats: what to make; names from ``FORMATS``.
        crops: of rendered validation frames, to fit each artifact's temperature and thresholds on; without them the
            temperature is that of the gate set.

    Returns:
        One comparison for each artifact.

    Raises:
        ParityError: an artifact broke a limit; the old bundle is untouched.
        UsageError: the folder holds something else than a bundle.
        DataError: the model does not take and answer what a bundle's model must.
        BackendError: a converter is missing, too old or failed.
        SinkError: the folder cannot be written.
    """
    if model.input_shape[1:] != (FIELD, FIELD, 1) or model.output_shape[1:] not in ((10,), (11,)):
        raise DataError(
            f"the model takes {model.input_shape[1:]} and answers {model.output_shape[1:]}, "
            f"expected {(FIELD, FIELD, 1)} and (10,) or (11,); train one with python -m train"
        )
    packages = check_packages()
    limits = limits or load_limits()
    folder = folder.resolve()
    _check_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as staging:
            fresh = Path(staging) / folder.name
            fresh.mkdir()
            none_prior = float(training.get("settings", {}).get("none_margin", 0.0))
            bundle = _convert(model, calibration_set(data), fresh, none_prior, formats)
            bundle, parities = _prove(bundle, model, data, gate_count, limits)
            breaches = [line for parity in parities for line in parity.breaches]
            if breaches:
                raise ParityError(f"{folder} is left as it was: " + "; ".join(breaches))
            if crops:
                bundle = _with_thresholds(bundle, crops)
            provenance = {
                "training": dict(training),
                "data": data.checksums,
                "calibration": _calibration(model, data, gate_count, formats),
                "parity": [asdict(parity) for parity in parities],
                "limits_version": limits.version,
                "packages": packages,
            }
            _seal(_with_test_metrics(bundle, data), model, data, provenance)
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


def _convert(model: keras.Model, calibration: Image, fresh: Path, none_prior: float, formats: Sequence[str]) -> Bundle:
    """Make the files, and a manifest of what they are; temperatures, metrics and golden vectors come later."""
    labels = LABELS[: model.output_shape[-1]]
    artifacts = []
    for artifact_name, content in convert(model, calibration, formats).items():
        backend, precision = artifact_name.split("-", 1)
        file = f"{fresh.name}-{precision}.{'tflite' if backend == 'litert' else 'onnx'}"
        (fresh / file).write_bytes(content)
        source, sink = specs(artifact_name, content, len(labels))
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


def _prove(
    bundle: Bundle, model: keras.Model, data: Mnist, gate_count: int, limits: LimitSet
) -> tuple[Bundle, list[Parity]]:
    """Compare every artifact with the float model on the gate set; temperatures and accuracy there are filled in."""
    images, truth = gate_set(data, gate_count)
    reference = _answers(lambda chunk: model.predict_on_batch(chunk[..., None]), images, "asking the float model")
    parities, artifacts = [], []
    for artifact in bundle.manifest.artifacts:
        logits = _answers(make_classifier(bundle, artifact).logits, images, f"proving {artifact.name}")
        parities.append(compare(artifact.name, limits.of(artifact.precision), reference, logits, truth))
        metrics = {"gate": accuracy_figure(logits, truth)}
        artifacts.append(replace(artifact, temperature=fit_temperature(logits, truth), metrics=metrics))
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


def _with_thresholds(bundle: Bundle, crops: LabeledCrops) -> Bundle:
    """The bundle with each artifact's temperature and thresholds for what a camera sees, and its figures there."""
    artifacts, digits = [], crops.labels != NONE
    for artifact in bundle.manifest.artifacts:
        logits = _answers(make_classifier(bundle, artifact).logits, crops.images, f"fitting {artifact.name}")
        logits[:, NONE] += artifact.none_prior
        temperature = fit_temperature(logits, crops.labels)
        probabilities = softmax(logits / temperature, axis=1)
        accept, unsure = choose_thresholds(probabilities, crops.labels)
        answers = np.where(probabilities.max(axis=1) >= accept, probabilities.argmax(axis=1), NONE)
        metrics = {
            "digits": int(digits.sum()),
            "right": float((answers == crops.labels)[digits].mean()),
            "nones": int((~digits).sum()),
            "invented": float((answers != NONE)[~digits].mean()),
        }
        known = {**artifact.metrics, "crops": metrics}
        artifacts.append(replace(artifact, temperature=temperature, accept=accept, unsure=unsure, metrics=known))
    return _with_artifacts(bundle, artifacts)


def _calibration(model: keras.Model, data: Mnist, gate_count: int, formats: Sequence[str]) -> dict[str, Any] | None:
    """What the int8 files were calibrated on, and how much they depend on that choice; None where there are none."""
    if not any(name.endswith("int8") for name in formats):
        return None
    used = calibration_set(data)
    images, _ = gate_set(data, min(gate_count, _DEPENDENCE_COUNT))
    dependence = calibration_dependence(model, data, images)
    return {"count": len(used), "sha256": _sha256(used.tobytes()), "dependence": asdict(dependence)}


def _seal(bundle: Bundle, model: keras.Model, data: Mnist, provenance: Mapping[str, Any]) -> None:
    """Add the golden vectors, the float model and the manifest."""
    golden = _golden(bundle, golden_inputs(lambda images: model.predict(images[..., None], verbose=0)))
    (bundle.folder / bundle.manifest.golden).write_bytes(golden)
    float_model = bundle.folder / "model.keras"
    model.save(float_model)
    origin = {
        "revision": _revision(),
        "float_model": {"file": float_model.name, "sha256": _sha256(float_model.read_bytes())},
    }
    manifest = replace(bundle.manifest, golden_sha256=_sha256(golden), provenance={**origin, **provenance})
    write_manifest(bundle.folder, manifest)


def _with_artifacts(bundle: Bundle, artifacts: list[Artifact]) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, artifacts=tuple(artifacts)))


def _answers(answer: Callable[[Image], npt.NDArray[np.float32]], images: Image, what: str) -> npt.NDArray[np.float32]:
    """Logits (n, labels) of many images, a thousand at a time, with a progress bar where it takes long."""
    chunks = [images[i : i + 1000] for i in range(0, len(images), 1000)]
    return np.concatenate([answer(chunk) for chunk in tqdm(chunks, desc=what, unit="k", delay=1)])


def _golden(bundle: Bundle, inputs: Image) -> bytes:
    """Golden vectors: the inputs and each artifact's answers, as numpy's .npz."""
    arrays = {"inputs": inputs}
    for artifact in bundle.manifest.artifacts:
        arrays[artifact.name] = make_classifier(bundle, artifact).logits(inputs)
        if artifact.backend == "litert" and artifact.precision != "float32":
            arrays[f"{artifact.name}@reference"] = make_classifier(bundle, artifact, delegate=False).logits(inputs)
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
