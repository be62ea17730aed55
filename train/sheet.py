"""A page under way: where ink goes, what is free, what is hidden, and where each digit stands."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.pages import Color
from train.inks import Alpha
from train.papers import Canvas

OVERSAMPLE = 1.2
"""Page pixels per frame pixel."""

_CELL = 8  # side of a cell of the map of what is taken, in pixels


@dataclass(frozen=True, slots=True, eq=False)
class PlacedDigit:
    """A digit on the page.

    Attributes:
        label: ``"0"`` to ``"9"``.
        row: which row it stands in, from 0.
        number: which number of the row, from 0.
        hull: the convex hull of its ink as corners of pixels, float32 (n, 2): under any view its box is the digit's.
        ink: places of its ink, float32 (m, 2), to tell how much of it is seen.
    """

    label: str
    row: int
    number: int
    hull: npt.NDArray[np.float32]
    ink: npt.NDArray[np.float32]


class Sheet:
    """Pixels of a page, and beside them what has become of each."""

    def __init__(self, pixels: Canvas) -> None:
        self.pixels = pixels
        self.digit_ink = np.zeros(pixels.shape[:2], np.uint8)
        """How much of a true digit's ink covers each pixel, 0–255."""
        self.hidden = np.zeros(pixels.shape[:2], np.uint8)
        """255 where a thing lies on the page."""
        self.digits: list[PlacedDigit] = []
        self._taken = np.zeros((pixels.shape[0] // _CELL + 1, pixels.shape[1] // _CELL + 1), bool)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def stamp(self, alpha: Alpha, corner: tuple[int, int], color: Color) -> None:
        """Put ink on the page; what lies beyond the page is lost."""
        window, seen = self._window(alpha, corner)
        patch = self.pixels[window]
        patch += seen[:, :, None] * (np.array(color, np.float32) - patch)

    def stamp_digit(
        self, alpha: Alpha, corner: tuple[int, int], color: Color, label: str, row: int, number: int
    ) -> None:
        """Put a digit on the page, and remember where it is."""
        self.stamp(alpha, corner, color)
        window, seen = self._window(alpha, corner)
        np.maximum(self.digit_ink[window], (255 * seen).astype(np.uint8), out=self.digit_ink[window])
        strong = np.argwhere(alpha > 0.35 * float(alpha.max()))[:, ::-1] + np.array(corner)
        hull = cv2.convexHull(strong.astype(np.int32))[:, 0]
        corners = (hull[:, None] + np.array([(0, 0), (1, 0), (0, 1), (1, 1)])).reshape(-1, 2).astype(np.float32)
        # Evenly over the ink, but with no stride of whole pixels, which could skip the same column of every row.
        some = np.linspace(0, len(strong) - 1, min(len(strong), 331)).astype(int)
        points = strong[some].astype(np.float32) + np.float32(0.5)
        self.digits.append(PlacedDigit(label, row, number, corners, points))

    def take(self, x: float, y: float, width: float, height: float) -> None:
        """Mark a rectangle as taken."""
        self._taken[self._cells(x, y, width, height)] = True

    def free(self, x: float, y: float, width: float, height: float) -> bool:
        """Whether nothing was put into a rectangle yet."""
        return not self._taken[self._cells(x, y, width, height)].any()

    def _cells(self, x: float, y: float, width: float, height: float) -> tuple[slice, slice]:
        low_x, low_y = max(int(x // _CELL), 0), max(int(y // _CELL), 0)
        return slice(low_y, max(int((y + height) // _CELL), 0) + 1), slice(low_x, max(int((x + width) // _CELL), 0) + 1)

    def _window(self, alpha: Alpha, corner: tuple[int, int]) -> tuple[tuple[slice, slice], Alpha]:
        """The part of the page under a patch of ink, and the part of the patch on the page."""
        x, y = corner
        rows = slice(min(max(y, 0), self.size[1]), min(max(y + alpha.shape[0], 0), self.size[1]))
        columns = slice(min(max(x, 0), self.size[0]), min(max(x + alpha.shape[1], 0), self.size[0]))
        return (rows, columns), alpha[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
