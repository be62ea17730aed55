"""Many boxes at once: as rows of left, top, right, bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from runtime.values import Box

Corners = npt.NDArray[np.float64]
"""float64 (n, 4): left, top, right (exclusive) and bottom (exclusive) of each box, in pixels."""


def corners_of(boxes: Sequence[Box]) -> Corners:
    """The boxes as rows; (0, 4) where there are none."""
    return np.array([(box.x, box.y, box.right, box.bottom) for box in boxes], np.float64).reshape(-1, 4)


def areas(boxes: Corners) -> npt.NDArray[np.float64]:
    """Pixels in each box: (n,)."""
    left, top, right, bottom = boxes.T
    return (right - left) * (bottom - top)


def shared_areas(a: Corners, b: Corners) -> npt.NDArray[np.float64]:
    """Pixels that each of ``a`` (n, 4) shares with each of ``b`` (m, 4): (n, m)."""
    left, top, right, bottom = a.T[..., None]
    across = np.minimum(right, b[:, 2]) - np.maximum(left, b[:, 0])
    down = np.minimum(bottom, b[:, 3]) - np.maximum(top, b[:, 1])
    return np.maximum(across, 0) * np.maximum(down, 0)


def connected(pairs: npt.NDArray[np.integer], count: int) -> list[int]:
    """The group that each of ``count`` things is of: the least of those that pairs (n, 2) of them lead to."""
    group = list(range(count))

    def least(i: int) -> int:
        while group[i] != i:
            group[i] = i = group[group[i]]
        return i

    for a, b in pairs.tolist():
        low, high = sorted((least(a), least(b)))
        group[high] = low
    return [least(i) for i in range(count)]
