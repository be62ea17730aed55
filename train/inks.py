"""Pens, and ink on a picture: strokes, MNIST's digits written anew with any pen, printed signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from runtime.pages import Color
from runtime.preprocess import stroke_width
from runtime.strokes import Pen, Polyline, draw_ink, soft_noise
from runtime.values import Image, Polarity
from train.splits import Split

Alpha: TypeAlias = npt.NDArray[np.float32]
"""float32 (H, W), how much ink covers each pixel, 0–1."""

_GRID = 64  # height at which MNIST's digits are thinned, in pixels


@dataclass(frozen=True, slots=True)
class Ink:
    """A pen with its ink.

    Attributes:
        name: unique.
        split: whose it is.
        kind: what one would call it: a tag of frames.
        pen: how the ink covers.
        widths: of the line, least and greatest, in digit heights.
        color: blue, green, red.
        polarity: dark ink for light paper, or the other way round.
    """

    name: str
    split: Split
    kind: str
    pen: Pen
    widths: tuple[float, float]
    color: Color
    polarity: Polarity = "dark"


_BALLPOINT = Pen(0.05, opacity=0.9, pressure=0.16, grain=0.14, grain_size=0.4)
_GEL = Pen(0.08, opacity=0.97, pressure=0.1)
_PENCIL = Pen(0.065, opacity=0.72, pressure=0.22, grain=0.3, grain_size=0.2)
_MARKER = Pen(0.14, opacity=0.95, pressure=0.08, grain=0.06, grain_size=0.5)
_CHALK = Pen(0.11, opacity=0.92, pressure=0.2, grain=0.42, grain_size=0.08)
_CRAYON = Pen(0.12, opacity=0.86, pressure=0.2, grain=0.34, grain_size=0.12)

INKS = (
    Ink("ballpoint-blue", "train", "ballpoint", _BALLPOINT, (0.03, 0.075), (132, 62, 34)),
    Ink("ballpoint-black", "train", "ballpoint", _BALLPOINT, (0.03, 0.075), (58, 52, 50)),
    Ink("gel-black", "train", "gel", _GEL, (0.05, 0.1), (34, 30, 30)),
    Ink("gel-red", "train", "gel", _GEL, (0.05, 0.1), (52, 38, 190)),
    Ink("fountain-blue", "train", "gel", _GEL, (0.05, 0.11), (120, 40, 28)),
    Ink("pencil-hb", "train", "pencil", _PENCIL, (0.04, 0.09), (92, 90, 88)),
    Ink("marker-black", "train", "marker", _MARKER, (0.1, 0.19), (30, 28, 28)),
    Ink("marker-red", "train", "marker", _MARKER, (0.1, 0.19), (40, 34, 178)),
    Ink("felt-green", "train", "marker", _MARKER, (0.08, 0.15), (62, 104, 30)),
    Ink("crayon-brown", "train", "crayon", _CRAYON, (0.1, 0.17), (44, 64, 110)),
    Ink("chalk-white", "train", "chalk", _CHALK, (0.08, 0.16), (230, 236, 234), "light"),
    Ink("chalk-yellow", "train", "chalk", _CHALK, (0.08, 0.16), (140, 222, 238), "light"),
    Ink("gel-white", "train", "gel", _GEL, (0.05, 0.1), (244, 244, 242), "light"),
    Ink("ballpoint-violet", "test", "ballpoint", _BALLPOINT, (0.03, 0.075), (126, 44, 78)),
    Ink("rollerball-black", "test", "ballpoint", _BALLPOINT, (0.035, 0.08), (50, 44, 46)),
    Ink("fineliner-navy", "test", "gel", _GEL, (0.045, 0.09), (98, 46, 30)),
    Ink("gel-green", "test", "gel", _GEL, (0.05, 0.1), (70, 98, 22)),
    Ink("pencil-2b", "test", "pencil", _PENCIL, (0.05, 0.1), (78, 78, 80)),
    Ink("marker-blue", "test", "marker", _MARKER, (0.1, 0.19), (150, 62, 26)),
    Ink("brush-black", "test", "marker", _MARKER, (0.09, 0.18), (26, 26, 32)),
    Ink("crayon-purple", "test", "crayon", _CRAYON, (0.1, 0.17), (112, 46, 96)),
    Ink("chalk-blue", "test", "chalk", _CHALK, (0.08, 0.16), (236, 214, 176), "light"),
    Ink("chalk-worn", "test", "chalk", _CHALK, (0.08, 0.15), (206, 212, 210), "light"),
    Ink("paint-marker-white", "test", "marker", _MARKER, (0.09, 0.16), (238, 240, 242), "light"),
)
"""Every pen."""


def ink_strokes(
    strokes: list[Polyline], ink: Ink, width: float, rng: np.random.Generator
) -> tuple[Alpha, tuple[int, int]]:
    """Draw strokes with a pen.

    Args:
        strokes: the pen's paths in pixels of the page.
        ink: the pen.
        width: of its line, in pixels.
        rng: where chance comes from.

    Returns:
        The ink, and where its first column and row are on the page.
    """
    reach = int(np.ceil(width)) + 2
    points = np.concatenate(strokes)
    low = np.floor(points.min(axis=0)).astype(int) - reach
    size = np.ceil(points.max(axis=0)).astype(int) + reach + 1 - low
    moved = [(path - low).astype(np.float32) for path in strokes]
    x, y = low.tolist()
    return draw_ink(moved, (int(size[0]), int(size[1])), rng, pen=ink.pen, width=width), (x, y)


def ink_image(image: Image, height: float, ink: Ink, width: float, rng: np.random.Generator) -> Alpha:
    """Write a digit's picture anew: its lines as thin or as broad as the pen's.

    Args:
        image: uint8 (28, 28), bright ink on black, as MNIST's.
        height: of its ink, in pixels.
        ink: the pen.
        width: of its line, in pixels.
        rng: where chance comes from.

    Returns:
        The ink, with at least two clear pixels around it.
    """
    x, y, columns, rows = cv2.boundingRect((image > 80).astype(np.uint8))
    margin = 3  # in MNIST's pixels
    field = np.pad(image, margin + 1)[y + 1 : y + rows + 1 + 2 * margin, x + 1 : x + columns + 1 + 2 * margin]
    zoom = _GRID / rows
    large = cv2.resize(field, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(large, (0, 0), 0.5 * zoom)
    solid = (soft > min(100.0, 0.5 * float(soft.max()))).astype(np.uint8)
    now, wanted = stroke_width(solid * 255), width / height * _GRID
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform(1 - solid, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = cv2.GaussianBlur(inside - outside, (0, 0), 1.8)
    holes = _holes(solid)
    while wanted > now and _holes((depth + (wanted - now) / 2 > 0).astype(np.uint8)) < holes:
        wanted -= 0.25 * (wanted - now) + 0.2  # a broad pen must not close a loop: nobody could read the digit
    depth = depth + (wanted - now) / 2
    if wanted < 0.9 * now:
        # Thin lines follow the middle of MNIST's broad ones, which eroding alone would break.
        middle = cv2.distanceTransform(1 - thin(solid), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        depth = np.maximum(depth, wanted / 2 - cv2.GaussianBlur(middle, (0, 0), 1.0) + 0.3)
    scale = height / _GRID
    fine = 3 if height < 50 else 1  # drawn larger and averaged down, where a pixel is coarse
    size = (round(large.shape[1] * scale) + 4, round(large.shape[0] * scale) + 4)
    to_page = np.array([[scale * fine, 0, 2 * fine], [0, scale * fine, 2 * fine]])
    depth = cv2.warpAffine(
        depth, to_page, (size[0] * fine, size[1] * fine), flags=cv2.INTER_LINEAR, borderValue=(-_GRID,)
    )
    alpha = np.clip(depth * (scale * fine) + 0.5, 0.0, 1.0)
    alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) if fine > 1 else alpha
    return grained(alpha, ink, width, rng)


def grained(alpha: Alpha, ink: Ink, width: float, rng: np.random.Generator) -> Alpha:
    """Solid ink as this pen leaves it: let through by its opacity and grain, as ``draw_ink`` does."""
    alpha = alpha * ink.pen.opacity
    if ink.pen.grain:
        noise = soft_noise((alpha.shape[1], alpha.shape[0]), ink.pen.grain_size * width, rng)
        alpha = alpha * np.clip(1.0 - ink.pen.grain * (0.6 + noise), 0.0, 1.0)
    return np.asarray(alpha, np.float32)


def thin(solid: Image) -> Image:
    """The middle lines of a shape, a pixel wide (T. Y. Zhang, C. Y. Suen, 1984): uint8 (H, W), 0 or 1, both ways."""
    image = np.pad(solid, 1)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            # The eight neighbors, clockwise from the one above.
            n = [
                image[1 + y : image.shape[0] - 1 + y, 1 + x : image.shape[1] - 1 + x]
                for x, y in ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
            ]
            count = sum(n[1:], n[0])
            rises = sum((n[i] < n[(i + 1) % 8]).astype(np.uint8) for i in range(8))
            up, right, down, left = n[0], n[2], n[4], n[6]
            ends = (up & right & down) | (right & down & left) if first else (up & right & left) | (up & down & left)
            away = (image[1:-1, 1:-1] == 1) & (count >= 2) & (count <= 6) & (rises == 1) & (ends == 0)
            if away.any():
                image[1:-1, 1:-1][away] = 0
                changed = True
    return image[1:-1, 1:-1].copy()


def _holes(solid: Image) -> int:
    """Loops of a shape, those of a few pixels not counted."""
    framed = cv2.copyMakeBorder(1 - solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, _, stats, _ = cv2.connectedComponentsWithStats(framed, connectivity=4)
    return int((stats[1:, cv2.CC_STAT_AREA] >= 6).sum()) - 1
