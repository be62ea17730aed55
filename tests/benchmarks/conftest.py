"""What the tests of the benchmarks share: candidates that take as long as one says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.candidates import Candidate
from benchmarks.latency import Latency, LatencySettings, measure_latency
from benchmarks.measure import Plan
from runtime.backends import ArtifactClassifier
from runtime.bundle import Artifact, TensorSpec

LABELS = tuple("0123456789")

MakeCandidate: TypeAlias = Callable[..., Candidate]


class SleepingClassifier(ArtifactClassifier):
    """Says 0 to everything, after a while; its first call takes longer."""

    def __init__(self, artifact: Artifact, seconds: float, first_seconds: float) -> None:
        super().__init__(LABELS, artifact)
        self._seconds, self._next_seconds = seconds, first_seconds

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        time.sleep(self._next_seconds)
        self._next_seconds = self._seconds
        return np.eye(1, len(LABELS), dtype=np.float32)[0]


@pytest.fixture
def make_candidate() -> MakeCandidate:
    """Makes a candidate that sleeps for so many seconds: in a call, in its first call, while it is loaded."""

    def make_candidate(
        name: str, seconds: float = 0.0, *, first_seconds: float = 0.0, load_seconds: float = 0.0
    ) -> Candidate:
        pixels, logits = TensorSpec((1, 28, 28, 1), "float32"), TensorSpec((1, 10), "float32")
        artifact = Artifact(name, f"{name}.tflite", "0" * 64, 1, "litert", "int8", pixels, logits, 1.0, 0.6, 0.3)

        def make() -> ArtifactClassifier:
            return SleepingClassifier(artifact, seconds, max(first_seconds, seconds))

        def load() -> ArtifactClassifier:
            time.sleep(load_seconds)
            return make()

        return Candidate(artifact, "litert", make, load)

    return make_candidate


@pytest.fixture
def latency(make_candidate: MakeCandidate) -> Latency:
    """A small measurement of two fakes: 20 loads, 5 calls of warm-up, 20 samples."""
    crops = np.zeros((3, 28, 28), np.uint8)
    settings = LatencySettings(loads=20, warm_up=5, plan=Plan(rounds=4, calls=5, settle=1))
    return measure_latency([make_candidate("one"), make_candidate("two")], [], crops, settings)
