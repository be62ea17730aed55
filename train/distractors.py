"""What is not a digit: ink that a camera sees beside digits, drawn for the ``none`` class.

Each family is a small function ``(rng, digits) -> uint8 (96, width)`` ink, bright on black; the width is 96 but for
words and joined digits. What could pass for a digit is left out by construction: upright bars (1), closed rings (0),
and the letters that share a digit's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from runtime.values import Image
from train.letters import LetterHand, write_word

SIDE = 96
"""Side of the canvas, in pixels."""

LOOKALIKE_LETTERS = frozenset("OoIilSsZzBbqgG")
"""Letters that a person may read as a digit; neither a digit nor ``none`` is learned from them."""

_SIGNS = list("&#%@$+=*<^~:-_")  # without ? > } ] and the like, which a hand makes into a 2, 7, 3 or 1
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)

_TRIES = 100  # of a family, which may have nothing to make of narrow digits


def draw_distractor(rng: np.random.Generator, digits: Image) -> Image:
    """Draw one thing that is not a digit.

    Args:
        rng: source of all randomness.
        digits: uint8 (n, 28, 28) digit images, for the families made of digits (cut, joined, crossed out).

    Returns:
        uint8 (96, width), bright ink on black, never empty; the width is 96 but for words and joined digits.
    """
    while True:
        family = list(FAMILIES)[rng.choice(len(FAMILIES), p=_WEIGHTS)]
        for _ in range(_TRIES):
            canvas = family(rng, digits)
            if canvas.any():
                return canvas


def _letter(rng: np.random.Generator, digits: Image) -> Image:
    hand = LetterHand.random(rng, "train")
    return _pen_word(rng, str(rng.choice(list(hand.letters))), hand)


def _word(rng: np.random.Generator, digits: Image) -> Image:
    hand = LetterHand.random(rng, "train")
    return _pen_word(rng, "".join(rng.choice(list(hand.letters), rng.integers(2, 5))), hand)


def _word_part(rng: np.random.Generator, digits: Image) -> Image:
    """A stretch of joined writing, cut anywhere: as where the detector breaks a word into pieces."""
    hand = replace(LetterHand.random(rng, "train"), joined=1.0)
    small = [letter for letter in hand.letters if letter.islower()]
    word = _pen_word(rng, "".join(rng.choice(small, 4)), hand)
    width = int(rng.uniform(0.35, 0.95) * SIDE)
    x = int(rng.integers(0, max(word.shape[1] - width, 1)))
    part = np.zeros((SIDE, SIDE), np.uint8)
    cut = word[:, x : x + min(width, SIDE)]
    part[:, : cut.shape[1]] = cut
    _, _, wide, tall = cv2.boundingRect(part)
    return part if tall < 1.8 * wide else np.zeros_like(part)  # an upright stroke is a 1, a narrow loop a 0


def _pen_word(rng: np.random.Generator, word: str, hand: LetterHand) -> Image:
    """Letters 76 pixels high, or lower if they are too wide for half as much again as the canvas."""
    paths = write_word(word, rng, hand)
    points = np.concatenate(paths)
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = float(min((SIDE - 20) / max(extent[1], 0.2), (1.5 * SIDE if len(word) > 1 else SIDE - 20) / extent[0]))
    width = max(SIDE, int(np.ceil(extent[0] * scale)) + 20)
    offset = (np.array((width, SIDE)) - extent * scale) / 2
    thickness = max(1, round(scale * float(np.exp(rng.uniform(np.log(0.03), np.log(0.16))))))
    canvas = np.zeros((SIDE, width), np.uint8)
    fixed = [np.rint(((path - low) * scale + offset) * 16).astype(np.int32) for path in paths]
    cv2.polylines(canvas, fixed, False, 255, thickness, cv2.LINE_AA, 4)
    return canvas


def _sign(rng: np.random.Generator, digits: Image) -> Image:
    return _text(rng, str(rng.choice(_SIGNS)))


def _text(rng: np.random.Generator, text: str) -> Image:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    font = int(rng.choice(_FONTS)) | (cv2.FONT_ITALIC if rng.random() < 0.3 else 0)
    thickness = int(rng.integers(1, 9))
    (width, height), baseline = cv2.getTextSize(text, font, 1, thickness)
    scale = 70 / max(width, height + baseline)
    origin = round((SIDE - width * scale) / 2), round((SIDE + (height - baseline / 2) * scale) / 2)
    cv2.putText(canvas, text, origin, font, scale, 255, thickness, cv2.LINE_AA)
    return _bend(rng, canvas, 5.0)


def _scribble(rng: np.random.Generator, digits: Image) -> Image:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    thickness = int(rng.integers(2, 10))
    for _ in range(rng.integers(1, 4)):
        # At least seven turns: with fewer, a single stroke now and then makes a fair digit.
        points = rng.uniform(10, SIDE - 10, (rng.integers(7, 13), 2))
        cv2.polylines(canvas, [np.round(_smooth(points)).astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
    return canvas


def _line(rng: np.random.Generator, digits: Image) -> Image:
    """One to three straight lines, none steeper than a hand slants a 1."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    angle = rng.uniform(-22, 22)
    for _ in range(rng.integers(1, 4)):
        center, half = rng.uniform(33, 63, 2), rng.uniform(18, 41)
        tilt = np.radians(angle + rng.normal(0, 3))
        reach = half * np.array([np.cos(tilt), np.sin(tilt)])
        ends = [tuple(int(v) for v in np.round(center + sign * reach)) for sign in (-1, 1)]
        cv2.line(canvas, ends[0], ends[1], 255, int(rng.integers(1, 9)), cv2.LINE_AA)
    return _bend(rng, canvas, 3.0)


def _arrow(rng: np.random.Generator, digits: Image) -> Image:
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    start, end = ((int(a), int(b)) for a, b in (rng.uniform(11, 41, 2), rng.uniform(55, 85, 2)))
    if rng.random() < 0.5:
        start, end = (start[0], end[1]), (end[0], start[1])
    cv2.arrowedLine(canvas, start, end, 255, int(rng.integers(2, 8)), cv2.LINE_AA, 0, rng.uniform(0.2, 0.45))
    return _bend(rng, canvas, 4.0)


def _frame(rng: np.random.Generator, digits: Image) -> Image:
    """Outlines of boxes and their corners, as in forms and on page edges; not the corner that looks like a 7."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    width, height = rng.uniform(30, 79, 2)
    x, y = (SIDE - width) / 2, (SIDE - height) / 2
    corners = np.array([[x, y], [x, y + height], [x + width, y + height], [x + width, y], [x, y]])
    first, last = [(0, 5), (0, 3), (1, 4), (0, 4)][rng.integers(4)]
    kept = np.round(corners[first:last]).astype(np.int32)
    cv2.polylines(canvas, [kept], False, 255, int(rng.integers(2, 8)), cv2.LINE_AA)
    return _bend(rng, canvas, 2.5)


def _blob(rng: np.random.Generator, digits: Image) -> Image:
    """A filled shape: a stain, a thumb, a shadow, a speck."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 14)))
    radii = rng.uniform(11, 41, (len(angles), 1))
    points = SIDE / 2 + radii * np.stack([np.cos(angles) * rng.uniform(0.5, 1), np.sin(angles)], 1)
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 255, cv2.LINE_AA)
    return canvas


def _specks(rng: np.random.Generator, digits: Image) -> Image:
    """Paper grain, print-through or noise that passed the threshold in one clump."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), rng.uniform(1.2, 5))
    window = cv2.getGaussianKernel(SIDE, rng.uniform(11, 30))
    field = noise / noise.std() + 1.5 * (window @ window.T / window.max() ** 2) - rng.uniform(1.0, 2.0)
    return np.where(field > 0, 255, 0).astype(np.uint8)


def _cut(rng: np.random.Generator, digits: Image) -> Image:
    """A digit cut off at its left or right, as by the edge of a picture: 20 to 50 % of its ink is left."""
    digit = _digit(rng, digits)
    ink = digit.sum(axis=0, dtype=np.int64).cumsum()
    border = int(np.searchsorted(ink, ink[-1] * rng.uniform(0.2, 0.5)))
    if rng.random() < 0.5:
        digit[:, border:] = 0
    else:
        digit[:, : SIDE - int(np.searchsorted((ink[-1] - ink)[::-1], ink[-1] * rng.uniform(0.2, 0.5)))] = 0
    _, _, width, height = cv2.boundingRect(digit)
    # What is left of an upright stroke is a 1: an empty canvas, drawn again by the caller.
    return digit if height < 1.4 * width else np.zeros_like(digit)


def _joined(rng: np.random.Generator, digits: Image) -> Image:
    """Two or three digits that touch, seen as one."""
    count = int(rng.integers(2, 4))
    parts = []
    for _ in range(count):
        digit = _digit(rng, digits)
        x, _, width, _ = cv2.boundingRect(digit)
        parts.append(digit[:, x : x + width])
    overlap = int(rng.integers(0, 7))
    total = sum(part.shape[1] for part in parts) - overlap * (count - 1)
    row = np.zeros((SIDE, max(total, 1)), np.uint8)
    x = 0
    for part in parts:
        y = int(rng.integers(-6, 7))
        place = row[:, x : x + part.shape[1]]
        np.maximum(place, np.roll(part, y, 0)[:, : place.shape[1]], out=place)
        x += part.shape[1] - overlap
    return row


def _crossed_out(rng: np.random.Generator, digits: Image) -> Image:
    canvas = _digit(rng, digits)
    x, y, width, height = cv2.boundingRect(canvas)
    thickness = int(rng.integers(3, 9))
    for _ in range(rng.integers(3, 6)):
        left = (x - int(rng.integers(2, 11)), y + int(rng.integers(0, height)))
        right = (x + width + int(rng.integers(2, 11)), y + int(rng.integers(0, height)))
        cv2.line(canvas, left, right, 255, thickness, cv2.LINE_AA)
    return canvas


def _digit(rng: np.random.Generator, digits: Image) -> Image:
    """A digit's image enlarged to the canvas."""
    image = digits[rng.integers(len(digits))]
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)


def _smooth(points: np.ndarray, steps: int = 12) -> np.ndarray:
    """Catmull-Rom curve through the points, ``steps`` samples a segment."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(pieces)


def _bend(rng: np.random.Generator, canvas: Image, strength: float) -> Image:
    """Bend smoothly by up to a few times ``strength`` pixels, as no hand draws a straight line."""
    coarse = rng.normal(0, strength, (2, 4, 4)).astype(np.float32)
    shift_x, shift_y = (cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for grid in coarse)
    rows, columns = _GRID
    return cv2.remap(canvas, columns + shift_x, rows + shift_y, cv2.INTER_LINEAR)


_GRID = np.indices((SIDE, SIDE), np.float32)

FAMILIES: dict[Callable[[np.random.Generator, Image], Image], float] = {
    _letter: 6,
    _word: 2,
    _word_part: 2,
    _sign: 1.5,
    _scribble: 3,
    _line: 1.5,
    _arrow: 1,
    _frame: 1,
    _blob: 1,
    _specks: 1,
    _cut: 1,
    _joined: 2.5,
    _crossed_out: 1,
}
"""Every family, and how often it is drawn beside the others."""

_WEIGHTS = np.array(list(FAMILIES.values())) / sum(FAMILIES.values())
