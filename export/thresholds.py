"""How sure an artifact must be: its temperature and thresholds, from crops that a camera's detector would give it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from runtime.values import Image
from train.augment import NONE

_GRID = np.arange(50, 96, 5) / 100
_FLAT = 0.001


def fit_temperature(logits: npt.NDArray[np.float32], truth: Image) -> float:
    """The temperature of least cross-entropy (Guo et al., 2017, arXiv 1706.04599).

    Args:
        logits: float32 (n, labels).
        truth: uint8 (n,).
    """

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(truth)), truth].mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 4)


def choose_thresholds(probabilities: npt.NDArray[np.float32], truth: Image) -> tuple[float, float]:
    """Confidence from which a digit is read, and from which ink is shown as a possible digit.

    The first is the highest, in steps of 0.05 from 0.5 to 0.95, that costs at most 0.1 points of the best F1: where F1
    is flat, a digit missed is better than one invented. The second is half of it.

    Args:
        probabilities: float32 (n, labels), the last that of ``none``.
        truth: uint8 (n,), 0–9 or ``NONE``, as often as a camera meets them.
    """
    answers, digits = probabilities.argmax(axis=1), truth != NONE
    read = (answers != NONE) & (probabilities.max(axis=1) >= _GRID[:, None])
    right = (read & (answers == truth)).sum(axis=1)
    f1 = 2 * right / (digits.sum() + read.sum(axis=1))
    accept = float(_GRID[np.flatnonzero(f1 >= f1.max() - _FLAT)[-1]])
    return accept, round(accept / 2, 3)
