"""What each artifact of a bundle answers here: called on an emulated device and on this one, to compare the two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.backends import ArtifactClassifier, LiteRtClassifier, make_classifier
from runtime.bundle import load_bundle


def classifiers(model: str, backend: str) -> Iterator[tuple[str, ArtifactClassifier]]:
    """Each artifact of a backend, and each of its kernels: XNNPACK's, and TFLite's reference kernels of int8."""
    bundle = load_bundle(model)
    for artifact in bundle.manifest.artifacts:
        if artifact.backend != backend:
            continue
        yield artifact.name, make_classifier(bundle, artifact)
        if backend == "litert" and artifact.precision == "int8":
            yield f"{artifact.name}@reference", Reference(bundle.manifest.labels, artifact, bundle.read(artifact))


class Reference(LiteRtClassifier):
    """TFLite's reference kernels, which are plain C++ and so the same everywhere."""

    def __init__(self, labels: tuple[str, ...], artifact: Any, content: bytes) -> None:
        super().__init__(labels, artifact, content, delegate=False)
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=content, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        self._interpreter.allocate_tensors()


def answers(model: str, backend: str, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
    """Logits, float32 (n, labels), by the artifact's name and the kernels; images are uint8 (n, 28, 28)."""
    return {name: classifier.logits(images) for name, classifier in classifiers(model, backend)}
