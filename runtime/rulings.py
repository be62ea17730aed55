"""Take printed rulings off a picture: straight lines, thin and even, several of them about parallel.

A page is looked at in strips of a few pixels, whose means have little noise. In each strip lines are where it is darker
than the paper on either side; a Hough transform finds those that agree, each is fitted to where it really runs, and
those of one strength all along are rulings: writing, seen along a straight line, is now dark, now paper. Where a ruling
runs its darkness is taken off the picture, so that what is darker than rulings are, writing, is left; a mask of ink
without lines would have gaps where they cross the writing, and on squared paper hardly anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from runtime.values import Image, Polarity

_STRIP = 8  # width of a strip, in pixels
_WIDE = 9  # rows across which a line is darker than paper on both sides
_STEEP = np.radians(30)  # greatest slope against the picture's rows or columns
_RHO, _THETA = 1.5, np.radians(1.4)  # steps of the Hough transform: what fitting makes up for
_MOST = 400  # lines that are looked at
_LEAST = 0.35  # least length of a ruling, as a share of the picture's longer side
_PART, _STUB = 0.7, 0.35  # shares of that over which a line must be seen, and one like others that are sure
_RULINGS = 3  # fewer lines may be strokes
_CONTRAST, _NOISE = 4.0, 2.0  # least strength of rulings, in gray levels and in standard deviations of noise
_LOW, _HIGH = 0.6, 1.6  # strengths that are alike, as shares of the usual
_EVEN = 0.75  # share of a line's strips that are alike where it is a ruling for sure
_FULL = 0.5  # mean darkness around a line, as a share of its own, from which it rather is paper between two
_APART = 5  # least distance of rulings, in pixels
_BAND, _HALF = 6, 4  # rows to either side of a line that are looked at, and that it may cover
_WINDOW, _EVERY = 11, 4  # strips by which a line's darkness is told, and that this is told once for
_RANK = 8  # which of a window's strips, by brightness: most of what is darker is writing
_SURPLUS = 1.25  # how much more than that is taken off, for strips blur what is sharp
_SHARP = 3.0  # thickness up to which a line is sharp, in pixels
_DARK, _INK = 0.2, 0.1  # contrasts, as shares of the paper's level: of rulings as dark as writing, and of any stroke
_BESIDE, _ALONG = 3, 15  # how far beside a line, and how far along it, ink runs that is wider than the line, in pixels
_PALE = 0.2  # darkness beside a line, as a share of its own, up to which it has ended there
_CROSSES = 1.5  # how much darker than a grid's lines what crosses one must be, not to be another

_POLARITIES: tuple[Polarity, ...] = "dark", "light"

_Rows = npt.NDArray[np.float64]
"""Lines of one family: the row of each in each strip, (lines, strips)."""

_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Rulings:
    """A picture's rulings.

    Attributes:
        polarity: theirs, against the paper.
        strength: uint8 (height, width), how far they are from their paper at most; 0 where there are none.
        paper: uint8 (height, width), brightness of the paper beside them (inverted if they are light); 0 elsewhere.
        share: how far they are from it usually, as a share of it.
    """

    polarity: Polarity
    strength: Image
    paper: Image
    share: float

    def taken_off(self, luma: Image, to_picture: npt.NDArray[np.float64] | None = None) -> Image:
        """The picture without them; what is twice as far from the paper as they are is left as it is.

        Args:
            luma: uint8 (h, w), the picture, or a part of it at any scale.
            to_picture: float (2, 3), takes (x, y, 1) in ``luma`` to the picture; None for all of it.
        """
        strength, paper = self.strength, self.paper
        if to_picture is not None:
            size, how = luma.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            strength, paper = (cv2.warpAffine(each, to_picture, size, flags=how) for each in (strength, paper))
        seen = luma if self.polarity == "dark" else cv2.bitwise_not(luma)
        darker = cv2.subtract(paper, seen)
        surplus = cv2.subtract(darker, strength)
        left = cv2.add(seen, cv2.min(cv2.subtract(strength, surplus), darker))
        return left if self.polarity == "dark" else cv2.bitwise_not(left)


def find_rulings(luma: Image, noise: float) -> Rulings | None:
    """The rulings of a picture; None where there are none.

    Args:
        luma: uint8 (height, width), any size.
        noise: standard deviation of the sensor's noise, in gray levels.
    """
    least = _LEAST * max(luma.shape) / _STRIP
    if min(luma.shape) < 2 * _STRIP * _EVERY:
        return None
    if not _promising(cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA), noise):
        return None
    ways = luma, cv2.transpose(luma)
    strips = _strips(ways[1]), _strips(ways[0])
    for polarity in _POLARITIES:
        of_dark = polarity == "dark"
        views = [_view(each if of_dark else cv2.bitwise_not(each), noise) for each in strips]
        shares = [_share(view, noise, least) for view in views]
        known = [share for share in shares if share is not None]
        if known:
            # A grid's lines are alike both ways; a sheet on top of it may cut all of them short one way.
            share = float(np.mean(known))
            level, upright = (_rulings(view, share, least) for view in views)
            grid = len(level) > 0 and len(upright) > 0
            seen = ways if of_dark else [cv2.bitwise_not(each) for each in ways]
            strength, paper = _painted(seen[0], level, share, grid)
            across = _painted(seen[1], upright, share, grid)
            return Rulings(
                polarity,
                cv2.convertScaleAbs(cv2.add(strength, cv2.transpose(across[0])), alpha=_SURPLUS),
                cv2.convertScaleAbs(cv2.max(paper, cv2.transpose(across[1]))),
                share,
            )
    return None


class _View(NamedTuple):
    """Strips, uint8 (height, strips), and how much darker they are than around where they are darkest, 0 elsewhere."""

    strips: Image
    darker: Image


def _promising(luma: Image, noise: float) -> bool:
    """Whether a picture has lines that agree; rulings, perhaps."""
    least = _PART * _LEAST * max(luma.shape) / _STRIP
    for way in (cv2.transpose(luma), luma):
        strips = _strips(way)
        for seen in (strips, cv2.bitwise_not(strips)):
            darker = _view(seen, noise / 2).darker
            if np.count_nonzero(darker) >= _RULINGS * least and len(_lines(darker, least)) >= _RULINGS:
                return True
    return False


def _strips(luma: Image) -> Image:
    """Means over strips of rows: uint8 (height / strip, width); rows that are left over are left out."""
    rows = luma[: len(luma) // _STRIP * _STRIP]
    total = cv2.add(rows[::_STRIP], rows[1::_STRIP], dtype=cv2.CV_16U)
    for row in range(2, _STRIP):
        total = cv2.add(total, rows[row::_STRIP], dtype=cv2.CV_16U)
    return cv2.convertScaleAbs(total, alpha=1 / _STRIP)


def _view(strips: Image, noise: float) -> _View:
    """What ``_strips`` has seen, turned."""
    limit = max(0.75 * _CONTRAST, 0.8 * _NOISE * noise)
    darker = cv2.morphologyEx(strips, cv2.MORPH_BLACKHAT, np.ones((1, _WIDE), np.uint8))
    darkest = cv2.compare(strips, cv2.erode(strips, np.ones((1, 5), np.uint8)), cv2.CMP_LE)
    clear = cv2.compare(darker, limit, cv2.CMP_GT)  # type: ignore[call-overload]
    darker = cv2.bitwise_and(darker, cv2.bitwise_and(darkest, clear))
    return _View(cv2.transpose(strips), cv2.transpose(darker))


def _share(view: _View, noise: float, least: float) -> float | None:
    """How dark rulings are, as a share of the paper's level; None where none are for sure."""
    if np.count_nonzero(view.darker) < _RULINGS * _PART * least:
        return None
    rows = _lines(view.darker, _PART * least)
    if len(rows) < _RULINGS:
        return None
    rows = _fitted(rows, view.darker)
    contrast, level, filled = _looks(view.strips, rows)
    # Strips beyond the paper have no line; a line as short as allowed has a third of them.
    usual = np.partition(contrast, contrast.shape[1] * 3 // 4, axis=1)[:, contrast.shape[1] * 3 // 4, None]
    alike = (contrast > _LOW * usual) & (contrast < _HIGH * usual)
    thin = (filled * alike).sum(axis=1) <= _FULL * (contrast * alike).sum(axis=1)
    count, last = np.count_nonzero(alike, axis=1), alike.shape[1] - 1
    extent = last - alike[:, ::-1].argmax(axis=1) - alike.argmax(axis=1) + 1
    strong = usual[:, 0] >= max(_CONTRAST, _NOISE * noise)
    sure = (count >= np.maximum(_EVEN * extent, least)) & thin & strong
    if len(_apart(rows, np.where(sure, count, 0), _APART)) < _RULINGS:
        return None
    return float(np.median((contrast / np.maximum(level, 1))[sure][alike[sure]]))


def _rulings(view: _View, share: float, least: float) -> _Rows:
    """Lines as dark as the sure ones: writing may cover much of them, and a sheet that lies on them."""
    rows = _lines(view.darker, _STUB * least)
    if not len(rows):
        return rows
    rows = _fitted(rows, view.darker)
    contrast, level, filled = _looks(view.strips, rows)
    shares = contrast / np.maximum(level, 1)
    alike = (shares > _LOW * share) & (shares < _HIGH * share)
    thin = (filled * alike).sum(axis=1) <= _FULL * (contrast * alike).sum(axis=1)
    count = np.count_nonzero(alike, axis=1)
    return rows[_apart(rows, np.where(thin & (count >= _STUB * least), count, 0), _APART)]


def _looks(strips: Image, rows: _Rows) -> tuple[_Floats, _Floats, _Floats]:
    """Of lines in each strip, (lines, strips): how dark, the paper's level, and how dark it is around in the mean."""
    around = _around(strips, rows, _BAND).astype(np.float32)
    level = _paper(around)
    contrast = level - around[:, _BAND - 1 : _BAND + 2].min(axis=1)
    contrast[(rows < 0) | (rows >= len(strips))] = 0
    return contrast, level, np.maximum(level[:, None] - around, 0).mean(axis=1)


def _lines(darker: Image, least: float) -> _Rows:
    """Straight lines along which so many strips are not 0: their rows in each, (lines, strips), the clearest first."""
    strips = darker.shape[1]
    # At half the scale it takes a third of the time; fitting makes up for that.
    pairs = cv2.max(darker[:-1:2], darker[1::2])
    middles = np.arange(strips) * (_STRIP // 2) + _STRIP // 4
    spread = np.zeros((len(pairs), strips * (_STRIP // 2)), np.uint8)
    spread[:, middles] = pairs
    level = np.pi / 2
    found = cv2.HoughLines(spread, _RHO, _THETA, max(int(least), 4), None, 0, 0, level - _STEEP, level + _STEEP)
    if found is None:
        return np.empty((0, strips))
    rho, theta = found[:_MOST, 0, :2].astype(float).T[..., None]
    rows = 2 * (rho - middles * np.cos(theta)) / np.sin(theta) + 0.5
    return rows[_apart(rows, np.arange(len(rows), 0, -1), 3)]


def _fitted(rows: _Rows, darker: Image) -> _Rows:
    """Lines as they really run, a little bent perhaps; each once."""
    places = np.linspace(-0.5, 0.5, rows.shape[1])
    for reach, degree in ((4, 1), (2, 1), (2, 2)):
        offsets = np.arange(-reach, reach + 1)
        near = _around(darker, rows, reach) * (1 - 0.08 * abs(offsets))[None, :, None]
        best = near.argmax(axis=1)
        weights = (near.max(axis=1) > 0).astype(float)
        powers = places[:, None] ** np.arange(degree + 1)
        normal = np.einsum("sa,ls,sb->lab", powers, weights, powers) + np.diag([1e-6, 1e-6, 2.0][: degree + 1])
        moments = ((weights * (np.rint(rows) + offsets[best])) @ powers)[..., None]
        rows = (powers @ np.linalg.solve(normal, moments))[..., 0]
        ends = np.rint(rows[:, [rows.shape[1] // 6, -rows.shape[1] // 6]] / 2).astype(int)
        rows = rows[np.sort(np.unique(ends, axis=0, return_index=True)[1])]
    return rows


def _apart(rows: _Rows, scores: npt.NDArray[np.integer], distance: float) -> list[int]:
    """Of lines the best that do not come near one another; those of score 0 are none."""
    ends = rows[:, [0, rows.shape[1] // 2, -1]]
    free, kept = scores > 0, []
    for i in np.argsort(-scores, kind="stable").tolist():
        if free[i]:
            kept.append(i)
            free &= (ends > ends[i] + distance).all(axis=1) | (ends < ends[i] - distance).all(axis=1)
    return kept


def _painted(seen: Image, lines: _Rows, share: float, grid: bool) -> tuple[_Floats, _Floats]:
    """Lines as pictures.

    Args:
        seen: uint8 (height, width), in which the lines are dark.
        lines: those of a family, along the picture's rows.
        share: how dark they are, as a share of the paper's level.
        grid: whether there are others across.

    Returns:
        How dark they are and their paper's level, float32 (height, width) each, 0 where there are none.
    """
    height, width = seen.shape
    strength, paper = np.zeros((height + 2, width), np.float32), np.zeros((height + 2, width), np.float32)
    if not len(lines):
        return strength[1:-1], paper[1:-1]
    count, strips = lines.shape
    rows = _along(lines, width)
    # Along lines that slant a strip would blur them: they are leveled first.
    slope = float(np.median(rows[:, -1] - rows[:, 0])) / (width - 1)
    rise = slope * (np.arange(width) - (width - 1) / 2)
    margin = int(np.ceil(abs(rise).max()))
    shear = np.array([[1, 0, 0], [-slope, 1, margin + slope * (width - 1) / 2]])
    leveled = cv2.warpAffine(seen, shear, (width, height + 2 * margin), borderMode=cv2.BORDER_REPLICATE)
    middles = np.arange(strips) * _STRIP + _STRIP // 2
    strips_of_it = cv2.transpose(_strips(cv2.transpose(leveled)))
    dark, level = (
        _along(each.reshape(-1, each.shape[-1]), width)
        for each in _darkness(strips_of_it, rows[:, middles] - rise[middles] + margin, share)
    )
    dark = dark.reshape(count, -1, width)
    nearest = np.rint(rows).astype(np.intp)
    below = np.asarray(nearest - rows, np.float32)[:, None]
    dark = dark * ~_written_on(seen, nearest, dark, level, grid)[:, None]
    # Between rows of the profile; a line is looked at in one more row on either side than it covers.
    first, last = _BAND - _HALF, _BAND + _HALF + 1
    covered = (
        (1 - abs(below)) * dark[:, first:last]
        + np.maximum(below, 0) * dark[:, first + 1 : last + 1]
        + np.maximum(-below, 0) * dark[:, first - 1 : last - 1]
    )
    columns = np.arange(width)
    for offset in sorted(range(-_HALF, _HALF + 1), key=abs, reverse=True):  # where two meet, the middle of either
        # What lies beyond the picture goes to a row that is left out.
        places = np.clip(nearest + (offset + 1), 0, height + 1) * width + columns
        strength.ravel()[places] = covered[:, _HALF + offset]
        paper.ravel()[places] = level
    return strength[1:-1], paper[1:-1]


def _along(values: npt.NDArray[np.floating], width: int) -> _Floats:
    """Values at places spread evenly along rows, (n, places), at every pixel: float32 (n, width)."""
    reach = width // _STRIP * _STRIP
    return np.pad(
        cv2.resize(values.astype(np.float32), (reach, len(values))), ((0, 0), (0, width - reach)), mode="edge"
    )


def _darkness(strips: Image, rows: _Rows, share: float) -> tuple[_Floats, _Floats]:
    """How dark lines are, from ``_BAND`` rows above to as many below, and their paper's level, every few strips.

    Returns:
        Float32 (lines, 2·_BAND + 1, places) and (lines, places).
    """
    first = np.floor(rows)
    rest = (rows - first)[:, None]
    around = _around(strips, first, _BAND + 1)
    around = (around[:, :-1] * (1 - rest) + around[:, 1:] * rest)[:, 1:]
    padded = np.pad(around, ((0, 0), (0, 0), (_WINDOW // 2, _WINDOW // 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW, axis=2)[:, :, _EVERY // 2 :: _EVERY]
    bright = np.partition(windows, _RANK, axis=3)[..., _RANK].astype(np.float32)
    level = _paper(bright)
    dark = np.clip(level[:, None] - bright, 0, _HIGH * share * level[:, None])
    within = dark[:, _BAND - _HALF : _BAND + _HALF + 1]
    if np.median(within.sum(axis=1) / np.maximum(_strength(dark), 1)) < _SHARP:
        # Where in a pixel such a line lies is told too badly.
        dark[:, 1:-1] = np.maximum(dark[:, 1:-1], np.maximum(dark[:, :-2], dark[:, 2:]))
    return dark, level


def _written_on(
    seen: Image, rows: npt.NDArray[np.intp], dark: _Floats, level: _Floats, grid: bool
) -> npt.NDArray[np.bool_]:
    """Where strokes cross or follow lines, (lines, width); rulings as dark as writing are left there."""
    strength = _strength(dark)
    as_dark = strength > _DARK * level
    if not as_dark.any():
        return as_dark
    least = _CROSSES * strength if grid else _INK * level

    def darker(offset: int) -> _Floats:
        return level - seen.ravel().take((rows + offset) * seen.shape[1] + np.arange(seen.shape[1]), mode="clip")

    near = np.ones((1, 5), np.uint8)
    above, below = (cv2.dilate((darker(side) > least).astype(np.uint8), near) for side in (-_HALF - 1, _HALF + 1))
    written = cv2.bitwise_and(above, below)
    for side in (-_BESIDE, _BESIDE):
        ink = (darker(side) > np.maximum(least, _LOW * strength)) & (dark[:, _BAND + side] < _PALE * strength)
        along = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, _ALONG), np.uint8))
        written = cv2.bitwise_or(written, cv2.dilate(along, near))
    return (written > 0) & as_dark


def _strength(dark: _Floats) -> _Floats:
    """Of darkness around lines, (lines, 2·_BAND + 1, …), that of the lines: (lines, …)."""
    return np.asarray(dark[:, _BAND - 2 : _BAND + 3].max(axis=1))


def _paper(around: _Floats) -> _Floats:
    """The paper's level beside lines, of rows around them: (lines, 2·_BAND + 1, …) -> (lines, …)."""
    return (around[:, : _BAND - 3].max(axis=1) + around[:, _BAND + 4 :].max(axis=1)) / 2


def _around(strips: Image, rows: _Rows, reach: int) -> Image:
    """The pixels above and below lines: uint8 (lines, 2·reach + 1, strips)."""
    # Flat, and clipped as such, that is several times as fast; what is beyond the picture is of no use anyway.
    middles = np.rint(rows).astype(np.intp) * strips.shape[1] + np.arange(strips.shape[1])
    places = middles[:, None] + strips.shape[1] * np.arange(-reach, reach + 1)[:, None]
    return strips.ravel().take(places, mode="clip")
