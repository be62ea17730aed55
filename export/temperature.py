"""What makes an artifact's confidence mean what it says, on the crops that a camera's detector gives it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from runtime.values import Image


def fit_temperature(logits: npt.NDArray[np.float32], truth: Image) -> float:
    """The temperature of least cross-entropy (Guo et al., 2017, arXiv 1706.04599).

    Args:
        logits: float32 (n, labels).
        truth: uint8 (n,).
    """

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 4)
