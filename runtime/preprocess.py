"""THE way from an ink crop to the model's input; training and the device both go through here.

The form is MNIST's own (LeCun et al., 1998): the ink scaled, aspect kept, so that its longest side is 20 pixels, and
placed in a 28×28 field with its center of mass at the center. One thing is added: strokes that would fade to less than
a pixel are thickened first, since MNIST has no hairlines and cameras see many.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from runtime.values import Image

PREPROCESS_VERSION = 1
"""Goes up with every change of what ``preprocess`` returns; a bundle trained on another version refuses to load."""

FIELD = 28
"""Side of the model's input, in pixels."""

INK_SIDE = 20
"""Longest side of the ink inside the field, in pixels."""

INK_LEVEL = 96
"""Coverage at and above which a pixel counts as ink when its extent is measured (0–255)."""

MIN_STROKE = 1.9
"""Stroke width, in pixels of the field, under which strokes are thickened (MNIST's thin tenth is at about 2)."""


def preprocess(ink: Image) -> tuple[Image, npt.NDArray[np.float32]]:
    """Place ink as the model wants it.

    Args:
        ink: uint8 (height, width), 0 for paper to 255 for full ink; any size from 1×1.

    Returns:
        ``pixels``: uint8 (28, 28), bright ink on black; all zero where no ink reaches ``INK_LEVEL``.
        ``transform``: float32 (2, 3) that takes (x, y, 1) in ``ink`` to coordinates in ``pixels``.
    """
    field = np.zeros((FIELD, FIELD), np.uint8)
    # THRESH_BINARY keeps what is greater, so one less than the level makes it inclusive.
    solid = cv2.threshold(ink, INK_LEVEL - 1, 255, cv2.THRESH_BINARY)[1]
    x, y, width, height = cv2.boundingRect(solid)
    if width == 0:
        return field, np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    scale = INK_SIDE / max(width, height)
    thicken = round((MIN_STROKE - scale * stroke_width(solid[y : y + height, x : x + width])) / scale)
    if thicken > 0:
        ink = cv2.copyMakeBorder(ink, thicken, thicken, thicken, thicken, cv2.BORDER_CONSTANT, value=0)
        ink = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thicken + 1, thicken + 1)))
        solid = cv2.threshold(ink, INK_LEVEL - 1, 255, cv2.THRESH_BINARY)[1]
        x, y, width, height = cv2.boundingRect(solid)
        scale = INK_SIDE / max(width, height)
    else:
        thicken = 0
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    shrinking = scale < 1
    small = cv2.resize(
        ink[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    )
    peak = cv2.minMaxLoc(small)[1]
    if peak < 255:
        small = cv2.convertScaleAbs(small, alpha=255 / max(peak, 1))
    moments = cv2.moments(small)
    left = _corner(size[0], moments["m10"] / moments["m00"])
    top = _corner(size[1], moments["m01"] / moments["m00"])
    field[top : top + size[1], left : left + size[0]] = small
    across, down = size[0] / width, size[1] / height
    transform = np.array(
        [[across, 0, left + (thicken - x) * across], [0, down, top + (thicken - y) * down]], np.float32
    )
    return field, transform


def stroke_width(solid: Image) -> float:
    """Mean width of the strokes of a shape: twice its area over the length of its outline.

    Args:
        solid: uint8 (height, width), 0 or 255.

    Returns:
        Width in pixels; 0 where there is no ink.
    """
    framed = cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    area = cv2.countNonZero(solid)
    # Pixel edges between ink and paper; an outline at random angles has 4/π pixel edges per unit of length.
    steps = cv2.norm(framed[:, 1:], framed[:, :-1], cv2.NORM_L1) + cv2.norm(framed[1:], framed[:-1], cv2.NORM_L1)
    return 2 * area / max(steps / 255 * np.pi / 4, 1)


def _corner(side: int, center_of_mass: float) -> int:
    """First row or column of ink of this size so that its center of mass falls on the field's center."""
    corner = round(FIELD / 2 - center_of_mass)  # MNIST's own mean is 14.0, counting from 0
    return min(max(corner, 0), FIELD - side)
