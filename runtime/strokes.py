"""Digits as pen strokes: ink for drawn pages and for training.

``Hand`` is a writer: one way of writing each digit, with a slant and proportions of its own. ``digit_strokes`` writes
one digit in a hand, never twice the same; ``draw_ink`` puts a pen on it. Variants have names (``"7-crossed"``), so that
styles of writing can be held out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Polyline: TypeAlias = npt.NDArray[np.float32]
"""float32 (n, 2), the path of a pen between touching and leaving the paper: x to the right, y down."""
# A pen's path through control points "x,y" in hundredths of the digit's height, y down from the top. "/" after a point
# makes it a corner (elsewhere the path is a smooth spline); "|" lifts the pen.
_GLYPHS = {
    "0-round": "36,2 15,12 3,44 9,82 30,99 52,86 61,50 52,15 34,2 27,6",
    "0-narrow": "30,2 17,5 9,24 7,54 12,85 25,99 37,86 43,54 41,23 34,6 23,1",
    "0-open": "31,5 13,18 4,52 13,87 32,99 51,85 58,48 50,16 39,4",
    "0-tail": "42,7 27,2 10,20 4,55 14,90 33,99 52,82 58,44 48,14 34,3 22,5 13,12",
    "1-stick": "22,0 20,35 19,70 18,100",
    "1-flag": "4,22 13,13 21,0/ 20,40 19,70 18,100",
    "1-european": "0,38 14,21 27,0/ 26,35 25,70 24,100",
    "1-flag-serif": "2,24 13,14 23,0/ 22,50 22,98 | 3,99 22,98 43,98",
    "2-loop": "6,24 15,6 33,0 49,11 49,33 35,60 17,83 6,95 0,89 8,80 24,88 43,98 62,90",
    "2-straight": "6,22 16,5 34,0 51,12 49,35 30,64 3,98/ 31,97 60,97",
    "2-z": "4,13 20,4 40,2 50,10 45,25 24,62 3,97/ 30,96 59,97",
    "2-swan": "5,20 18,3 37,0 51,14 47,39 27,70 5,95/ 17,89 33,93 49,99 63,91",
    "3-round": "5,14 23,0 45,5 51,23 40,41 20,47/ 43,51 57,70 48,92 24,100 3,88",
    "3-flat": "5,4 30,2 53,1/ 38,20 22,41/ 45,44 59,66 50,91 26,100 3,90",
    "3-loop": "5,13 25,0 47,7 49,26 36,44 20,52 15,45 24,41 48,54 57,75 44,96 21,100 2,88",
    "3-curl": "10,18 16,4 34,0 47,11 44,31 26,45/ 46,50 55,68 48,90 28,100 9,95 3,82 9,77",
    "4-open": "15,2 9,31 3,61/ 31,61 62,57 | 44,27 42,62 39,100",
    "4-cup": "9,6 5,30 5,47 14,57 30,55 49,43 | 51,2 49,40 46,100",
    "4-closed": "42,0 23,32 1,67/ 32,68 64,66 | 43,0 42,50 41,100",
    "4-one-stroke": "40,100 41,50 42,0/ 22,32 1,65/ 30,67 64,66",
    "4-crossed-open": "21,2 12,31 1,62/ 33,63 68,60 | 46,8 42,55 37,100",
    "5-bar": "12,4 10,24 7,45/ 27,37 48,46 55,68 44,93 21,100 1,90 | 12,4 34,4 58,1",
    "5-single": "54,2 34,3 13,4/ 11,24 8,45/ 28,36 50,46 56,68 44,93 21,100 1,91",
    "5-curly": "55,5 36,1 18,4 12,22 11,43/ 29,37 49,46 54,67 43,93 21,100 1,89",
    "5-steep": "57,1 38,3 18,3/ 13,23 7,43/ 20,43 39,50 48,67 39,88 20,97 0,99",
    "6-straight": "39,0 21,27 6,62 8,88 27,100 46,92 52,75 41,59 24,60 8,76",
    "6-curled": "51,9 37,0 18,17 6,52 8,84 28,100 49,90 53,70 39,55 20,59 8,75",
    "6-upright": "17,0 9,36 5,70 13,95 31,100 48,90 48,71 35,59 18,63 6,78",
    "7-plain": "2,5 28,4 54,2/ 39,36 24,70 17,100",
    "7-crossed": "2,5 28,4 55,2/ 40,36 26,70 19,100 | 13,51 31,49 52,47",
    "7-hook": "2,20 4,5/ 31,4 60,2/ 41,36 26,68 19,100",
    "7-hook-crossed": "3,19 5,4/ 31,4 58,2/ 41,36 27,68 20,100 | 12,50 31,49 53,48",
    "7-wave": "1,9 13,3 29,6 44,6 57,1/ 38,36 25,68 21,100",
    "8-s": "49,13 31,0 11,8 11,27 31,45 51,63 54,85 32,100 9,90 8,70 28,50 48,32 50,14 42,4",
    "8-circles": "30,0 13,7 10,26 28,43 46,32 46,11 28,0 | 28,43 8,55 3,79 28,100 53,82 49,57 27,43",
    "8-tilted": "53,7 34,1 13,11 14,29 36,48 52,67 48,91 26,100 6,87 11,66 33,48 52,25 54,10",
    "8-clockwise": "13,13 32,0 50,11 47,30 28,47 9,64 6,86 28,100 50,89 51,69 32,50 13,32 12,13 21,4",
    "9-straight": "50,18 37,2 16,4 4,24 13,46 33,46 50,17/ 50,55 48,100",
    "9-curled": "49,16 35,1 15,4 4,24 13,46 33,45 50,14/ 55,45 50,80 33,99 8,91",
    "9-lean": "49,15 33,0 11,6 4,28 17,46 38,41 51,11/ 44,55 28,100",
    "9-separate": "47,10 31,0 11,8 4,28 15,48 35,46 49,31 | 51,2 51,50 48,100",
}
VARIANTS: tuple[str, ...] = tuple(_GLYPHS)
"""Every way of writing a digit, by name: the label, a hyphen, what is special about it."""

_STEP = 0.02  # distance between the points of a path, in digit heights
_SUPERSAMPLE = 4  # ink is drawn this many times larger and averaged down, which anti-aliases it


@dataclass(frozen=True, slots=True)
class Hand:
    """A writer: how the digits are formed, and the tendencies that run through all of them.

    Attributes:
        variants: ten names from ``VARIANTS``, for the labels 0 to 9 in order.
        slant: shear to the right, as the tangent of its angle; 0 is upright.
        aspect: width against the usual width, about 0.8 (narrow) to 1.25 (wide).
        balance: where the waist is: positive lowers it, negative raises it, in digit heights.
        looseness: how far control points stray, in digit heights.
        roundness: length over which corners are rounded off, in digit heights.
        spacing: clear paper between the digits of a number, in digit heights.
    """

    variants: tuple[str, ...]
    slant: float = 0.1
    aspect: float = 1.0
    balance: float = 0.0
    looseness: float = 0.01
    roundness: float = 0.04
    spacing: float = 0.22

    @classmethod
    def random(cls, rng: np.random.Generator, variants: Collection[str] = VARIANTS) -> Hand:
        """A new writer.

        Args:
            rng: where chance comes from.
            variants: the ways of writing to choose among, at least one for each label.

        Raises:
            ValueError: a label has no variant, or a name is not in ``VARIANTS``.
        """
        unknown = sorted(set(variants) - set(VARIANTS))
        choices = [[name for name in VARIANTS if name in variants and name[0] == label] for label in "0123456789"]
        if unknown or not all(choices):
            missing = [str(digit) for digit, names in enumerate(choices) if not names]
            raise ValueError(f"variants: unknown {unknown}, labels without any {missing}; choose among VARIANTS")
        return cls(
            variants=tuple(names[int(rng.integers(len(names)))] for names in choices),
            slant=float(np.clip(rng.normal(0.1, 0.11), -0.08, 0.34)),
            aspect=float(rng.uniform(0.82, 1.2)),
            balance=float(np.clip(rng.normal(0.0, 0.025), -0.05, 0.05)),
            looseness=float(rng.uniform(0.006, 0.018)),
            roundness=float(rng.uniform(0.0, 0.1)),
            spacing=float(rng.uniform(0.16, 0.3)),
        )


@dataclass(frozen=True, slots=True)
class Pen:
    """What the ink looks like.

    Attributes:
        width: of the line, in digit heights.
        opacity: of the ink, 0–1.
        pressure: how much the line's width varies, 0–1.
        grain: how much paper shows through: 0 none, 1 half of it.
        grain_size: blur radius of the grain, in line widths.
    """

    width: float
    opacity: float = 1.0
    pressure: float = 0.1
    grain: float = 0.0
    grain_size: float = 0.1


PENS = {
    "ballpoint": Pen(width=0.05, opacity=0.92, pressure=0.16, grain=0.12, grain_size=0.3),
    "gel": Pen(width=0.08, opacity=0.97, pressure=0.1),
    "marker": Pen(width=0.14, opacity=0.95, pressure=0.08, grain=0.06, grain_size=0.5),
    "pencil": Pen(width=0.065, opacity=0.82, pressure=0.22, grain=0.3, grain_size=0.13),
    "chalk": Pen(width=0.11, opacity=0.94, pressure=0.2, grain=0.42, grain_size=0.055),
}


def digit_strokes(
    label: str, rng: np.random.Generator, *, hand: Hand | None = None, style: str | None = None
) -> tuple[Polyline, ...]:
    """Write one digit.

    Args:
        label: ``"0"`` to ``"9"``.
        rng: where chance comes from: no two calls give the same shape.
        hand: the writer; a new one if None.
        style: a name from ``VARIANTS`` in place of the hand's own way of writing this digit.

    Returns:
        The pen's paths, float32 (n, 2) each. Together they span y from 0 (top) to 1 (baseline) and x from 0.
    """
    hand = hand or Hand.random(rng)
    strokes = glyph_strokes(_GLYPHS[style or hand.variants[int(label)]], rng, hand)
    low = np.min([path.min(axis=0) for path in strokes], axis=0)
    height = np.max([path[:, 1].max() for path in strokes]) - low[1]
    return tuple(((path - low) / height).astype(np.float32) for path in strokes)


def glyph_strokes(glyph: str, rng: np.random.Generator, hand: Hand) -> list[npt.NDArray[np.float64]]:
    """Write any sign in a hand, where and as large as the glyph says.

    Args:
        glyph: the pen's paths through points "x,y" in hundredths of the height, y down from the top; "/" after a point
            makes it a corner (elsewhere the path is a smooth spline), "|" lifts the pen.
        rng: where chance comes from: no two calls give the same shape.
        hand: the writer, whose tendencies the sign gets.

    Returns:
        The pen's paths, float64 (n, 2) each, in heights.
    """
    balance = np.clip(hand.balance + rng.normal(0.0, 0.012), -0.065, 0.065)
    taper, bow = rng.normal(0.0, (0.05, 0.012))
    slant = hand.slant + rng.normal(0.0, 0.03)
    aspect = hand.aspect * np.exp(rng.normal(0.0, 0.05))
    strokes = []
    for points, corners in _control_points(glyph):
        stray = rng.normal(0.0, hand.looseness, (len(points) + 2, 2))
        points = points + 0.6 * (stray[:-2] + stray[1:-1] + stray[2:])  # neighbors stray together: curves stay smooth
        path = _rounded(_spline(points, corners), hand.roundness)
        x, y = (path + _tremor(len(path), rng, 0.35 * hand.looseness)).T
        arch = np.sin(np.pi * np.clip(y, 0.0, 1.0))
        x = 0.3 + (x - 0.3) * (1.0 + taper * (2.0 * y - 1.0)) + bow * arch
        strokes.append(np.stack([aspect * x - slant * y, y + balance * arch], axis=1))
    return strokes


def draw_ink(
    strokes: Sequence[Polyline], size: tuple[int, int], rng: np.random.Generator, *, pen: Pen, width: float
) -> npt.NDArray[np.float32]:
    """Draw strokes with a pen.

    Args:
        strokes: the pen's paths in pixels, float32 (n, 2) each.
        size: width and height of the picture.
        rng: where the pressure and the grain come from.
        pen: the kind of pen.
        width: of its line, in pixels.

    Returns:
        float32 (H, W), how much ink covers each pixel, 0–1.
    """
    canvas = np.zeros((size[1] * _SUPERSAMPLE, size[0] * _SUPERSAMPLE), np.uint8)
    for path in strokes:
        # Pixel centers are at whole numbers: 0 in the picture is (supersample - 1) / 2 in the enlarged one.
        fixed = np.rint((path * _SUPERSAMPLE + (_SUPERSAMPLE - 1) / 2) * 16).astype(np.int32)
        press = 1.0 + pen.pressure * _tremor(len(path), rng, 1.0)[:, 0]
        # OpenCV draws lines of an even thickness 0.92 wider than that, and odd ones like the even one above (measured).
        thickness = 2 * np.rint((width * _SUPERSAMPLE * press - 0.92) / 2).astype(int)
        for start in range(0, len(path), 4):
            cv2.polylines(canvas, [fixed[start : start + 5]], False, 255, max(1, int(thickness[start])), shift=4)
    ink = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.float32) * (pen.opacity / 255.0)
    if pen.grain:
        ink *= np.clip(1.0 - pen.grain * (0.6 + soft_noise(size, pen.grain_size * width, rng)), 0.0, 1.0)
    return ink


def soft_noise(size: tuple[int, int], radius: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """float32 (H, W) of random values, mean 0, deviation 1, that agree over about ``radius`` pixels."""
    coarse = max(1, int(radius))
    shape = np.array((size[1] // coarse + 2, size[0] // coarse + 2))
    tile = rng.standard_normal(tuple(np.minimum(shape, 400)), np.float32)  # drawing it all would take most of the time
    noise = cv2.GaussianBlur(np.tile(tile, tuple(-(-shape // 400)))[: shape[0], : shape[1]], (0, 0), radius / coarse)
    noise = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC) if coarse > 1 else noise[: size[1], : size[0]]
    return np.asarray(noise / max(float(noise[::3, ::3].std()), 1e-6), np.float32)


@cache
def _control_points(glyph: str) -> tuple[tuple[npt.NDArray[np.float64], tuple[int, ...]], ...]:
    """For each stroke its control points (n, 2) in digit heights and the indices of its corners, both ends included."""
    strokes = []
    for stroke in glyph.split("|"):
        words = stroke.split()
        points = np.array([[float(number) for number in word.rstrip("/").split(",")] for word in words]) / 100.0
        bends = [index for index, word in enumerate(words) if word.endswith("/")]
        strokes.append((points, (0, *bends, len(words) - 1)))
    return tuple(strokes)


def _spline(points: npt.NDArray[np.float64], corners: Sequence[int]) -> npt.NDArray[np.float64]:
    """Centripetal Catmull-Rom through the points, broken at the corners, at equal steps along the path."""
    pieces = []
    for first, last in pairwise(corners):
        inner = points[first : last + 1]
        # One more point beyond each end, so that the curve goes on bending there.
        third = min(3, len(inner))
        before = 2.5 * inner[0] - 2.0 * inner[1] + 0.5 * inner[third - 1]
        after = 2.5 * inner[-1] - 2.0 * inner[-2] + 0.5 * inner[-third]
        knots = np.concatenate([[before], inner, [after]])
        gaps = np.sqrt(np.linalg.norm(np.diff(knots, axis=0), axis=1))[:, None]
        speed = np.diff(knots, axis=0) / gaps
        tangents = speed[:-1] - (knots[2:] - knots[:-2]) / (gaps[:-1] + gaps[1:]) + speed[1:]
        t = np.linspace(0.0, 1.0, 12, endpoint=False)[None, :, None]
        start, end = inner[:-1, None], inner[1:, None]
        leave, arrive = (gaps[1:-1] * tangents[:-1])[:, None], (gaps[1:-1] * tangents[1:])[:, None]
        cubic = (
            start * (2 * t**3 - 3 * t**2 + 1)
            + leave * (t**3 - 2 * t**2 + t)
            + end * (3 * t**2 - 2 * t**3)
            + arrive * (t**3 - t**2)
        )
        pieces.append(cubic.reshape(-1, 2))
    path = np.concatenate([*pieces, points[-1:]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], max(5, round(length[-1] / _STEP)))
    return np.stack([np.interp(at, length, path[:, axis]) for axis in (0, 1)], axis=1)


def _rounded(path: npt.NDArray[np.float64], radius: float) -> npt.NDArray[np.float64]:
    """The path with its corners rounded off by a moving average; its ends stay."""
    reach = min(round(radius / _STEP / 2), len(path) // 3)
    padded = np.concatenate([np.repeat(path[:1], reach, axis=0), path, np.repeat(path[-1:], reach, axis=0)])
    kernel = np.full(2 * reach + 1, 1.0 / (2 * reach + 1))
    return np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in (0, 1)], axis=1)


def _tremor(count: int, rng: np.random.Generator, amount: float) -> npt.NDArray[np.float64]:
    """Slow random change along a path, (count, 2), about ``amount`` in size: a sum of three waves."""
    along = np.arange(count)[:, None, None] * _STEP
    waves = rng.uniform(0.3, 1.6, (1, 3, 2)) * along + rng.uniform(0.0, 1.0, (1, 3, 2))
    tremor: npt.NDArray[np.float64] = amount * 0.8 * np.sin(2 * np.pi * waves).sum(axis=1)
    return tremor
