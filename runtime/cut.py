"""Cut a candidate's ink out of the full-resolution frame, as the model wants it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from runtime.ink import Ink, Piece
from runtime.preprocess import preprocess
from runtime.values import Box, Crop, Image

LARGEST = 96
"""Longest side of an ink crop; a larger one is shrunk to it, which costs the model's 20 pixels nothing."""

SMALLEST, MOST_ENLARGED = 40, 4.0
"""Longest side that a smaller one is enlarged to, and how many times at the most. Of a digit of a few pixels edges lie
between pixels and a loop is one paler pixel, which is lost where ink is told from paper before it is enlarged."""


class Alternative(NamedTuple):
    """Ink that may be a digit.

    Attributes:
        pieces: of one polarity.
        box: around them.
        parts: those that they are, numbered within the group.
        whole: the parts of the connected ink that they were taken from; ``parts`` where nothing was taken apart.
        held: how many pieces of connected ink that is; a share of one where it was taken apart.
    """

    pieces: Sequence[Piece]
    box: Box
    parts: frozenset[int]
    whole: frozenset[int]
    held: float


class Cutter:
    """Cuts pieces that were found in a search image out of the frame that it was made of."""

    def __init__(self, luma: Image, ink: Ink) -> None:
        """Prepare for a frame: ``luma`` uint8 (height, width), and what was found in its search image."""
        self._luma, self._ink = luma, ink
        self._scale = luma.shape[1] / ink.luma.shape[1], luma.shape[0] / ink.luma.shape[0]
        self._alone = _alone(ink.pieces)

    def cut(self, alternative: Alternative, group: int) -> Crop | None:
        """The crop of an alternative; None where hardly any ink of it is left."""
        pieces, box = alternative.pieces, alternative.box
        polarity = pieces[0].polarity
        full = self._outward(box)
        patch = self._luma[full.y : full.bottom, full.x : full.right]
        longest = max(full.width, full.height)
        zoom = LARGEST / longest if longest > LARGEST else min(max(SMALLEST / longest, 1.0), MOST_ENLARGED)
        size = max(round(full.width * zoom), 1), max(round(full.height * zoom), 1)
        if size != (full.width, full.height):
            patch = cv2.resize(patch, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
        if self._ink.rulings is not None:
            patch = self._ink.rulings.taken_off(patch, self._to_search(full, size))
        paper = self._ink.paper_level(box, polarity)
        sign = -1.0 if polarity == "dark" else 1.0
        ink = cv2.addWeighted(patch, sign, patch, 0, -sign * paper)  # a scalar takes cv2.subtract twice the time
        if len(pieces) > 1 or id(pieces[0].outline) not in self._alone:
            ink = cv2.bitwise_and(ink, self._mask(pieces, full, size))
        peak = _peak(ink)
        if peak < self._ink.settings.floor:
            return None
        # Ink from a quarter of its full strength on; full from three quarters on.
        gain = 255 / (peak * 0.5)
        ink = cv2.addWeighted(ink, gain, ink, 0, -gain * peak * 0.25)
        pixels, placed = preprocess(ink)
        across, down = size[0] / full.width, size[1] / full.height
        (sx, _, tx), (_, sy, ty) = placed.tolist()
        sx, sy = sx * across, sy * down
        tx, ty = tx - full.x * sx, ty - full.y * sy
        # Where what the crop shows is in the frame: ink that a faint rim belongs to is smaller than its pieces' box.
        left, top, width, height = cv2.boundingRect(pixels)
        x, y = max(round((left - tx) / sx), full.x), max(round((top - ty) / sy), full.y)
        right, bottom = round((left + width - tx) / sx), round((top + height - ty) / sy)
        seen = Box(x, y, max(min(right, full.right) - x, 1), max(min(bottom, full.bottom) - y, 1))
        transform = np.array([[sx, 0, tx], [0, sy, ty]], np.float32)
        return Crop(seen, pixels, polarity, transform, group, alternative.parts, alternative.whole, alternative.held)

    def to_frame(self, box: Box) -> Box:
        """A box of the search image in the frame's pixels."""
        across, down = self._scale
        x, y = round(box.x * across), round(box.y * down)
        return Box(x, y, max(round(box.right * across) - x, 1), max(round(box.bottom * down) - y, 1))

    def to_search(self, height: float) -> float:
        """A height in the frame in pixels of the search image."""
        return height / self._scale[1]

    def _outward(self, box: Box) -> Box:
        """The frame's pixels under a box of the search image, and a margin for the ink's soft edge."""
        across, down = self._scale
        height, width = self._luma.shape
        x, y = max(int((box.x - 1.5) * across), 0), max(int((box.y - 1.5) * down), 0)
        right, bottom = min(int((box.right + 1.5) * across) + 1, width), min(int((box.bottom + 1.5) * down) + 1, height)
        return Box(x, y, right - x, bottom - y)

    def _to_search(self, full: Box, size: tuple[int, int]) -> npt.NDArray[np.float64]:
        """What takes x and y in a part of the frame, brought to ``size``, to the search image: float64 (2, 3)."""
        across, down = full.width / size[0] / self._scale[0], full.height / size[1] / self._scale[1]
        # Pixel centers are half a pixel in, at either scale.
        x, y = full.x / self._scale[0] + 0.5 * across - 0.5, full.y / self._scale[1] + 0.5 * down - 0.5
        return np.array([[across, 0, x], [0, down, y]])

    def _mask(self, pieces: Sequence[Piece], full: Box, size: tuple[int, int]) -> Image:
        """The pieces' own ink, and a rim of a search pixel for its soft edge: uint8 ``size``, 0 or 255."""
        mask = np.zeros((size[1], size[0]), np.uint8)
        across, down = size[0] / full.width, size[1] / full.height
        factor = np.array([across * self._scale[0], down * self._scale[1]])
        # Outlines run through pixel centers, half a pixel in; four fractional bits keep them exact.
        shift = 0.5 * factor - (full.x * across + 0.5, full.y * down + 0.5)
        outlines = [np.rint(p.outline * (16 * factor) + 16 * shift).astype(np.int32) for p in pieces]
        rim = max(round(3 * float(factor.max())), 2)
        cv2.fillPoly(mask, outlines, 255, cv2.LINE_8, 4)
        cv2.polylines(mask, outlines, True, 255, rim, cv2.LINE_8, 4)
        return mask


def _alone(pieces: Sequence[Piece]) -> set[int]:
    """Of pieces as they were found, the outlines' identities where no other ink reaches into the box or its margin."""
    boxes = np.array([(p.box.x, p.box.y, p.box.right, p.box.bottom) for p in pieces], np.int32).reshape(-1, 4)
    left, top, right, bottom = boxes.T
    near = (left < right[:, None] + 2) & (right > left[:, None] - 2)
    near &= (top < bottom[:, None] + 2) & (bottom > top[:, None] - 2)
    return {id(pieces[i].outline) for i in np.flatnonzero(near.sum(axis=1) == 1).tolist()}


def _peak(ink: Image) -> float:
    """Strength of full ink: the mean of what is at least half of the strongest."""
    strongest = cv2.minMaxLoc(ink)[1]
    return cv2.mean(ink, cv2.threshold(ink, math.ceil(strongest / 2) - 1, 255, cv2.THRESH_BINARY)[1])[0]
