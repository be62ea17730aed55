"""One rendered camera frame with all that is known about it: a page is written, strewn, and photographed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from runtime.values import Box, Image
from train.conditions import Conditions
from train.optics import photograph
from train.papers import Canvas, draw_stock
from train.sheet import OVERSAMPLE, PlacedDigit, Sheet
from train.writer import DigitPool, Writer

_OVERSIZE = 1.6  # page against frame: a turned, slanted camera must not see where it ends
_SEEN = 0.92  # share of a digit's ink in view from which it counts
_CUT = 0.6  # share under which what is left is no digit
_READABLE = 0.6  # correlation of a digit's pixels with its ink under which a person cannot read it either
_CONTRAST = 16.0  # gray levels of ink against paper, likewise


@dataclass(frozen=True, slots=True)
class FrameDigit:
    """A digit in the frame: its label, the tight box of its ink, its row and number on the page."""

    label: str
    box: Box
    row: int
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class DigitInk:
    """Where the ink of a digit is in the frame.

    Attributes:
        label: ``"0"`` to ``"9"``.
        state: ``whole`` is to be read, ``cut`` has less than 60 % in view and is no digit; ``doubtful`` is neither.
        places: x and y of points spread evenly over the ink that is seen, float32 (n, 2).
        share: of the ink that they stand for, 0–1.
    """

    label: str
    state: Literal["whole", "doubtful", "cut"]
    places: npt.NDArray[np.float32]
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame and the truth about it.

    Attributes:
        picture: uint8 BGR (H, W, 3).
        digits: what is to be read, row by row, from left to right.
        ignore: where ink is that is neither a digit nor none: cut by half, or not readable by a person either.
        inks: of every digit in view, read or not.
        conditions: what the frame is like.
    """

    picture: Image
    digits: tuple[FrameDigit, ...]
    ignore: tuple[Box, ...]
    inks: tuple[DigitInk, ...]
    conditions: Conditions


def render(conditions: Conditions, size: tuple[int, int], pool: DigitPool, rng: np.random.Generator) -> Scene:
    """Render a frame.

    Args:
        conditions: what it is to be like.
        size: width and height in pixels.
        pool: MNIST's digits of the conditions' split.
        rng: where chance comes from.
    """
    page_size = (round(size[0] * OVERSAMPLE * _OVERSIZE), round(size[1] * OVERSAMPLE * _OVERSIZE))
    sheet, area = _lay(conditions, size, page_size, rng)
    writer = Writer(conditions, sheet, pool, rng)
    if conditions.show_through:
        writer.show_through(area)
    if not conditions.empty:
        writer.write_rows(area)
    writer.scatter(area)
    view = _view(conditions, page_size, size, rng)
    flat = cv2.warpPerspective(sheet.pixels, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    picture = photograph(np.asarray(flat, np.float32), conditions, rng)
    ink = cv2.warpPerspective(sheet.digit_ink, view, size, flags=cv2.INTER_LINEAR)
    digits, ignore, inks = _truth(sheet, view, cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), ink)
    return Scene(picture, tuple(digits), tuple(ignore), tuple(inks), conditions)


def _lay(
    conditions: Conditions, size: tuple[int, int], page_size: tuple[int, int], rng: np.random.Generator
) -> tuple[Sheet, tuple[float, float, float, float]]:
    """Paper, on a desk or filling the view, and the rectangle to write in: x, y, width, height in page pixels."""
    digit = conditions.height * OVERSAMPLE
    # Rulings are made for writing of a usual size; large digits take several lines.
    spacing = max(digit * 1.55 / max(1, round(digit * 1.55 / (0.09 * page_size[1]))), 14.0)
    if conditions.paper.ruling in ("grid", "dots"):
        spacing = max(0.5 * spacing, 14.0)
    middle = np.array(page_size) / 2
    view = np.array(size) * OVERSAMPLE
    if not conditions.sheet:
        reach = view * rng.uniform(0.75, 0.98, 2)
        return Sheet(draw_stock(conditions.paper, page_size, spacing, rng)), (*(middle - reach / 2), *reach)
    least, most = (0.6, 0.85) if conditions.paper.kind == "sticky" else (0.7, 1.1)
    width, height = (int(side) for side in np.maximum(view * rng.uniform(least, most, 2), 1.6 * digit))
    width, height = min(width, page_size[0] - 8), min(height, page_size[1] - 8)
    paper = draw_stock(conditions.paper, (width, height), spacing, rng)
    desk = draw_stock(conditions.desk, page_size, 0.05 * page_size[1], rng)
    left, top = (int(v) for v in middle - (width / 2, height / 2) + rng.uniform(-0.06, 0.06, 2) * view)
    left, top = min(max(left, 2), page_size[0] - width - 2), min(max(top, 2), page_size[1] - height - 2)
    _shade(desk, (left, top, width, height), max(page_size[1] // 90, 2))
    desk[top : top + height, left : left + width] = paper
    inner = 0.04 * height
    # What of it is in view, about.
    x0, y0 = max(left + inner, middle[0] - 0.49 * view[0]), max(top + inner, middle[1] - 0.49 * view[1])
    x1 = min(left + width - inner, middle[0] + 0.49 * view[0])
    y1 = min(top + height - inner, middle[1] + 0.49 * view[1])
    return Sheet(desk), (x0, y0, x1 - x0, y1 - y0)


def _shade(desk: Canvas, sheet: tuple[int, int, int, int], drop: int) -> None:
    """The paper's shadow on the desk."""
    x, y, width, height = sheet
    shadow = np.zeros(desk.shape[:2], np.float32)
    shadow[y + drop // 2 : y + height + drop, x + drop // 3 : x + width + drop // 2] = 0.5
    desk *= 1.0 - cv2.GaussianBlur(shadow, (0, 0), drop)[:, :, None]


def _view(
    conditions: Conditions, page_size: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """The matrix from page to frame pixels."""
    unit = size[1] * OVERSAMPLE
    to_middle = np.array([[1 / unit, 0, -page_size[0] / 2 / unit], [0, 1 / unit, -page_size[1] / 2 / unit], [0, 0, 1]])
    cosine, sine = np.cos(np.radians(conditions.turn)), np.sin(np.radians(conditions.turn))
    x, y = rng.normal(0.0, 0.02, 2)
    across, down = np.clip(conditions.keystone, -0.3, 0.3)
    camera = np.array([[cosine, -sine, x], [sine, cosine, y], [across, down, 1.0]])
    to_frame = np.array([[size[1], 0, size[0] / 2], [0, size[1], size[1] / 2], [0, 0, 1.0]])
    view: npt.NDArray[np.float64] = to_frame @ camera @ to_middle
    return view


def _truth(
    sheet: Sheet, view: npt.NDArray[np.float64], luma: Image, ink: Image
) -> tuple[list[FrameDigit], list[Box], list[DigitInk]]:
    """Digits to be read, what is left out of the count, and the ink of all."""
    height, width = luma.shape
    digits, ignore, inks = [], [], []
    for digit in sheet.digits:
        # Hulls are corners of pixels, whose middles have whole coordinates: half a pixel off, before and after.
        hull = cv2.perspectiveTransform(digit.hull[:, None] - 0.5, view)[:, 0] + 0.5
        low = np.maximum(np.floor(hull.min(axis=0) + 0.3).astype(int), 0)
        high = np.minimum(np.ceil(hull.max(axis=0) - 0.3).astype(int), (width, height))
        if (low >= high).any():
            continue
        box = Box(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
        places = _seen_places(digit, sheet.hidden, view, (width, height))
        seen = len(places) / len(digit.ink)
        state: Literal["whole", "doubtful", "cut"] = "cut"
        if seen >= _SEEN and _readable(luma, ink, box):
            state = "whole"
            digits.append(FrameDigit(digit.label, box, digit.row, digit.number))
        elif seen >= _CUT or digit.label == "1":  # what is left of a 1 is a 1
            state = "doubtful"
            ignore.append(box)
        inks.append(DigitInk(digit.label, state, places, seen))
    return digits, ignore, inks


def _seen_places(
    digit: PlacedDigit, hidden: Image, view: npt.NDArray[np.float64], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Points of the digit's ink that are in the frame, with nothing on them, in the frame's coordinates."""
    places = cv2.perspectiveTransform(digit.ink[:, None], view)[:, 0]
    inside = ((places >= 0) & (places < np.array(size))).all(axis=1)
    cells = np.clip(digit.ink.astype(int), 0, np.array(hidden.shape[::-1]) - 1)
    seen = inside & (hidden[cells[:, 1], cells[:, 0]] == 0)
    return np.asarray(places[seen], np.float32)


def _readable(luma: Image, ink: Image, box: Box) -> bool:
    """Whether what the camera made of the digit still follows its ink, and stands out from its paper."""
    window = np.s_[max(box.y - 2, 0) : box.bottom + 2, max(box.x - 2, 0) : box.right + 2]
    covered, level = ink[window].astype(np.float32).ravel() / 255.0, luma[window].astype(np.float32).ravel()
    spread, contrast = float(covered.std()), float(level.std())
    if spread < 1e-3 or contrast < 1e-3:
        return False
    shared = float(((covered - covered.mean()) * (level - level.mean())).mean())
    return abs(shared) / (spread * contrast) >= _READABLE and abs(shared) / spread**2 >= _CONTRAST
