"""Take apart connected ink that is more than one digit: digits on a ruling, digits that touch.

Three cuts. By strength: ink over a printed ruling, a grid or the rim of a shadow is stronger than that; a second
threshold, within the piece, leaves the ink. By rows: ink much taller than what else is in the picture may be digits of
several lines; it is parted where a line from left to right crosses the least ink. By necks: where a line from top to
bottom crosses the least ink, two digits may touch; between two such lines lies an atom, and each run of neighboring
atoms may be a digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from runtime.ink import Ink, Piece, pieces_of
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
        row: least height of a row, likewise.
        neck: greatest ink that a line which parts two digits crosses, as a share of the mean over all columns.
        waist: greatest height from the first to the last ink on such a line, as a share of the whole's; one of both
            is enough.
        cuts: such lines that are tried, for each height of width.
        most: the same, in all; ink wider than this in heights is no row of digits.
    """

    wide: float = 0.75
    loose: float = 1.5
    weak: float = 0.1
    half: float = 0.6
    tall: float = 1.5
    row: float = 0.6
    neck: float = 0.95
    waist: float = 0.75
    cuts: float = 4.0
    most: int = 12


class _Region(NamedTuple):
    """Ink of one polarity in a part of the picture: uint8 mask, not 0 where ink is, and where its corner is."""

    mask: Image
    x: int
    y: int

    def of(self, box: Box) -> Image:
        """The mask over a box."""
        return self.mask[box.y - self.y : box.bottom - self.y, box.x - self.x : box.right - self.x]


class Run(NamedTuple):
    """Some atoms that may be a digit, by index, and all those of the connected ink they were cut from."""

    atoms: frozenset[int]
    whole: frozenset[int]


class Apart(NamedTuple):
    """What a piece was taken apart into: its atoms, and runs of them that may be a digit; nothing where it is whole."""

    atoms: tuple[Piece, ...] = ()
    runs: tuple[Run, ...] = ()


class Separation:
    """A picture's ink, each piece of one strength; what may be more than one digit is taken apart when asked to.

    Attributes:
        pieces: those found, or their stronger ink; no taller than a digit.
    """

    def __init__(self, ink: Ink, heights: tuple[float, float], settings: SeparateSettings) -> None:
        """Part ink by strength.

        Args:
            ink: of the picture.
            heights: least and greatest of a digit.
            settings: when to take it apart.
        """
        self._ink, self._settings = ink, settings
        regions = {polarity: _Region(mask, 0, 0) for polarity, mask in ink.masks.items()}
        found = [
            part
            for piece in ink.pieces
            if max(piece.box.width, piece.box.height) >= _SMALLEST
            for part in _by_strength(ink, piece, regions[piece.polarity], heights, settings, _STRENGTHS)
        ]
        two_rows = settings.tall * _usual([piece.box.height for piece, _ in found if piece.box.height >= heights[0]])
        self._heights = heights[0], two_rows
        self._regions = {piece: region for piece, region in found if piece.box.height <= heights[1]}
        self.pieces = list(self._regions)

    def apart(self, piece: Piece) -> Apart:
        """Take one of the pieces apart, by rows and by necks."""
        box, region, (least, two_rows) = piece.box, self._regions[piece], self._heights
        if box.height < least or box.width > self._settings.most * box.height:
            return Apart()
        rows = [piece]
        if box.height >= two_rows:
            rows = _rows(self._ink, piece, region, (least, two_rows), self._settings, _MOST_ROWS)
        if len(rows) < 2:
            return self._by_necks(piece, region)
        atoms: list[Piece] = []
        runs: list[Run] = []
        for part in rows:
            inner = self._by_necks(part, region) if part.box.height >= least else Apart()
            own = inner.atoms or (part,)
            whole = frozenset(range(len(atoms), len(atoms) + len(own)))
            runs += [Run(whole, whole)]
            runs += [Run(frozenset(n + len(atoms) for n in run.atoms), whole) for run in inner.runs]
            atoms += own
        return Apart(tuple(atoms), tuple(runs))

    def _by_necks(self, piece: Piece, region: _Region) -> Apart:
        wide = piece.box.width >= self._settings.wide * piece.box.height
        return _touching(self._ink, piece, region, self._settings) if wide else Apart()


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


_MOST_ROWS = 3
"""How often ink is halved into rows."""


def _rows(
    ink: Ink, piece: Piece, region: _Region, heights: tuple[float, float], settings: SeparateSettings, depth: int
) -> list[Piece]:
    """The piece cut from left to right where that crosses the least ink, and again while parts are as tall."""
    box = piece.box
    own, strength = _own(ink, piece, region)
    scale = _ROWS / (heights[1] / settings.tall)
    size = max(round(box.width * scale), 4), max(round(box.height * scale), 4)
    small = cv2.resize(strength, size, interpolation=cv2.INTER_AREA).T
    edge = round(settings.row * _ROWS)
    best = None
    for slant in _SLOPES:
        crossing = cv2.reduce(_sheared(small, slant), 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0][edge:-edge]
        if len(crossing) and (best is None or crossing.min() < best[0]):
            # Of a run of such places the middle.
            best = crossing.min(), float(np.flatnonzero(crossing == crossing.min()).mean()) + edge, slant
    if best is None:
        return [piece]
    _, at, slant = best
    y, reach = (at + 0.5) / scale, slant * box.width / 2
    cv2.line(own, (0, round(y + reach)), (box.width - 1, round(y - reach)), 0, 1, cv2.LINE_4)
    parts = [part for part in pieces_of(own, piece.polarity, (box.x, box.y)) if part.box.area > 2]
    return [
        found
        for part in parts
        for found in (
            _rows(ink, part, region, heights, settings, depth - 1)
            if part.box.height >= heights[1] and depth
            else [part]
        )
    ]


_SLOPES = (-0.3, -0.15, 0.0, 0.15, 0.3)
"""Of the lines that part rows, upward for each pixel to the right."""


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


_SLANTS = (-0.35, 0.0, 0.35, 0.7)
"""Of the lines that may part digits, to the right for each pixel up: writing leans to the right."""

_ROWS = 32
"""Height to which ink is shrunk for looking for necks."""

_FAR, _CLOSE = 6, 3
"""Distances between necks of one slant, in those rows."""

_NARROWEST = 0.15
"""Width of the narrowest digit, as a share of its height."""

_WIDEST = 1.8
"""Width of the widest."""


def _touching(ink: Ink, piece: Piece, region: _Region, settings: SeparateSettings) -> Apart:
    """The piece's atoms, and the runs of them that may be a digit, where it has necks."""
    box = piece.box
    parted, strength = _own(ink, piece, region)
    necks = _necks(strength, settings)
    for x, slant in necks:
        reach = slant * box.height / 2
        # A line of four neighbors parts even what hangs together by corners.
        cv2.line(parted, (round(x + reach), 0), (round(x - reach), box.height - 1), 0, 1, cv2.LINE_4)
    atoms = [atom for atom in pieces_of(parted, piece.polarity, (box.x, box.y)) if atom.box.area > 2] if necks else []
    if len(atoms) < 2:
        return Apart()
    # An atom lies on one side of each line, and so does its first pixel.
    x, y = np.array([atom.outline[0, 0] for atom in atoms]).T - np.array([[box.x], [box.y]])
    beyond = np.array([x > at - slant * (y - box.height / 2) for at, slant in necks])
    starts = [(0.0, np.ones(len(atoms), bool)), *((at, right) for (at, _), right in zip(necks, beyond, strict=True))]
    stops = [*((at, ~right) for (at, _), right in zip(necks, beyond, strict=True)), (float(box.width), starts[0][1])]
    whole = frozenset(range(len(atoms)))
    runs = [
        Run(frozenset(np.flatnonzero(left & right).tolist()), whole)
        for i, (start, left) in enumerate(starts)
        for stop, right in stops[i:]
        if _NARROWEST * box.height <= stop - start <= _WIDEST * box.height
    ]
    return Apart(tuple(atoms), tuple(run for run in dict.fromkeys(runs) if 0 < len(run.atoms) < len(atoms)))


def _own(ink: Ink, piece: Piece, region: _Region) -> tuple[Image, Image]:
    """The piece's own pixels, 0 or 255, and the strength of their ink, in its box: uint8 (height, width) each."""
    mask = region.of(piece.box).copy()
    x, y = piece.outline[0, 0] - (piece.box.x, piece.box.y)
    cv2.floodFill(mask, None, (int(x), int(y)), 128, flags=8)
    own = cv2.compare(mask, 128, cv2.CMP_EQ)  # type: ignore[call-overload]
    return own, cv2.bitwise_and(ink.strength(piece.box, piece.polarity), own)


def _sheared(picture: Image, slant: float) -> Image:
    """The picture with lines of this slant upright; they stay where they are at half the height."""
    if not slant:
        return picture
    height, width = picture.shape
    shear = np.array([[1, slant, -slant * height / 2], [0, 1, 0]], np.float32)
    return cv2.warpAffine(picture, shear, (width, height), flags=cv2.INTER_LINEAR)


def _necks(strength: Image, settings: SeparateSettings) -> list[tuple[float, float]]:
    """Lines from top to bottom that cross little ink: x at half the height, and slant, from left to right."""
    height, width = strength.shape
    scale = _ROWS / height
    columns = max(round(width * scale), 4)
    small = cv2.resize(strength, (columns, _ROWS), interpolation=cv2.INTER_AREA)
    edge = round(_NARROWEST * _ROWS)
    usual = float(small.sum()) / columns
    faint = float(small.max()) / 4
    lines: list[tuple[float, int, float]] = []
    for slant in _SLANTS:
        sheared = _sheared(small, slant)
        crossing = cv2.reduce(sheared, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0] / usual
        seen = sheared > faint
        tall = (_ROWS - seen.argmax(axis=0) - seen[::-1].argmax(axis=0)) * seen.any(axis=0) / np.float32(_ROWS)
        for cost, limit in ((crossing, settings.neck), (tall, settings.waist)):
            lines += [(float(cost[x]), x, slant) for x in _valleys(cost, limit) if edge <= x < columns - edge]
    most = min(round(settings.cuts * width / height), settings.most)
    kept: list[tuple[int, float]] = []
    for reach in (_FAR, _CLOSE):  # everywhere first, then more where ink is least
        for _, x, slant in sorted(lines):
            if len(kept) < most and all(abs(x - at) > reach or abs(slant - other) > 0.5 for at, other in kept):
                kept.append((x, slant))
    return sorted(((x + 0.5) / scale, slant) for x, slant in kept)


def _valleys(cost: npt.NDArray[np.float32], limit: float) -> list[int]:
    """Where values (n,) are least of the five around and under a limit; of a run of such places its middle."""
    least = cv2.erode(cost[None], np.ones((1, 5), np.uint8))[0]
    places = np.flatnonzero((cost == least) & (cost <= limit)).tolist()
    found = []
    first = 0
    for i in range(len(places)):
        if i + 1 == len(places) or places[i + 1] > places[i] + 1:
            found.append(places[(first + i + 1) // 2])
            first = i + 1
    return found
