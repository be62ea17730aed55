"""What ``verify`` asks: the float reference, every artifact of a bundle, and the same artifact by other kernels."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from runtime.backends import BATCH, INTERPRETERS, ArtifactClassifier, check_golden, make_classifier
from runtime.bundle import Artifact, Bundle, TensorSpec
from runtime.errors import BackendError, BundleError
from runtime.preprocess import FIELD
from runtime.quiet import native_stderr_silent

log = logging.getLogger(__name__)

Reference = Literal["keras", "onnx"]
"""What the artifacts are compared with: the Keras model itself, or its float32 ONNX file where no TensorFlow is."""


class KerasClassifier(ArtifactClassifier):
    """The float model, answering as an artifact does."""

    def __init__(self, labels: tuple[str, ...], artifact: Artifact, model: Any) -> None:
        """Wrap the model.

        Args:
            labels: meaning of each output.
            artifact: whose temperature and thresholds it has; its float32 form.
            model: ``keras.Model``, (n, 28, 28, 1) 0–255 -> logits.
        """
        free = TensorSpec((None, FIELD, FIELD, 1), "float32"), TensorSpec((None, len(labels)), "float32")
        super().__init__(labels, replace(artifact, name="keras", input=free[0], output=free[1]))
        self._model = model

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        # Always as many: for each new number Keras compiles the network anew.
        filled = np.concatenate([pixels, np.zeros((BATCH - len(pixels), *pixels.shape[1:]), pixels.dtype)])
        return np.asarray(self._model.predict_on_batch(filled))[: len(pixels)]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """An artifact run by other kernels than those that the camera runs it by.

    Attributes:
        name: what it is, such as ``litert-int8 without XNNPACK``.
        against: the name of what it should answer like.
        classifier: runs it.
    """

    name: str
    against: str
    classifier: ArtifactClassifier


def reference_classifier(bundle: Bundle, reference: Reference) -> ArtifactClassifier:
    """The float model that a bundle's artifacts are to agree with.

    Raises:
        BundleError: the bundle does not hold it, or it was altered.
        BackendError: what runs it is not installed.
    """
    floats = [a for a in bundle.manifest.artifacts if a.precision == "float32"]
    if reference == "onnx":
        return make_classifier(bundle, bundle.artifact("onnx", "float32"))
    if importlib.util.find_spec("tensorflow") is None or importlib.util.find_spec("keras") is None:
        raise BackendError('tensorflow is not installed; name --reference onnx, or pip install "edge-digits[train]"')
    stored = bundle.manifest.provenance.get("float_model", {})
    path = bundle.folder / stored.get("file", "model.keras")
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(f"cannot read {path} ({error.strerror}); name --reference onnx, or export again") from error
    if found != stored.get("sha256"):
        raise BundleError(f"{path} was altered: sha256 {found[:12]}…, not the manifest's; export the bundle again")
    from train.quiet import load_tensorflow

    load_tensorflow()
    from train.networks import load_model

    return KerasClassifier(bundle.manifest.labels, (floats or bundle.manifest.artifacts)[0], load_model(path))


def artifact_classifiers(bundle: Bundle) -> tuple[dict[str, ArtifactClassifier], list[str]]:
    """Every artifact's classifier by name, its golden vectors asked.

    Returns:
        Those that work, and a line for each of the others that says what is wrong with it.
    """
    working, broken = {}, []
    for artifact in bundle.manifest.artifacts:
        try:
            with native_stderr_silent():  # LiteRT announces its delegate
                classifier = make_classifier(bundle, artifact)
            check_golden(classifier, bundle.golden())
        except (BundleError, BackendError) as error:
            broken.append(f"{artifact.name}: {error}")
            continue
        working[artifact.name] = classifier
    return working, broken


def variants(bundle: Bundle, names: list[str]) -> Iterator[Variant]:
    """The working LiteRT artifacts without XNNPACK's kernels and, where it is installed and runs, in tflite-runtime."""
    for artifact in bundle.manifest.artifacts:
        if artifact.backend != "litert" or artifact.name not in names:
            continue
        plain = f"{artifact.name} without XNNPACK"
        with native_stderr_silent():
            yield Variant(plain, artifact.name, make_classifier(bundle, artifact, delegate=False))
        if importlib.util.find_spec(INTERPRETERS["tflite-runtime"][0].split(".")[0]) is None:
            continue
        try:
            with native_stderr_silent():
                classifier = make_classifier(bundle, artifact, interpreter="tflite-runtime")
        except BackendError as error:  # built for another NumPy than is here: that says nothing of the bundle
            log.warning("left out: %s", error)
            continue
        yield Variant(f"{artifact.name} in tflite-runtime", plain, classifier)
