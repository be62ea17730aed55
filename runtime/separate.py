"""Take apart connected ink that is more than one digit: digits on a ruling, digits that touch.

Two steps. By strength: ink over a printed ruling, a grid or the rim of a shadow is stronger than that; a second
threshold, within the piece, leaves the ink. By digits: ink so wide or so tall that it may be several digits is shown to
a small network (``spotter``), which says which of it belongs to which digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from runtime.ink import Ink, Piece, pieces_of
from runtime.spotter import spot
from runtime.values import Box, Image


@dataclass(frozen=True, slots=True)
class SeparateSettings:
    """When ink is taken apart. Lengths are in pixels of the search image.

    Attributes:
        wide: width from which ink may be two digits, as a share of its height.
        loose: width from which it cannot be one.
        weak: least share of loose ink that must be of a weaker kind for it to hold two kinds of ink.
        half: the same of ink that may be one digit.
        tall: height from which ink may be of two rows, as a share of the usual height.
        most: area from which ink is no row of digits, nor rows, in squares of a digit's height.
    """

    wide: float = 0.75
    loose: float = 1.5
    weak: float = 0.1
    half: float = 0.6
    tall: float = 1.5
    most: float = 48.0


class _Region(NamedTuple):
    """Ink of one polarity in a part of the picture: uint8 mask, not 0 where ink is, and where its corner is."""

    mask: Image
    x: int
    y: int

    def of(self, box: Box) -> Image:
        """The mask over a box."""
        return self.mask[box.y - self.y : box.bottom - self.y, box.x - self.x : box.right - self.x]


class Part(NamedTuple):
    """Ink that may be a digit among others: its pieces, the atoms that they are, and how much of all the ink, 0–1."""

    pieces: tuple[Piece, ...]
    atoms: frozenset[int]
    held: float


class Apart(NamedTuple):
    """What a piece was taken apart into: what may be digits, and how many atoms they share; none where it is whole."""

    digits: tuple[Part, ...] = ()
    atoms: int = 1


class Separation:
    """A picture's ink, each piece of one strength; what may be more than one digit is taken apart when asked to.

    Attributes:
        pieces: those found, or their stronger ink; no taller than a digit.
        usual: about how tall digits are; the pieces' usual height, until somebody knows better.
    """

    def __init__(self, ink: Ink, heights: tuple[float, float], settings: SeparateSettings) -> None:
        """Part ink by strength.

        Args:
            ink: of the picture.
            heights: least and greatest of a digit.
            settings: when to take it apart.
        """
        self._ink, self._settings, self._least = ink, settings, heights[0]
        regions = {polarity: _Region(mask, 0, 0) for polarity, mask in ink.masks.items()}
        found = [
            part
            for piece in ink.pieces
            if max(piece.box.width, piece.box.height) >= _SMALLEST
            for part in _by_strength(ink, piece, regions[piece.polarity], heights, settings, _STRENGTHS)
        ]
        self.usual = _usual([piece.box.height for piece, _ in found if piece.box.height >= heights[0]])
        self._regions = {piece: region for piece, region in found if piece.box.height <= heights[1]}
        self.pieces = list(self._regions)

    def doubtful(self, piece: Piece) -> bool:
        """Whether one of the pieces may be more than one digit."""
        box, settings = piece.box, self._settings
        wide = box.width >= settings.wide * box.height
        tall = box.height >= settings.tall * self.usual
        crowded = box.area > settings.most * self.digit_height(piece) ** 2
        return box.height >= self._least and (wide or tall) and not crowded

    def digit_height(self, piece: Piece) -> float:
        """About how tall the digits are that the piece may hold."""
        return self.usual if piece.box.height >= self._settings.tall * self.usual else piece.box.height

    def ink_of(self, piece: Piece) -> tuple[Image, Image]:
        """The piece's own pixels, 0 or 255, and the strength of their ink: uint8 (box height, box width) each."""
        return _own(self._ink, piece, self._regions[piece])

    def apart(self, piece: Piece) -> Apart:
        """Take one of the pieces apart by digits."""
        if not self.doubtful(piece):
            return Apart()
        own, strength = self.ink_of(piece)
        height = self.digit_height(piece)
        ways = spot(strength, own, height)
        apart = _by_cores(strength, own, height)
        if apart is not None:
            ways.append(apart)
        if not ways:
            return Apart()
        sizes, members = _atoms(ways, own)
        total, digits = int(sizes.sum()), []
        for way, number, atoms in _different(sizes, members):
            mask = cv2.compare(ways[way], number, cv2.CMP_EQ)  # type: ignore[call-overload]
            pieces = pieces_of(mask, piece.polarity, (piece.box.x, piece.box.y))
            if pieces:
                held = sizes[atoms].sum() / total
                digits.append(Part(tuple(pieces), frozenset(np.flatnonzero(atoms).tolist()), float(held)))
        return Apart(tuple(digits), len(sizes)) if digits else Apart()


def _by_cores(strength: Image, own: Image, digit_height: float) -> npt.NDArray[np.int8] | None:
    """Share ink out among its cores, what is at least three fifths as strong as the strongest near it.

    Blur makes strokes wider, and what is between them ink, but weaker ink.

    Args:
        strength: uint8 (height, width), how strong the ink is, 0 where there is none.
        own: uint8 (height, width), not 0 where ink is.
        digit_height: of the digits that it may hold, about.

    Returns:
        As one of ``spot``'s ways; None where no core is tall enough for a digit, or there are too many.
    """
    side = max(round(_CORE_NEAR * digit_height) | 1, 3)
    strongest = cv2.dilate(strength, np.ones((side, side), np.uint8))
    cores = cv2.bitwise_and(cv2.compare(strength, cv2.convertScaleAbs(strongest, alpha=_CORE), cv2.CMP_GT), own)
    count, core_of, stats, _ = cv2.connectedComponentsWithStats(cores)
    tall = [i for i in range(1, count) if stats[i, cv2.CC_STAT_HEIGHT] >= _CORE_TALL * digit_height]
    if not 0 < len(tall) < _CODES - 1:
        return None
    number = np.full(count, -1, np.int8)
    number[tall] = np.arange(len(tall))
    beyond = cv2.compare(number[core_of], -1, cv2.CMP_EQ)  # type: ignore[call-overload]
    distance, nearest = cv2.distanceTransformWithLabels(beyond, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP)
    number_of = np.full(nearest.max() + 1, -1, np.int8)
    inside = beyond == 0
    number_of[nearest[inside]] = number[core_of[inside]]
    return np.where((own > 0) & (distance <= _CORE_RIM), number_of[nearest], np.int8(-1))


_CORE, _CORE_NEAR = 0.6, 0.8
"""Share of the strongest ink near it from which ink is a core's, and how far that is, in digit heights."""

_CORE_TALL, _CORE_RIM = 0.5, 3.0
"""Least height of a core, in digit heights, and how far around it ink is its own, in pixels."""


def _atoms(ways: list[npt.NDArray[np.int8]], own: Image) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.bool_]]]:
    """Ink that every way gives to one digit, or to none: the atoms' pixels, from left to right.

    Returns:
        int64 (n,), how many pixels each has; and for each way bool (digits, n), which atoms each digit has.
    """
    ys, xs = np.nonzero(own)
    code = np.zeros(len(xs), np.int64)
    for way in ways:
        code = code * _CODES + way[ys, xs] + 1
    codes, atom_of, sizes = np.unique(code, return_inverse=True, return_counts=True)
    # What excludes each other is near in number, and the recognizer finds covers sooner.
    order = np.argsort(np.bincount(atom_of, xs) / sizes)
    codes, sizes = codes[order], sizes[order]
    numbers = [codes // _CODES**place % _CODES - 1 for place in reversed(range(len(ways)))]
    return sizes, [np.arange(number.max() + 1)[:, None] == number for number in numbers]


def _different(
    sizes: npt.NDArray[np.int64], members: list[npt.NDArray[np.bool_]]
) -> list[tuple[int, int, npt.NDArray[np.bool_]]]:
    """Ways, digits and their atoms, but for what is the whole or another once more, give or take a little."""
    chosen = [(way, number) for way, digits in enumerate(members) for number in range(len(digits))]
    atoms = np.concatenate(members)
    shared = (atoms * sizes) @ atoms.T
    own = shared.diagonal()
    alike = shared >= (1 - _LITTLE) * (own[:, None] + own - shared)
    new = (own > 0) & (own < (1 - _LITTLE) * sizes.sum()) & ~np.tril(alike, -1).any(axis=1)
    return [(*chosen[i], atoms[i]) for i in np.flatnonzero(new).tolist()]


_CODES = 128
"""More than there are digits in one piece of ink, and none."""

_LITTLE = 0.1
"""Share of ink that makes no difference."""

_SMALLEST = 3
"""Longest side of the least piece that is looked at."""

_STRENGTHS = 3
"""How often ink may be of two strengths: a ruling, the rim of a shadow, a pen."""


def _usual(heights: list[int]) -> float:
    """The height that as much ink is above as under: a speck counts for less than a digit."""
    ordered = np.sort(np.array(heights, np.float64))
    return float(ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]) if len(ordered) else np.inf


def _by_strength(
    ink: Ink, piece: Piece, region: _Region, heights: tuple[float, float], settings: SeparateSettings, depth: int
) -> list[tuple[Piece, _Region]]:
    """The piece, or its stronger ink; each with the ink that it is connected ink of."""
    box = piece.box
    shortest, tallest = heights
    if box.height < shortest or (box.width < settings.wide * box.height and box.height <= tallest):
        return [(piece, region)]
    loose = box.width > settings.loose * box.height or box.height > tallest
    strong = _stronger(ink, piece, region, settings.weak if loose else settings.half) if depth else None
    if strong is None:
        return [(piece, region)]
    parts = pieces_of(strong.mask, piece.polarity, (strong.x, strong.y))
    return [found for part in parts for found in _by_strength(ink, part, strong, heights, settings, depth - 1)]


def _stronger(ink: Ink, piece: Piece, region: _Region, least: float) -> _Region | None:
    """The piece's stronger ink, where it has ink of two strengths."""
    own, strength = _own(ink, piece, region)
    level = _between(cv2.calcHist([strength], [0], own, [256], [0, 256]).ravel())
    strong = cv2.compare(strength, level, cv2.CMP_GT)  # type: ignore[call-overload]
    # The soft rim of a stroke is weak as well, but near what is strong.
    rim = cv2.dilate(strong, np.ones((5, 5), np.uint8))
    far = cv2.countNonZero(cv2.bitwise_and(own, cv2.bitwise_not(rim)))
    return _Region(strong, piece.box.x, piece.box.y) if far >= least * cv2.countNonZero(own) else None


def _between(histogram: npt.NDArray[Any]) -> float:
    """The level that parts values into the two kinds that differ most (Otsu, 1979)."""
    weight = np.cumsum(histogram)
    total = np.cumsum(histogram * np.arange(len(histogram)))
    mean = total[-1] / weight[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (mean * weight - total) ** 2 / (weight * (weight[-1] - weight))
    return float(np.nanargmax(np.where(np.isfinite(spread), spread, 0.0)))


def _own(ink: Ink, piece: Piece, region: _Region) -> tuple[Image, Image]:
    """The piece's own pixels, 0 or 255, and the strength of their ink, in its box: uint8 (height, width) each."""
    mask = region.of(piece.box).copy()
    x, y = piece.outline[0, 0] - (piece.box.x, piece.box.y)
    cv2.floodFill(mask, None, (int(x), int(y)), 128, flags=8)
    own = cv2.compare(mask, 128, cv2.CMP_EQ)  # type: ignore[call-overload]
    return own, cv2.bitwise_and(ink.strength(piece.box, piece.polarity), own)
