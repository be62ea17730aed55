"""Where ink is: the paper's brightness, what stands out from it, and the connected pieces of that.

Paper is the median over a wide window on a coarse map, which strokes are too thin to move; but nothing that is wider
than a stroke is ink, so that paper also is what closing (for light ink, opening) leaves, which follows the edge of a
shadow. On the bright side of that edge most of the window may be shadow: paper there is what closing leaves nearby,
where that is as much brighter as ink would be darker. Ink is what is darker, or lighter, than its paper by more than
noise explains; both polarities at once. Printed rulings are taken off the picture before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.rulings import Rulings, find_rulings
from runtime.values import Box, Image, Polarity


@dataclass(frozen=True, slots=True)
class InkSettings:
    """What counts as ink. Lengths are in pixels of the picture that is searched.

    Attributes:
        cell: side of a cell of the paper map.
        window: side of the paper median's window, in pairs of cells; must be odd. A stroke wider than about a third of
            it is taken for paper.
        stroke: width of the widest stroke, in cells; must be odd.
        soften: noise from which the picture is blurred before ink is looked for, in gray levels.
        contrast: least difference of ink from its paper, as a share of the paper's brightness.
        floor: least difference of ink from its paper, in gray levels.
        noise: least difference of ink from its paper, in standard deviations of the sensor's noise.
    """

    cell: int = 4
    window: int = 21
    stroke: int = 11
    soften: float = 2.5
    contrast: float = 0.08
    floor: int = 8
    noise: float = 2.6


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Connected ink.

    Attributes:
        outline: int32 (n, 1, 2), x and y of its outer contour.
        box: around the outline.
        polarity: the ink against its paper.
    """

    outline: npt.NDArray[Any]
    box: Box
    polarity: Polarity


class Ink:
    """What is ink in one picture.

    Attributes:
        luma: uint8 (height, width), the picture without rulings; softened where the sensor is noisy.
        papers: for each polarity uint8 (⌈height/cell⌉, ⌈width/cell⌉), brightness of the paper under each cell.
        noise: standard deviation of the sensor's noise, in gray levels.
        masks: for each polarity uint8 (height, width), 255 where ink is, else 0.
        pieces: connected ink of either polarity, specks included.
        rulings: those taken off the picture; None where there were none.
    """

    def __init__(self, luma: Image, settings: InkSettings) -> None:
        """Find it: ``luma`` is uint8 (height, width) of any size."""
        self.settings, self.noise = settings, _noise(luma)
        rest = self.noise
        if rest > settings.soften:
            luma = cv2.blur(luma, (3, 3))
            rest /= 2  # a sensor's noise hangs together; a third is what independent pixels would have
        self.rulings = find_rulings(luma, rest)
        if self.rulings is not None:
            luma = self.rulings.taken_off(luma)
        self.luma = luma
        self.papers = _papers(luma, settings)
        self.masks: dict[Polarity, Image] = {}
        self.pieces: list[Piece] = []
        margin = np.maximum(_LEVELS * settings.contrast, max(settings.floor, settings.noise * rest))
        for polarity, paper in self.papers.items():
            limits = _LEVELS - margin if polarity == "dark" else _LEVELS + margin
            bound = self._spread(cv2.LUT(paper, np.clip(limits, 0, 255).astype(np.uint8)))
            self.masks[polarity] = cv2.compare(luma, bound, cv2.CMP_LT if polarity == "dark" else cv2.CMP_GT)
            found = pieces_of(self.masks[polarity], polarity)
            if self.rulings is not None and self.rulings.polarity == polarity:
                found = [piece for piece in found if not self._of_a_ruling(piece, self.rulings)]
            self.pieces += found

    def _of_a_ruling(self, piece: Piece, rulings: Rulings) -> bool:
        """Whether a bar rather is a bit of a ruling that was not found, a grid's under a sheet: as thin and as dark."""
        box = piece.box
        thin, long = sorted((box.width, box.height))
        if thin > _THIN or long < _BAR * thin:
            return False
        inside = self.masks[piece.polarity][box.y : box.bottom, box.x : box.right]
        mean = cv2.mean(self.strength(box, piece.polarity), inside)[0]
        level = self.paper_level(box, piece.polarity)
        share = mean / max(level if piece.polarity == "dark" else 255 - level, 1.0)
        return _LEAST_ALIKE * rulings.share < share < _MOST_ALIKE * rulings.share

    def paper_level(self, box: Box, polarity: Polarity) -> float:
        """Brightness of the paper around ink of a polarity, over a box."""
        return cv2.mean(self._cells(box, polarity))[0]

    def strength(self, box: Box, polarity: Polarity) -> Image:
        """How far the ink in a box is from its paper: uint8 (box height, box width)."""
        cell = self.settings.cell
        cells = self._cells(box, polarity)
        paper = cv2.resize(cells, (cells.shape[1] * cell, cells.shape[0] * cell), interpolation=cv2.INTER_LINEAR)
        x, y = box.x % cell, box.y % cell
        paper = paper[y : y + box.height, x : x + box.width]
        patch = self.luma[box.y : box.bottom, box.x : box.right]
        return cv2.subtract(paper, patch) if polarity == "dark" else cv2.subtract(patch, paper)

    def _cells(self, box: Box, polarity: Polarity) -> Image:
        cell = self.settings.cell
        return self.papers[polarity][box.y // cell : -(-box.bottom // cell), box.x // cell : -(-box.right // cell)]

    def _spread(self, cells: Image) -> Image:
        """A map of cells over the whole picture."""
        return cv2.resize(cells, (self.luma.shape[1], self.luma.shape[0]), interpolation=cv2.INTER_LINEAR)


_LEVELS = np.arange(256, dtype=np.float32)

_THIN, _BAR = 6, 3
"""Greatest width of a bar, in pixels, and least length, in widths."""

_LEAST_ALIKE, _MOST_ALIKE = 0.5, 1.3
"""Darkness of a bit of a ruling, in those of the rulings found."""


def pieces_of(mask: Image, polarity: Polarity, offset: tuple[int, int] = (0, 0)) -> list[Piece]:
    """The connected pieces of a mask.

    Args:
        mask: uint8 (height, width), not 0 where ink is.
        polarity: of the ink.
        offset: x and y of the mask's corner in the picture.
    """
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=offset)
    if not outlines:
        return []
    # In a two-level tree the contours without a parent are the outer ones; the others are holes.
    return [
        Piece(outline, Box(*cv2.boundingRect(outline)), polarity)
        for outline, parent in zip(outlines, tree[0, :, 3], strict=True)
        if parent < 0 and len(outline) > 2
    ]


def _papers(luma: Image, settings: InkSettings) -> dict[Polarity, Image]:
    """The paper's brightness under each cell, as dark and as light ink see it: uint8 (⌈height/cell⌉, ⌈width/cell⌉)."""
    height, width = luma.shape
    cells = max(-(-width // settings.cell), 1), max(-(-height // settings.cell), 1)
    fine = cv2.resize(luma, cells, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(fine, (-(-cells[0] // 2), -(-cells[1] // 2)), interpolation=cv2.INTER_AREA)
    # A window larger than the map would count the replicated border, not the paper.
    window = min(settings.window, (min(coarse.shape) - 1) | 1)
    if window >= 3:
        coarse = cv2.medianBlur(coarse, window)
    median = cv2.resize(coarse, cells, interpolation=cv2.INTER_LINEAR)
    block = np.ones((settings.stroke, settings.stroke), np.uint8)
    closed, opened = (cv2.morphologyEx(fine, how, block) for how in (cv2.MORPH_CLOSE, cv2.MORPH_OPEN))
    dark = _beside_shadows(median, fine, closed, settings)
    return {"dark": cv2.min(dark, closed), "light": cv2.max(median, opened)}


def _beside_shadows(median: Image, fine: Image, closed: Image, settings: InkSettings) -> Image:
    """The median; on the bright side of a shadow's edge, where most of its window is shadow, the paper there."""
    brighter = cv2.convertScaleAbs(median, alpha=1 + settings.contrast)
    if cv2.countNonZero(cv2.compare(closed, brighter, cv2.CMP_GT)) <= settings.stroke**2 // 2:
        return median  # a median is brighter only where half of its window is
    near = cv2.medianBlur(closed, settings.stroke)
    lit = cv2.compare(near, brighter, cv2.CMP_GT)
    # Closing also fills what lies between strokes of light ink; most of what is nearby is board there.
    most = cv2.medianBlur(fine, settings.stroke)
    lit = cv2.bitwise_and(lit, cv2.compare(most, cv2.addWeighted(median, 0.5, near, 0.5, 0), cv2.CMP_GT))
    # And no stroke, of light ink either, is as wide as a block.
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((settings.stroke, settings.stroke), np.uint8))
    return cv2.copyTo(near, lit, median.copy())


def _noise(luma: Image) -> float:
    """Standard deviation of the sensor's noise: from differences of neighbors, where most are flat paper."""
    rows = luma[::4]
    if rows.shape[1] < 3:
        return 0.0
    difference = cv2.absdiff(rows[:, 1:], rows[:, :-1])
    histogram = cv2.calcHist([difference], [0], None, [32], [0, 32]).ravel().cumsum()
    middle = int(np.searchsorted(histogram, difference.size / 2))
    before = float(histogram[middle - 1]) if middle else 0.0
    if middle >= 32:
        return 32.0
    # Median of |difference|, interpolated within its bin; a difference of two has √2 of the deviation, 0.6745 makes a
    # median of absolute values a deviation.
    share = (difference.size / 2 - before) / max(float(histogram[middle]) - before, 1.0)
    return max(middle - 0.5 + share, 0.0) / (0.6745 * 2**0.5)
