"""Take apart connected ink that is more than one digit: digits on a ruling, digits that touch.

Two cuts. By strength: ink over a printed ruling, a grid or the rim of a shadow is stronger than that; a second
threshold, within the piece, leaves the ink. By necks: where a line from top to bottom crosses the least ink, two digits
may touch; between two such lines lies an atom, and each run of neighboring atoms may be a digit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.ink import Ink, Piece, pieces_of
from runtime.values import Image


@dataclass(frozen=True, slots=True)
class SeparateSettings:
    """When ink is taken apart. Lengths are in pixels of the search image.

    Attributes:
        wide: width from which ink may be two digits, as a share of its height.
        loose: width from which it cannot be one.
        weak: least share of loose ink that must be of a weaker kind for it to hold two kinds of ink.
        half: the same of ink that may be one digit.
        neck: greatest ink that a line which parts two digits crosses, as a share of the mean over all columns.
        waist: greatest height from the first to the last ink on such a line, as a share of the whole's; one of both
            is enough.
        cuts: such lines that are tried, for each height of width.
        most: the same, in all; ink wider than this in heights is no row of digits.
    """

    wide: float = 0.75
    loose: float = 1.5
    weak: float = 0.04
    half: float = 0.4
    neck: float = 0.95
    waist: float = 0.75
    cuts: float = 4.0
    most: int = 12


def separate(
    ink: Ink, piece: Piece, heights: tuple[float, float], settings: SeparateSettings, depth: int = 3
) -> list[Piece]:
    """Take a piece apart where it may be more than one digit.

    Args:
        ink: where it was found.
        piece: what to take apart.
        heights: least and greatest of a digit.
        settings: when to.
        depth: how often ink may be of two strengths.

    Returns:
        The piece itself, or its stronger ink; with atoms, where digits may touch.
    """
    box = piece.box
    shortest, tallest = heights
    if box.height < shortest or (box.width < settings.wide * box.height and box.height <= tallest):
        return [piece]
    loose = box.width > settings.loose * box.height or box.height > tallest
    stronger = _stronger(ink, piece, settings.weak if loose else settings.half) if depth else []
    if stronger:
        return [part for whole in stronger for part in separate(ink, whole, heights, settings, depth - 1)]
    if box.height > tallest or box.width > settings.most * box.height:
        return [piece]
    return [_touching(ink, piece, settings)]


def _connected(ink: Ink, piece: Piece) -> Image:
    """The piece's own pixels in its box: uint8, 0 or 255."""
    box = piece.box
    mask = ink.masks[piece.polarity][box.y : box.bottom, box.x : box.right].copy()
    x, y = piece.outline[0, 0] - (box.x, box.y)
    cv2.floodFill(mask, None, (int(x), int(y)), 128, flags=8)
    return cv2.compare(mask, 128, cv2.CMP_EQ)  # type: ignore[call-overload]


def _stronger(ink: Ink, piece: Piece, least: float) -> list[Piece]:
    """The piece's stronger ink, where it has ink of two strengths; else nothing."""
    own = _connected(ink, piece)
    strength = ink.strength(piece.box, piece.polarity)
    level = _between(cv2.calcHist([strength], [0], own, [256], [0, 256]).ravel())
    strong = cv2.bitwise_and(cv2.compare(strength, level, cv2.CMP_GT), own)  # type: ignore[call-overload]
    # The soft rim of a stroke is weak as well, but near what is strong.
    rim = cv2.dilate(strong, np.ones((5, 5), np.uint8))
    far = cv2.countNonZero(cv2.bitwise_and(own, cv2.bitwise_not(rim)))
    if far < least * cv2.countNonZero(own):
        return []
    return pieces_of(strong, piece.polarity, (piece.box.x, piece.box.y))


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


def _touching(ink: Ink, piece: Piece, settings: SeparateSettings) -> Piece:
    """The piece with its atoms, and the runs of them that may be a digit; as it is where it has no necks."""
    box = piece.box
    own = np.zeros((box.height, box.width), np.uint8)
    cv2.fillPoly(own, [piece.outline], 255, offset=(-box.x, -box.y))
    strength = cv2.bitwise_and(ink.strength(box, piece.polarity), own)
    necks = _necks(strength, settings)
    parted = cv2.bitwise_and(own, ink.masks[piece.polarity][box.y : box.bottom, box.x : box.right])
    for x, slant in necks:
        reach = slant * box.height / 2
        # A line of four neighbors parts even what hangs together by corners.
        cv2.line(parted, (round(x + reach), 0), (round(x - reach), box.height - 1), 0, 1, cv2.LINE_4)
    atoms = [atom for atom in pieces_of(parted, piece.polarity, (box.x, box.y)) if atom.box.area > 2] if necks else []
    if len(atoms) < 2:
        return piece
    # An atom lies on one side of each line, and so does its first pixel.
    x, y = np.array([atom.outline[0, 0] for atom in atoms]).T - np.array([[box.x], [box.y]])
    beyond = np.array([x > at - slant * (y - box.height / 2) for at, slant in necks])
    starts = [(0.0, np.ones(len(atoms), bool)), *((at, right) for (at, _), right in zip(necks, beyond, strict=True))]
    stops = [*((at, ~right) for (at, _), right in zip(necks, beyond, strict=True)), (float(box.width), starts[0][1])]
    runs = [
        frozenset(np.flatnonzero(left & right).tolist())
        for i, (start, left) in enumerate(starts)
        for stop, right in stops[i:]
        if _NARROWEST * box.height <= stop - start <= _WIDEST * box.height
    ]
    return replace(
        piece, atoms=tuple(atoms), runs=tuple(run for run in dict.fromkeys(runs) if 0 < len(run) < len(atoms))
    )


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
        sheared = small
        if slant:
            shear = np.array([[1, slant, -slant * _ROWS / 2], [0, 1, 0]], np.float32)
            sheared = cv2.warpAffine(small, shear, (columns, _ROWS), flags=cv2.INTER_LINEAR)
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
