"""Make a bundle: convert, prove, and only then put it in place."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from export.calibration import calibration_dependence
from export.causes import Failure, find_causes, sound
from export.classifiers import KerasClassifier
from export.convert import convert, specs
from export.formats import DEFAULT_FORMATS
from export.inside import IMAGES, by_layer, weight_breaches
from export.limits import GATE_COUNT, NONE_SHARE, LimitSet, load_limits
from export.packages import check_packages
from export.parity import Parities, accuracy_figure, compare
from export.samples import (
    InputSet,
    calibration_set,
    gate_set,
    golden_inputs,
    mnist_set,
    none_set,
)
from export.temperature import fit_temperature
from export.to_keras import keras_file
from runtime.backends import make_classifier
from runtime.bundle import MANIFEST, Artifact, Bundle, Manifest, load_bundle, write_manifest
from runtime.errors import DataError, EdgeDigitsError, SinkError, UsageError
from runtime.preprocess import FIELD, PREPROCESS_VERSION, preprocess
from runtime.values import Image
from train.crops import LabeledCrops
from train.data import LABELS, NONE, Mnist
from train.inputs import ACCEPT, UNSURE

_CARD = "README.md"
_FLOAT_MODEL = "model.keras"
_DEPENDENCE_COUNT = 5_000


class ParityError(EdgeDigitsError):
    """An artifact does not agree with the float model; ``parities`` says what ``export_bundle`` would return."""

    def __init__(self, message: str, parities: Parities) -> None:
        super().__init__(message)
        self.parities = parities


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
) -> Parities:
    """Write a bundle of a trained model, or nothing.

    Every artifact is run through the runtime's classifier over digits, the gate set, and over what is not a digit, and
    compared with the float model; the folder is replaced by one rename after all have passed. MNIST's test set is then
    only reported, in the manifest.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        data: MNIST.
        folder: the bundle's place; its name is the model's. A model card in it (README.md) is kept.
        training: what ``train`` left of the run, for the provenance.
        gate_count: images of the gate set; of the other a fifth as many; fewer only in trials.
        limits: what an artifact of each precision may differ by; those of ``limits.toml``, others only in trials.
        formats: what to make; names from ``FORMATS``.
        crops: of rendered validation frames, to fit each artifact's temperature and thresholds on; without them the
            temperature is that of the gate set.

    Returns:
        By name of the set, ``gate`` and, where the model knows it, ``none``: a comparison for each artifact.

    Raises:
        ParityError: an artifact broke a limit; the old bundle, if any, is untouched.
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
            sets = [gate_set(data, gate_count)]
            if "none" in bundle.manifest.labels:
                sets.append(none_set(data, gate_count // NONE_SHARE))
            bundle, parities, broken = _prove(bundle, model, sets, limits)
            if broken:
                raise ParityError(f"{folder} is left as it was: {'; '.join(broken)}", parities)
            if crops:
                bundle = _with_temperatures(bundle, crops)
            provenance = {
                "training": dict(training),
                "data": data.checksums,
                "calibration": _calibration(model, data, sets[0].images[:_DEPENDENCE_COUNT], formats),
                "parity": [asdict(parity) for parity in parities["gate"]],
                "parity_none": [asdict(parity) for parity in parities.get("none", [])],
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
    bundle: Bundle, model: keras.Model, sets: Sequence[InputSet], limits: LimitSet
) -> tuple[Bundle, Parities, list[str]]:
    """Compare every artifact with the float model; temperatures and accuracy on the first set are filled in.

    Returns:
        The bundle, the comparisons, and a line for each limit that is broken and for what may have done it.
    """
    parities: Parities = {}
    artifacts = list(bundle.manifest.artifacts)
    reference = KerasClassifier(bundle.manifest.labels, artifacts[0], model)
    breaches: list[str] = []
    failed: list[Failure] = []
    for images in sets:
        expected = images.ask(reference.logits, "float model")
        parities[images.name] = []
        for number, artifact in enumerate(artifacts):
            classifier = make_classifier(bundle, artifact)
            logits = images.ask(classifier.logits, artifact.name)
            allowed = limits.of(artifact.precision, images.name)
            judged = [images.judged(each, artifact.none_prior) for each in (expected, logits)]
            parity = compare(artifact.name, allowed, judged[0], judged[1], images.labels, images.origins)
            parities[images.name].append(parity)
            breaches += [f"{images.name}: {line}" for line in parity.breaches]
            if parity.breaches:
                failed.append((images, classifier, logits))
            if images is sets[0]:
                metrics = {"gate": accuracy_figure(logits, images.labels, images.origins)}
                temperature = fit_temperature(logits, images.labels)
                artifacts[number] = replace(artifact, temperature=temperature, metrics=metrics)
    names = sound([each.name for each in artifacts], failed)
    layers, mended = by_layer(bundle, names, sets[0].images[:IMAGES])
    breaches += weight_breaches(layers, mended, limits.weights)
    return _with_artifacts(bundle, artifacts), parities, [*breaches, *find_causes(reference, failed, layers)]


def _with_test_metrics(bundle: Bundle, data: Mnist) -> Bundle:
    """The bundle with each artifact's accuracy on MNIST's test set, as it is and through ``preprocess``."""
    test = mnist_set(data)
    placed = replace(test, images=np.stack([preprocess(image)[0] for image in test.images]))
    artifacts = []
    for artifact in bundle.manifest.artifacts:
        classifier = make_classifier(bundle, artifact)
        metrics = {
            name: accuracy_figure(images.ask(classifier.logits, artifact.name), images.labels)
            for name, images in (("mnist_test", test), ("mnist_test_preprocessed", placed))
        }
        artifacts.append(replace(artifact, metrics={**artifact.metrics, **metrics}))
    return _with_artifacts(bundle, artifacts)


def _with_temperatures(bundle: Bundle, crops: LabeledCrops) -> Bundle:
    """The bundle with each artifact's temperature for what a camera sees, and its figures there."""
    seen = InputSet("crops", crops.images, crops.labels, crops.frames.astype(np.int64), camera=True)
    artifacts: list[Artifact] = []
    digits = crops.labels != NONE
    for artifact in bundle.manifest.artifacts:
        logits = seen.judged(seen.ask(make_classifier(bundle, artifact).logits, artifact.name), artifact.none_prior)
        temperature = fit_temperature(logits, crops.labels)
        probabilities = softmax(logits / temperature, axis=1)
        answers = np.where(probabilities.max(axis=1) >= artifact.accept, probabilities.argmax(axis=1), NONE)
        metrics = {
            "digits": int(digits.sum()),
            "right": float((answers == crops.labels)[digits].mean()),
            "nones": int((~digits).sum()),
            "invented": float((answers != NONE)[~digits].mean()),
        }
        known = {**artifact.metrics, "crops": metrics}
        artifacts.append(replace(artifact, temperature=temperature, metrics=known))
    return _with_artifacts(bundle, artifacts)


def _calibration(model: keras.Model, data: Mnist, images: Image, formats: Sequence[str]) -> dict[str, Any] | None:
    """What the int8 files were calibrated on, and how much they depend on that choice; None where there are none."""
    if not any(name.endswith("int8") for name in formats):
        return None
    used = calibration_set(data)
    dependence = calibration_dependence(model, data, images)
    return {"count": len(used), "sha256": _sha256(used.tobytes()), "dependence": asdict(dependence)}


def _seal(bundle: Bundle, model: keras.Model, data: Mnist, provenance: Mapping[str, Any]) -> None:
    """Add the golden vectors, the float model and the manifest."""
    golden = _golden(bundle, golden_inputs(lambda images: model.predict(images[..., None], verbose=0)))
    (bundle.folder / bundle.manifest.golden).write_bytes(golden)
    stored = keras_file(model)
    (bundle.folder / _FLOAT_MODEL).write_bytes(stored)
    origin = {"revision": _revision(), "float_model": {"file": _FLOAT_MODEL, "sha256": _sha256(stored)}}
    manifest = replace(bundle.manifest, golden_sha256=_sha256(golden), provenance={**origin, **provenance})
    write_manifest(bundle.folder, manifest)


def _with_artifacts(bundle: Bundle, artifacts: list[Artifact]) -> Bundle:
    return replace(bundle, manifest=replace(bundle.manifest, artifacts=tuple(artifacts)))


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
