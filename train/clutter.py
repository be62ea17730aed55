"""What a camera sees beside digits: signs and drawings of a pen, and things that lie on the paper.

Families have names and belong to the train or the test split. What a person may take for a digit is left out by
construction: upright bars (1), single closed rings (0), hooks (7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.pages import Color
from runtime.strokes import Hand, Polyline, glyph_strokes
from runtime.values import Image
from train.papers import Canvas
from train.splits import Split

Paths = list[Polyline]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A family of pen drawings; ``draw`` gives paths that fill about a unit square."""

    name: str
    split: Split
    draw: Callable[[np.random.Generator], Paths]


@dataclass(frozen=True, slots=True)
class Thing:
    """A family of things on the paper; ``put`` paints one about a place, of a size, and marks what it hides.

    Attributes:
        name: unique.
        split: whose it is.
        put: paints on pixels float32 (H, W, 3) and sets ``hidden`` uint8 (H, W) to 255; then place, size, chance.
    """

    name: str
    split: Split
    put: Callable[[Canvas, Image, npt.NDArray[np.float64], float, np.random.Generator], None]


def _glyph(glyph: str) -> Callable[[np.random.Generator], Paths]:
    def draw(rng: np.random.Generator) -> Paths:
        hand = Hand((), rng.uniform(-0.1, 0.25), rng.uniform(0.8, 1.3), 0.0, rng.uniform(0.01, 0.03), 0.02)
        return [path.astype(np.float32) for path in glyph_strokes(glyph, rng, hand)]

    return draw


def _loops(rng: np.random.Generator) -> Paths:
    """A spring of loops, seven at the least: fewer now and then make a digit."""
    turns = float(rng.integers(7, 12))
    t = np.linspace(0, turns * 2 * np.pi, int(turns * 18))
    radius = 0.18 * (1 + 0.3 * np.sin(t * rng.uniform(0.1, 0.4)))
    x, y = t / (turns * 2 * np.pi) * rng.uniform(1.0, 2.2) + radius * np.cos(t), 0.5 + 1.6 * radius * np.sin(t)
    return [np.stack([x, y + 0.04 * rng.standard_normal(len(t)).cumsum() / 6], 1).astype(np.float32)]


def _zigzag(rng: np.random.Generator) -> Paths:
    """A crossing-out: back and forth, densely."""
    count = int(rng.integers(9, 20))
    x = np.linspace(0, rng.uniform(0.7, 1.8), count) + rng.normal(0, 0.03, count)
    y = np.where(np.arange(count) % 2, rng.uniform(0.0, 0.25, count), rng.uniform(0.75, 1.0, count))
    return [np.stack([x, y], 1).astype(np.float32)]


def _tangle(rng: np.random.Generator) -> Paths:
    """A pen let loose: a smooth curve through eight to fourteen random places."""
    points = np.vstack([rng.uniform(0, 1, (int(rng.integers(8, 15)), 2))])
    t = np.linspace(0, len(points) - 1, 12 * len(points))
    path = np.stack([np.interp(t, np.arange(len(points)), points[:, axis]) for axis in (0, 1)], 1)
    kernel = np.ones(11) / 11
    smooth = np.stack([np.convolve(path[:, axis], kernel, "valid") for axis in (0, 1)], 1)
    return [smooth.astype(np.float32)]


def _hatching(rng: np.random.Generator) -> Paths:
    lean = rng.uniform(0.2, 0.7)
    xs = np.linspace(0, rng.uniform(0.8, 1.6), int(rng.integers(5, 10)))
    return [
        np.array([(x + lean + rng.normal(0, 0.03), rng.normal(0, 0.05)), (x, 1 + rng.normal(0, 0.05))], np.float32)
        for x in xs
    ]


def _wave(rng: np.random.Generator) -> Paths:
    x = np.linspace(0, rng.uniform(2, 5), 80)
    return [np.stack([x, 0.5 + 0.12 * np.sin(x * rng.uniform(5, 9))], 1).astype(np.float32)]


def _double_line(rng: np.random.Generator) -> Paths:
    x = np.linspace(0, rng.uniform(2, 5), 20)
    bow, gap = rng.normal(0, 0.03), rng.uniform(0.1, 0.25)
    line = np.stack([x, 0.4 + bow * (x - 1) ** 2], 1).astype(np.float32)
    return [line, line + np.array((rng.normal(0, 0.1), gap), np.float32)]


def _curved_arrow(rng: np.random.Generator) -> Paths:
    t = np.linspace(0, 1, 24)
    bend, length = rng.uniform(0.25, 0.5) * rng.choice((-1, 1)), rng.uniform(1.0, 2.0)
    shaft = np.stack([length * t, 0.5 + bend * np.sin(np.pi * t)], 1)
    back = np.arctan2(*(shaft[-4] - shaft[-1])[::-1])
    barbs = [shaft[-1] + 0.3 * np.array((np.cos(back + a), np.sin(back + a))) for a in (0.5, -0.5)]
    return [shaft.astype(np.float32), np.array([barbs[0], shaft[-1], barbs[1]], np.float32)]


def _frame(rng: np.random.Generator) -> Paths:
    """A box for an answer, wider than high, drawn in one go; its end misses its start."""
    width = rng.uniform(1.6, 4.0)
    corners = np.array([(0, 0), (width, 0), (width, 1), (0, 1), (0, 0.08)]) + rng.normal(0, 0.03, (5, 2))
    return [corners.astype(np.float32)]


def _table(rng: np.random.Generator) -> Paths:
    """Lines of a hand-drawn table: two to three cells a row."""
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    across = [np.array([(-0.1, y), (columns * 0.6 + 0.1, y + rng.normal(0, 0.02))]) for y in np.linspace(0, 1, rows)]
    down = [np.array([(x * 0.6, -0.1), (x * 0.6 + rng.normal(0, 0.02), 1.1)]) for x in range(columns + 1)]
    return [line.astype(np.float32) for line in (*across, *down)]


DRAWINGS = (
    Drawing("loops", "train", _loops),
    Drawing("hatching", "train", _hatching),
    Drawing("tangle", "train", _tangle),
    Drawing("wavy-underline", "train", _wave),
    Drawing("answer-box", "train", _frame),
    Drawing("plus", "train", _glyph("30,20 30,50 30,85 | 0,53 30,52 62,52")),
    Drawing("hash", "train", _glyph("28,10 14,92 | 58,10 44,92 | 0,38 76,36 | -4,68 72,66")),
    Drawing("arrow-right", "train", _glyph("0,50 50,50 120,50 | 92,26 122,50/ 92,76")),
    Drawing("star", "train", _glyph("10,96 34,6/ 60,94/ 0,38/ 68,36/ 10,96")),
    Drawing("zigzag", "test", _zigzag),
    Drawing("double-underline", "test", _double_line),
    Drawing("curved-arrow", "test", _curved_arrow),
    Drawing("table-lines", "test", _table),
    Drawing("equals", "test", _glyph("0,38 30,37 64,37 | 0,66 30,65 64,64")),
    Drawing("asterisk", "test", _glyph("34,8 34,92 | 2,30 66,72 | 66,28 2,74")),
    Drawing(
        "at", "test", _glyph("62,40 44,34 32,52 44,70 58,60 64,34/ 66,66 84,60 86,30 60,4 24,10 4,50 20,88 56,98 80,88")
    ),
    Drawing("house", "test", _glyph("6,100 6,46/ 44,4/ 84,46/ 84,100/ 6,99 | 36,100 36,68/ 56,68/ 56,100")),
    Drawing("double-arrow", "test", _glyph("24,30 0,52/ 24,74 | 0,52 60,52 118,51 | 94,28 120,52/ 94,76")),
)
"""Every family of pen drawings but words, which ``train.letters`` writes."""


def _capsule(
    canvas: Canvas,
    hidden: Image,
    ends: npt.NDArray[np.float64],
    widths: tuple[float, float],
    color: npt.NDArray[np.float64],
    shine: float,
) -> None:
    """A round bar from one end to the other, lit from above, with a soft shadow."""
    across = np.array((ends[0, 1] - ends[1, 1], ends[1, 0] - ends[0, 0]))
    across /= max(float(np.linalg.norm(across)), 1e-6)
    mask = np.zeros(hidden.shape, np.uint8)
    sides = [ends[0] + across * widths[0] / 2, ends[1] + across * widths[1] / 2]
    sides += [ends[1] - across * widths[1] / 2, ends[0] - across * widths[0] / 2]
    cv2.fillPoly(mask, [np.rint(np.array(sides) * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    for end, width in zip(ends, widths, strict=True):
        cv2.circle(mask, (round(end[0] * 16), round(end[1] * 16)), round(width * 8), 255, -1, cv2.LINE_8, 4)
    x, y, w, h = cv2.boundingRect(mask)
    if not w:
        return
    pad = int(max(widths)) + 2
    x0, y0 = max(x - pad, 0), max(y - pad, 0)
    window = np.s_[y0 : y + h + pad, x0 : x + w + pad]
    soft = cv2.GaussianBlur(mask[window], (0, 0), 0.3 * max(widths)).astype(np.float32) / 255.0
    drop = max(round(0.2 * max(widths)), 1)
    canvas[window] *= 1.0 - 0.35 * np.roll(soft, (drop, drop), (0, 1))[:, :, None]
    rows, columns = np.indices(mask[window].shape, np.float32)
    offset = ((columns + x0 - ends[0, 0]) * across[0] + (rows + y0 - ends[0, 1]) * across[1]) / (max(widths) / 2)
    light = 0.75 + 0.3 * np.sqrt(np.clip(1.0 - offset**2, 0.0, 1.0)) + shine * np.exp(-(((offset + 0.35) / 0.15) ** 2))
    body = np.clip(np.asarray(color)[None, None] * light[:, :, None], 0, 255)
    cover = (cv2.GaussianBlur(mask[window], (0, 0), 0.8).astype(np.float32) / 255.0)[:, :, None]
    canvas[window] += cover * (body - canvas[window])
    hidden[window] = np.maximum(hidden[window], mask[window])


def _fingers(
    canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator, count: int
) -> None:
    """Fingers that reach in from beyond the place, away from the middle of the canvas."""
    middle = np.array(canvas.shape[1::-1]) / 2
    out = np.arctan2(*(place - middle)[::-1]) + rng.normal(0, 0.2)
    skin = np.array([(150, 180, 226), (120, 150, 205), (84, 112, 170), (54, 74, 118)])[int(rng.integers(4))]
    width = 0.35 * size
    for i in range(count):
        side = np.array((-np.sin(out), np.cos(out))) * (i - (count - 1) / 2) * 0.9 * width
        tip = place + side - np.array((np.cos(out), np.sin(out))) * rng.uniform(0, 0.3) * size
        angle = out + 0.06 * (i - (count - 1) / 2) + rng.normal(0, 0.04)
        root = tip + 12 * size * np.array((np.cos(angle), np.sin(angle)))
        _capsule(canvas, hidden, np.array([tip, root]), (0.8 * width, 1.3 * width), skin, 0.0)


def _finger(
    canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator
) -> None:
    _fingers(canvas, hidden, place, size, rng, 1)


def _hand(canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    _fingers(canvas, hidden, place, size, rng, 4)


def _rod(colors: tuple[Color, ...], thickness: float, shine: float) -> Callable[..., None]:
    def put(
        canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator
    ) -> None:
        angle = rng.uniform(0, 2 * np.pi)
        along = np.array((np.cos(angle), np.sin(angle)))
        color = np.array(colors[int(rng.integers(len(colors)))], float)
        length, width = size * rng.uniform(3, 6), size * thickness
        tip = place - 0.5 * length * along
        _capsule(canvas, hidden, np.array([tip - 0.6 * width * along, tip]), (0.15 * width, width), 0.7 * color, shine)
        _capsule(canvas, hidden, np.array([tip, tip + length * along]), (width, width), color, shine)

    return put


def _stain(darkness: float, softness: float) -> Callable[..., None]:
    def put(
        canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator
    ) -> None:
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        ripple = sum(rng.normal(0, 0.22 / k) * np.cos(k * angles + rng.uniform(0, 6)) for k in range(1, 6))
        radii = size * np.clip(0.6 + ripple, 0.2, 1.2)
        outline = place + np.stack([radii * np.cos(angles) * rng.uniform(0.8, 2.0), radii * np.sin(angles)], 1)
        mask = np.zeros(hidden.shape, np.uint8)
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 255)
        soft = cv2.GaussianBlur(mask, (0, 0), max(softness * size, 0.8)).astype(np.float32)[:, :, None] / 255.0
        tint = np.array(((70, 110, 150), (90, 90, 90), (60, 80, 60))[int(rng.integers(3))], np.float32) / 255.0
        canvas *= 1.0 - darkness * soft * (1.0 - tint)

    return put


def _cable(
    canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator
) -> None:
    """From border to border of the canvas, past the place."""
    height, width = hidden.shape
    t = np.linspace(0, 1, 60)
    x = t * width
    y = place[1] + 0.35 * height * np.sin(2 * np.pi * (rng.uniform(0.3, 0.9) * t + rng.uniform()))
    path = [np.rint(np.stack([x, y], 1) * 16).astype(np.int32)]
    thick = max(int(0.18 * size), 3)
    for color, extra in (((46, 44, 44), 0), ((90, 88, 86), -thick // 2)):
        cv2.polylines(canvas, path, False, color, max(thick + extra, 1), cv2.LINE_AA, 4)
    cv2.polylines(hidden, path, False, 255, thick, cv2.LINE_8, 4)


def _tape(canvas: Canvas, hidden: Image, place: npt.NDArray[np.float64], size: float, rng: np.random.Generator) -> None:
    """A strip of sticky tape: a faint rectangle with hard edges."""
    box = cv2.boxPoints(((float(place[0]), float(place[1])), (size * rng.uniform(1.5, 3), size), rng.uniform(0, 180)))
    mask = np.zeros(hidden.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(box).astype(np.int32)], 255)
    cover = mask.astype(np.float32)[:, :, None] / 255.0 * rng.uniform(0.3, 0.6)
    canvas += cover * (np.array((190, 220, 232), np.float32) - canvas)


THINGS = (
    Thing("finger", "train", _finger),
    Thing("ballpoint-pen", "train", _rod(((150, 60, 30), (40, 40, 44), (40, 40, 180)), 0.35, 0.6)),
    Thing("coffee-stain", "train", _stain(0.5, 0.12)),
    Thing("ink-blot", "train", _stain(1.0, 0.01)),
    Thing("cable", "train", _cable),
    Thing("hand", "test", _hand),
    Thing("pencil", "test", _rod(((60, 190, 235), (60, 120, 60), (50, 60, 190)), 0.3, 0.25)),
    Thing("smudge", "test", _stain(0.35, 0.3)),
    Thing("grease-spot", "test", _stain(0.7, 0.05)),
    Thing("tape", "test", _tape),
)
"""Every family of things on the paper."""
