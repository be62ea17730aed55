"""Pages of drawn digits, with known truth: for the demo clip, for tests and for measuring without a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from runtime.strokes import PENS, Hand, Pen, Polyline, digit_strokes, draw_ink, soft_noise
from runtime.values import Box, Image, Polarity

Color: TypeAlias = tuple[int, int, int]
"""Blue, green, red, each 0–255."""

_PITCH = 1.55  # from row to row, in digit heights


@dataclass(frozen=True, slots=True)
class Paper:
    """What the ink is on.

    Attributes:
        color: of the paper.
        ink: the color of ink that suits it.
        texture: contrast of the fine grain, in gray levels.
        clouds: contrast of large soft patches, in gray levels: stains, wiped chalk.
        ruling: faint printed lines.
        ruling_color: their color.
    """

    color: Color
    ink: Color
    texture: float = 1.5
    clouds: float = 1.5
    ruling: Literal["", "lines", "squares"] = ""
    ruling_color: Color = (226, 212, 196)


PAPERS = {
    "white": Paper(color=(240, 241, 240), ink=(52, 44, 40)),
    "cream": Paper(color=(208, 228, 238), ink=(110, 52, 30), texture=2.5, clouds=2.0),
    "ruled": Paper(color=(238, 242, 242), ink=(128, 50, 24), ruling="lines"),
    "squared": Paper(color=(240, 243, 242), ink=(60, 56, 52), ruling="squares", ruling_color=(228, 220, 208)),
    "sticky": Paper(color=(120, 226, 250), ink=(62, 40, 36), texture=1.0),
    "chalkboard": Paper(color=(62, 78, 58), ink=(232, 240, 238), texture=2.5, clouds=6.0),
    "card": Paper(color=(46, 40, 40), ink=(244, 246, 248), texture=2.0),
}


@dataclass(frozen=True, slots=True)
class DrawnDigit:
    """The truth about a digit: ``"0"`` to ``"9"``, the tight box of its ink, how it is written (from ``VARIANTS``)."""

    label: str
    box: Box
    variant: str


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A drawn page and all that is known about it.

    Attributes:
        pixels: uint8 BGR (H, W, 3).
        digits: what stands on it, row by row, from left to right.
        outlines: the convex hull of each digit's ink, float32 (n, 2), corners of pixels: under a change of view the
            box of the changed outline is the digit's box.
        polarity: of the ink against the paper.
    """

    pixels: Image
    digits: tuple[DrawnDigit, ...]
    outlines: tuple[Polyline, ...]
    polarity: Polarity


def draw_page(
    rows: Sequence[str],
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    hand: Hand | None = None,
    pen: Pen = PENS["gel"],
    paper: Paper = PAPERS["white"],
    ink: Color | None = None,
    digit_height: float = 72.0,
    tilt: float = 0.0,
    margin: float = 0.05,
) -> Page:
    """Fill a page with rows of numbers, each digit apart from its neighbors.

    Args:
        rows: what to write, such as ``["407 1985", "62"]``: digits, with a space between numbers.
        size: width and height of the page in pixels.
        rng: where chance comes from.
        hand: the writer; a new one if None.
        pen: the kind of pen.
        paper: what is written on; a light ``ink`` on a dark paper makes a chalkboard.
        ink: color of the ink; the paper's own if None.
        digit_height: of the pen's path, in pixels. All digits get smaller where they would not fit.
        tilt: of the rows, in degrees clockwise.
        margin: part of the page's width and height that stays clear of ink on every side.
    """
    hand = hand or Hand.random(rng)
    ink = paper.ink if ink is None else ink
    written, height = _layout(rows, size, margin, rng, hand, pen, digit_height, tilt)
    pixels = _blank(size, rng, paper, _PITCH * height)
    reach = int(np.ceil(pen.width * height)) + 2
    digits, outlines = [], []
    for label, strokes in written:
        points = np.concatenate(strokes)
        low = np.maximum(np.floor(points.min(axis=0)).astype(int) - reach, 0)
        high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + reach, size)
        moved = [(path - low).astype(np.float32) for path in strokes]
        width, tall = (high - low).tolist()
        alpha = draw_ink(moved, (width, tall), rng, pen=pen, width=pen.width * height)
        patch = pixels[low[1] : high[1], low[0] : high[0]]
        patch += alpha[:, :, None] * (np.array(ink, np.float32) - patch)
        hull = cv2.convexHull(np.argwhere(alpha > 0.25 * pen.opacity)[:, ::-1].astype(np.int32))[:, 0] + low
        corners = (hull[:, None] + np.array([(0, 0), (1, 0), (0, 1), (1, 1)])).reshape(-1, 2)
        (x, y), (width, tall) = corners.min(axis=0).tolist(), np.ptp(corners, axis=0).tolist()
        outlines.append(corners.astype(np.float32))
        digits.append(DrawnDigit(label, Box(x, y, width, tall), hand.variants[int(label)]))
    weights = np.array((0.114, 0.587, 0.299))
    return Page(
        pixels=np.clip(pixels, 0.0, 255.0, out=pixels).astype(np.uint8),
        digits=tuple(digits),
        outlines=tuple(outlines),
        polarity="light" if weights @ np.array(ink) > weights @ np.array(paper.color) else "dark",
    )


def _layout(
    rows: Sequence[str],
    size: tuple[int, int],
    margin: float,
    rng: np.random.Generator,
    hand: Hand,
    pen: Pen,
    height: float,
    tilt: float,
) -> tuple[list[tuple[str, list[npt.NDArray[np.float64]]]], float]:
    """Labels and strokes, in page pixels, and the digits' height after fitting them in."""
    lines, ends = [], []
    for row in rows:
        line: list[tuple[str, list[npt.NDArray[np.float64]]]] = []
        x = end = 0.0
        for label in row:
            if label == " ":
                x += rng.uniform(0.75, 1.05)
                continue
            grown = rng.uniform(0.94, 1.06)
            corner = np.array((x, rng.normal(0.0, 0.02) + 1.0 - grown))
            strokes = [grown * path + corner for path in digit_strokes(label, rng, hand=hand)]
            line.append((label, strokes))
            end = max(float(path[:, 0].max()) for path in strokes)
            x = end + pen.width + hand.spacing * rng.uniform(0.85, 1.25)
        lines.append(line)
        ends.append(end)
    # In digit heights so far, the line's width included; a tilted block needs the room of its turned corners.
    block = np.array([max(ends, default=0.0) + 0.2, _PITCH * max(len(rows), 1)])
    cosine, sine = abs(np.cos(np.radians(tilt))), abs(np.sin(np.radians(tilt)))
    room = (1.0 - 2.0 * margin) * np.array(size)
    height = min(height, *(room / (cosine * block + sine * block[::-1])))
    slack = min((room[0] / height - sine * block[1]) / cosine - block[0], 2.0)
    turn = cv2.getRotationMatrix2D((0.0, 0.0), -tilt, height)[:, :2]
    middle = (np.array(size) - 1) / 2
    written = []
    for index, line in enumerate(lines):
        indent = rng.uniform(-0.4, 0.4) * slack - 0.5 * (block[0] - 0.2)
        corner = np.array((indent, (index - 0.5 * (len(rows) - 1)) * _PITCH - 0.5))
        written += [(label, [(path + corner) @ turn.T + middle for path in strokes]) for label, strokes in line]
    return written, float(height)


def _blank(size: tuple[int, int], rng: np.random.Generator, paper: Paper, pitch: float) -> npt.NDArray[np.float32]:
    """Paper without ink, float32 BGR (H, W, 3), ruled so that a row stands on every line or every few."""
    page = np.full((size[1], size[0], 3), paper.color, np.float32)
    if paper.ruling:
        spacing = pitch / max(1, round(pitch / (0.075 * size[1])))
        first = (size[1] / 2 + 0.36 * pitch) % spacing
        for y in np.arange(first, size[1], spacing):
            cv2.line(page, (0, round(y)), (size[0], round(y)), paper.ruling_color, max(1, size[1] // 400))
        for x in np.arange(spacing / 2, size[0], spacing) if paper.ruling == "squares" else ():
            cv2.line(page, (round(x), 0), (round(x), size[1]), paper.ruling_color, max(1, size[1] // 400))
    shade = paper.texture * soft_noise(size, 0.9, rng) + paper.clouds * soft_noise(size, 0.08 * size[0], rng)
    page += shade[:, :, None]
    return page
