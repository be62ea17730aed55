"""Stand-ins that several tests of the runtime hand in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.backends import ArtifactClassifier
from runtime.bundle import Artifact, TensorSpec
from runtime.values import Image

LABELS = (*"0123456789", "none")


class SevenReader(ArtifactClassifier):
    """Says of all ink that it is a 7."""

    def __init__(self, **_: Any) -> None:
        spec = TensorSpec((1, 28, 28, 1), "uint8"), TensorSpec((1, len(LABELS)), "float32")
        super().__init__(LABELS, Artifact("sevens", "", "", 0, "litert", "x", *spec, 1.0, accept=0.6, unsure=0.3))

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.where(np.arange(len(LABELS)) == 7, 9.0, 0.0).astype(np.float32)


def sheet(*bars: tuple[int, int], size: tuple[int, int] = (320, 240)) -> Image:
    """White paper with upright bars of ink, 12 x 48, at these places (x, y)."""
    picture = np.full((size[1], size[0], 3), 230, np.uint8)
    for x, y in bars:
        picture[y : y + 48, x : x + 12] = 20
    return picture
