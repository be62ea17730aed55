"""A picture to draw on: legible text, plates and outlines, and a map of which places are taken.

OpenCV's own fonts: a device carries no others. OpenCV 4 and 5 draw them differently, so every width is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import cv2
import numpy as np

from runtime.values import Box, Image

Color: TypeAlias = tuple[int, int, int]
"""Blue, green, red, each 0–255."""

Corners: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""The first and the last pixel (x, y) of a rectangle."""

SMALLEST_CAP = 8
"""Pixels that a digit must be high to be told from the others."""

_CAP_HEIGHT = 21.5  # pixels of a capital or digit at font scale 1, in OpenCV 4 and 5
_STROKE_FONTS = int(cv2.__version__.partition(".")[0]) < 5
_GRID = 4  # pixels per cell of the map of what is taken


class Painter:
    """Draws on a picture in place.

    Attributes:
        picture: uint8 (H, W, 3) in BGR order.
        width: of the picture.
        height: of the picture.
    """

    def __init__(self, picture: Image) -> None:
        self.picture = picture
        self.height, self.width = picture.shape[:2]
        self._taken = np.zeros((self.height // _GRID + 1, self.width // _GRID + 1), np.uint8)

    def first_free(self, places: Iterable[tuple[int, int]], width: int, height: int) -> tuple[int, int] | None:
        """The first place (x, y) inside the picture where nothing stands yet."""
        for x, y in places:
            inside = self.inside(x, y, width, height) == (x, y)
            if inside and not self._cells(x, y, width, height).any():
                return x, y
        return None

    def inside(self, x: int, y: int, width: int, height: int) -> tuple[int, int]:
        """The place (x, y) moved into the picture."""
        return max(min(x, self.width - width), 0), max(min(y, self.height - height), 0)

    def take(self, box: Box) -> None:
        """Note that something stands here that should stay visible."""
        self._cells(box.x, box.y, box.width, box.height)[:] = 1

    def plate(self, x: int, y: int, width: int, height: int, color: Color) -> None:
        """A filled rectangle with rounded corners."""
        radius = max(min(width, height) // 6, 1)
        for inset_x, inset_y in ((radius, 0), (0, radius)):
            start, end = (x + inset_x, y + inset_y), (x + width - 1 - inset_x, y + height - 1 - inset_y)
            cv2.rectangle(self.picture, start, end, color, cv2.FILLED)
        for corner_x in (x + radius, x + width - 1 - radius):
            for corner_y in (y + radius, y + height - 1 - radius):
                cv2.circle(self.picture, (corner_x, corner_y), radius, color, cv2.FILLED, cv2.LINE_AA)

    def shade(self, x: int, y: int, width: int, height: int) -> None:
        """Darken a rectangle, so that white letters stand out and the picture still shows."""
        part = self.picture[max(y, 0) : y + height, max(x, 0) : x + width]
        cv2.convertScaleAbs(part, dst=part, alpha=0.16, beta=10)

    def text(self, text: str, x: int, baseline: int, cap: int, color: Color, *, bold: bool = False) -> None:
        """Letters that begin at x and stand on the baseline; their capitals are ``cap`` pixels high."""
        scale, thickness, face = _font(cap, bold)
        cv2.putText(self.picture, text, (x, baseline), face, scale, color, thickness, cv2.LINE_AA)

    def dashed(self, corners: Corners, color: Color, thickness: int, dash: int, period: int) -> None:
        """A rectangle of dashes, so many pixels long, that begin so many pixels apart."""
        (left, top), (right, bottom) = corners
        for start in range(left, right + 1, period):
            for y in (top, bottom):
                cv2.line(self.picture, (start, y), (min(start + dash, right), y), color, thickness, cv2.LINE_8)
        for start in range(top, bottom + 1, period):
            for x in (left, right):
                cv2.line(self.picture, (x, start), (x, min(start + dash, bottom)), color, thickness, cv2.LINE_8)

    def _cells(self, x: int, y: int, width: int, height: int) -> Image:
        rows = slice(max(y, 0) // _GRID, max(y + height - 1, 0) // _GRID + 1)
        return self._taken[rows, max(x, 0) // _GRID : max(x + width - 1, 0) // _GRID + 1]


def text_width(text: str, cap: int, bold: bool = False) -> int:
    """Pixels that ``Painter.text`` fills from left to right."""
    scale, thickness, face = _font(cap, bold)
    return cv2.getTextSize(text, face, scale, thickness)[0][0]


def _font(cap: int, bold: bool) -> tuple[float, int, int]:
    """Scale, thickness and face of letters whose capitals are ``cap`` pixels high."""
    # OpenCV 5 fills outlines and takes its weight from the face; OpenCV 4 draws strokes, thin for their height.
    thickness = max(round(cap / (11 if bold else 14)), 1) if _STROKE_FONTS else 1
    return cap / _CAP_HEIGHT, thickness, cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX
