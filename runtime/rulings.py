"""Take printed rulings out of ink: straight lines, thin and even, that reach far over the paper, more than one of them.

Writing that a ruling runs through hangs together with it, and where one is as dark as the other their strength does not
tell them apart. So a line's ink is erased but for where it is thicker than elsewhere, since there a stroke crosses it.
Staff lines are removed from scores so (Dalitz et al., "A Comparative Study of Staff Removal Algorithms", 2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from runtime.values import Image

LONG = 0.35
"""Least length of a ruling, as a share of the picture's longer side: more than a stroke of the largest digits has."""

_THICK = 5  # greatest thickness of a ruling, in pixels
_REACH = 12  # how far from a ruling's middle its ink, and that of strokes on it, is looked at, in pixels
_NEAR = 5  # distance under which two segments are of one line, in pixels
_ALIKE, _PARALLEL = 0.06, 0.12  # differences of slope of one line's segments, and of one paper's rulings
_STEEP = 0.2  # slope from which a line of even thickness has columns of two heights
_INKED = 0.6  # least share of a ruling's length that is ink
_STRETCH = 41  # pixels over which that share must hold for a line to go on
_MOST = 400  # segments looked at
_MOST_INK = 0.35  # share of a picture from which ink is no writing; looking for lines in it would take long
_LEAST = 20  # columns from which a line's middle can be told
_ROWS = np.arange(-_REACH, _REACH + 1)[:, None]


class _Segment(NamedTuple):
    """Part of a line ``y = slope·x + offset``, from one x to another; x and y are changed over where it is upright."""

    upright: bool
    slope: float
    offset: float
    first: int
    last: int


class _Line(NamedTuple):
    """A ruling: its columns that no stroke crosses, and in each the first row of its ink and the row after its last."""

    upright: bool
    slope: float
    columns: npt.NDArray[np.intp]
    tops: npt.NDArray[np.intp]
    bottoms: npt.NDArray[np.intp]


def without_rulings(mask: Image) -> Image | None:
    """Erase rulings.

    Args:
        mask: uint8 (height, width), 255 where ink is, else 0.

    Returns:
        The same shape, what is left; None where there are no rulings.
    """
    least = LONG * max(mask.shape)
    if least < _STRETCH or cv2.countNonZero(mask) > _MOST_INK * mask.size:
        return None
    lines: list[_Line] = []
    seen: list[_Segment] = []
    for segment in _segments(mask, least):
        if not any(_same(segment, other) for other in seen):
            seen.append(segment)
            line = _follow(mask.T if segment.upright else mask, segment, least)
            if line:
                lines.append(line)
    # A single line may be a stroke: a large 1, a bar.
    rulings = [line for line in lines if sum(_parallel(line, other) for other in lines) > 1]
    if not rulings:
        return None
    left = mask.copy()
    for line in rulings:
        lengths = line.bottoms - line.tops
        before = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) + np.repeat(line.tops - before, lengths)
        (left.T if line.upright else left)[rows, np.repeat(line.columns, lengths)] = 0
    return left


def _segments(mask: Image, least: float) -> Iterator[_Segment]:
    """Straight stretches of ink, the longest first."""
    found = cv2.HoughLinesP(mask, 1, np.pi / 180, int(0.4 * least), None, 0.5 * least, 4)
    ends = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(float)
    lengths = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1])
    for x0, y0, x1, y1 in ends[np.argsort(-lengths, kind="stable")[:_MOST]].tolist():
        upright = abs(y1 - y0) > abs(x1 - x0)
        (x0, y0), (x1, y1) = sorted([(y0, x0), (y1, x1)] if upright else [(x0, y0), (x1, y1)])
        slope = (y1 - y0) / (x1 - x0)
        yield _Segment(upright, slope, y0 - slope * x0, int(x0), int(x1))


def _same(a: _Segment, b: _Segment) -> bool:
    middle = (a.first + a.last) / 2
    apart = (a.slope - b.slope) * middle + a.offset - b.offset
    return a.upright == b.upright and abs(a.slope - b.slope) < _ALIKE and abs(apart) < _NEAR


def _parallel(a: _Line, b: _Line) -> bool:
    return a.upright == b.upright and abs(a.slope - b.slope) < _PARALLEL


def _follow(mask: Image, segment: _Segment, least: float) -> _Line | None:
    """The thin and even line that a segment is part of; None where there is none so long."""
    upright, slope, offset, first, last = segment
    columns = np.arange(mask.shape[1])
    band, _ = _band(mask, slope, offset)
    thickness = np.count_nonzero(band, axis=0)
    clear = band[_REACH - 3 : _REACH + 4].any(axis=0) & (thickness <= _THICK + 2)
    clear[:first] = clear[last + 1 :] = False
    if np.count_nonzero(clear) < _LEAST:
        return None
    middles = (band * _ROWS).sum(axis=0)[clear] / thickness[clear]
    turn, shift = np.polyfit(columns[clear], middles, 1)
    slope, offset = slope + float(turn), offset + float(shift)
    band, rows = _band(mask, slope, offset)
    on = np.asarray(band[_REACH - 1 : _REACH + 2].any(axis=0))
    inked = np.asarray(cv2.blur(on.astype(np.float32)[None], (_STRETCH, 1)))[0]
    ends = np.flatnonzero(inked < _INKED)
    first, last = int(ends[ends < first].max(initial=-1)) + 1, int(ends[ends > last].min(initial=len(columns))) - 1
    on &= (columns >= first) & (columns <= last)
    # Ink that hangs together with the middle, from there up and from there down.
    band[_REACH - 1 : _REACH + 2] |= on
    above, below = _length(band[_REACH::-1]), _length(band[_REACH:])
    thickness = above + below - 1
    if last - first < least or np.count_nonzero(on) < _INKED * (last - first):
        return None
    usual = np.median(thickness[on])
    thin = np.flatnonzero(on & (thickness <= usual + (abs(slope) > _STEEP)))  # a slanted line's columns differ by one
    tops, bottoms = (np.clip(each[thin], 0, len(mask)) for each in (rows - above + 1, rows + below))
    return _Line(upright, slope, thin, tops, bottoms) if usual <= _THICK else None


def _band(mask: Image, slope: float, offset: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Ink around a line, (2·_REACH + 1, width), the line in the middle row; and the row of the mask that this is."""
    height, width = mask.shape
    rows = np.rint(slope * np.arange(width) + offset).astype(np.intp)
    places = rows + _ROWS
    inside = (places >= 0) & (places < height)
    return (mask[np.clip(places, 0, height - 1), np.arange(width)] > 0) & inside, rows


def _length(ink: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """How many rows from the first on are ink, (width,)."""
    return np.where(ink.all(axis=0), len(ink), ink.argmin(axis=0))
