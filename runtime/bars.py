"""Tell a 1 from what looks like one: the edge of a sheet, a piece of a ruling."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.values import Box, Image

EVEN = 0.4
"""Least ratio of the steps in brightness on both sides of a stroke; at an edge one of them is missing."""

GOES_ON = 0.4
"""Strength with which a line goes on beyond both ends from which it is longer than its ink, as a share of the ink's."""

_AROUND = np.array([[-1], [0], [1]])


def is_stroke(luma: Image, box: Box) -> bool:
    """Whether upright ink is a stroke by itself.

    Args:
        luma: uint8 (height, width).
        box: of the ink, in ``luma``'s pixels.

    Returns:
        False where paper lies on one side only, as it does at the picture's border, and where the line goes on at both
        ends.
    """
    height, width = luma.shape
    margin = max(box.width // 2, 2)
    rows = luma[max(box.y, 0) : box.bottom]
    left = rows[:, max(box.x - 2 * margin, 0) : max(box.x - margin // 2, 0)]
    right = rows[:, box.right + margin // 2 : box.right + 2 * margin]
    if box.x < 2 or box.right > width - 2 or not left.size or not right.size:
        return False
    beside = _median(left), _median(right)
    patch = rows[:, max(box.x, 0) : box.right]
    paper = sum(beside) / 2
    # The ink: of each row the pixel that differs most from the paper.
    at = cv2.absdiff(patch.astype(np.float32), paper).argmax(axis=1)  # type: ignore[call-overload]
    y = np.arange(len(patch))
    ink = _median(patch[y, at])
    steps = sorted((abs(beside[0] - ink), abs(beside[1] - ink)))
    if steps[0] < EVEN * steps[1]:
        return False
    # Along the stroke's own slope, a quarter of its height beyond either end, and two pixels at least.
    middle, apart = (len(patch) - 1) / 2, y - (len(patch) - 1) / 2
    slope = float(apart @ at / (apart @ apart)) if len(patch) > 3 else 0.0
    start = float(at.sum()) / len(at) - slope * middle if len(patch) > 3 else patch.shape[1] / 2
    reach = max(box.height // 4, 4)
    for beyond in (np.arange(-reach, -2), np.arange(2, reach) + len(patch)):
        ys = beyond + box.y
        xs = np.rint(start + slope * beyond + box.x).astype(int)
        seen = (ys >= 0) & (ys < height) & (xs >= 1) & (xs < width - 1)
        if np.count_nonzero(seen) < 2:
            continue  # out of view
        around = luma[ys[seen], xs[seen] + _AROUND].astype(np.float64)
        if _median(np.abs(around - paper).max(axis=0)) < GOES_ON * abs(ink - paper):
            return True  # it ends there
    return False


def _median(values: npt.NDArray[Any]) -> float:
    """The median: of so few values NumPy's own takes ten times as long."""
    middle = (values.size - 1) // 2, values.size // 2
    ordered = np.partition(values, middle, axis=None)
    return (float(ordered[middle[0]]) + float(ordered[middle[1]])) / 2
