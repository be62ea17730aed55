"""What ink is on, and what lies under it: papers, boards and desks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from runtime.pages import Color
from runtime.strokes import soft_noise
from runtime.values import Polarity
from train.splits import Split

Canvas: TypeAlias = npt.NDArray[np.float32]
"""float32 (H, W, 3), blue, green, red from 0 to 255."""

Texture: TypeAlias = Literal["", "fibers", "specks", "creases", "weave", "corrugated", "wiped", "wood", "stone"]
Ruling: TypeAlias = Literal["", "lines", "margin", "grid", "dots"]


@dataclass(frozen=True, slots=True)
class Stock:
    """A paper, a board or a desk.

    Attributes:
        name: unique.
        split: whose it is.
        kind: plain, ruled, grid, sticky, textured or board (a tag of frames); or desk.
        color: blue, green, red.
        ink: the polarity of ink that shows on it.
        grain: contrast of the fine grain, in gray levels.
        texture: what it is made of.
        ruling: printed lines.
        ruling_color: their color.
    """

    name: str
    split: Split
    kind: Literal["plain", "ruled", "grid", "sticky", "textured", "board", "desk"]
    color: Color
    ink: Polarity = "dark"
    grain: float = 1.5
    texture: Texture = ""
    ruling: Ruling = ""
    ruling_color: Color = (220, 204, 186)


PAPERS = (
    Stock("copy-paper", "train", "plain", (238, 240, 240)),
    Stock("cream", "train", "plain", (206, 226, 236), grain=2.2),
    Stock("ruled-blue", "train", "ruled", (238, 240, 238), ruling="lines"),
    Stock("ruled-margin", "train", "ruled", (232, 240, 242), ruling="margin", ruling_color=(214, 196, 170)),
    Stock("grid-gray", "train", "grid", (240, 242, 242), ruling="grid", ruling_color=(206, 206, 206)),
    Stock("grid-blue", "train", "grid", (236, 240, 238), ruling="grid", ruling_color=(222, 206, 174)),
    Stock("sticky-yellow", "train", "sticky", (120, 226, 250), grain=1.0),
    Stock("sticky-pink", "train", "sticky", (190, 160, 246), grain=1.0),
    Stock("kraft", "train", "textured", (118, 158, 190), grain=3.0, texture="fibers"),
    Stock("recycled", "train", "textured", (196, 206, 210), grain=3.0, texture="specks"),
    Stock("crumpled", "train", "textured", (228, 232, 234), texture="creases"),
    Stock("chalkboard", "train", "board", (62, 78, 58), "light", grain=2.5, texture="wiped"),
    Stock("black-card", "train", "board", (44, 40, 40), "light", grain=2.0),
    Stock("bright-paper", "test", "plain", (246, 244, 242), grain=1.0),
    Stock("ivory", "test", "plain", (196, 220, 228), grain=2.2),
    Stock("ruled-gray", "test", "ruled", (236, 238, 240), ruling="lines", ruling_color=(198, 198, 200)),
    Stock("legal-pad", "test", "ruled", (150, 226, 242), ruling="margin", ruling_color=(188, 190, 160)),
    Stock("grid-green", "test", "grid", (232, 242, 238), ruling="grid", ruling_color=(186, 222, 190)),
    Stock("dotted", "test", "grid", (238, 240, 242), ruling="dots", ruling_color=(178, 178, 180)),
    Stock("sticky-green", "test", "sticky", (150, 236, 190), grain=1.0),
    Stock("sticky-orange", "test", "sticky", (110, 186, 250), grain=1.0),
    Stock("cardboard", "test", "textured", (124, 162, 196), grain=2.5, texture="corrugated"),
    Stock("linen", "test", "textured", (214, 224, 228), grain=1.5, texture="weave"),
    Stock("folded-often", "test", "textured", (214, 228, 236), texture="creases"),
    Stock("slate", "test", "board", (74, 70, 66), "light", grain=3.0, texture="wiped"),
    Stock("navy-card", "test", "board", (84, 50, 38), "light", grain=2.0),
)
"""Every paper and board."""

DESKS = (
    Stock("oak", "train", "desk", (98, 128, 158), grain=2.0, texture="wood"),
    Stock("walnut", "train", "desk", (48, 64, 88), grain=2.0, texture="wood"),
    Stock("white-table", "train", "desk", (214, 218, 220), grain=1.0),
    Stock("gray-cloth", "train", "desk", (120, 118, 116), grain=3.0, texture="weave"),
    Stock("pine", "test", "desk", (138, 176, 204), grain=2.0, texture="wood"),
    Stock("granite", "test", "desk", (112, 110, 112), grain=4.0, texture="stone"),
    Stock("cutting-mat", "test", "desk", (96, 104, 44), grain=1.5, ruling="grid", ruling_color=(126, 132, 76)),
    Stock("black-table", "test", "desk", (44, 44, 46), grain=1.5),
)
"""What papers lie on."""


def draw_stock(stock: Stock, size: tuple[int, int], spacing: float, rng: np.random.Generator) -> Canvas:
    """A sheet without ink.

    Args:
        stock: what to draw.
        size: width and height in pixels.
        spacing: from one printed line to the next, in pixels.
        rng: where chance comes from.
    """
    color = np.clip(np.array(stock.color) * rng.uniform(0.92, 1.03) + rng.normal(0.0, 3.0, 3), 12, 250)
    sheet = np.empty((size[1], size[0], 3), np.float32)
    sheet[:] = color
    if stock.ruling:
        _rule(sheet, stock, spacing, rng)
    shade = stock.grain * soft_noise(size, 0.8, rng) + rng.uniform(0.5, 2.0) * soft_noise(size, 0.1 * size[0], rng)
    shade += _textured(stock.texture, size, rng)
    sheet += shade[:, :, None]
    return sheet


def _rule(sheet: Canvas, stock: Stock, spacing: float, rng: np.random.Generator) -> None:
    height, width = sheet.shape[:2]
    thick = max(1, round(height / 500 * rng.uniform(0.8, 1.8)))
    strength = rng.uniform(0.7, 1.7)
    color = tuple(float(c) for c in strength * np.array(stock.ruling_color) + (1 - strength) * sheet[0, 0])
    if stock.ruling == "dots":
        for y in np.arange(rng.uniform(0, spacing), height, spacing):
            for x in np.arange(spacing / 3, width, spacing):
                cv2.circle(sheet, (int(x), int(y)), thick, color, -1, cv2.LINE_AA)
        return
    for y in np.arange(rng.uniform(0, spacing), height, spacing):
        cv2.line(sheet, (0, round(y)), (width, round(y)), color, thick)
    if stock.ruling == "grid":
        for x in np.arange(rng.uniform(0, spacing), width, spacing):
            cv2.line(sheet, (round(x), 0), (round(x), height), color, thick)
    if stock.ruling == "margin":
        x = round(width * rng.uniform(0.1, 0.2))
        cv2.line(sheet, (x, 0), (x, height), (150.0, 150.0, 226.0), thick)


def _textured(texture: Texture, size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float32] | float:
    """Gray levels to add, float32 (H, W)."""
    width, height = size
    if texture == "specks":
        spots = soft_noise(size, 1.2, rng)
        return np.where(spots > 2.3, np.float32(-34.0), np.float32(0.0))
    if texture == "fibers":
        return 4.0 * _stretched((width // 12, height // 2), size, rng) + 3.0 * soft_noise(size, 2.0, rng)
    if texture == "weave":
        threads = _stretched((width // 2, height // 30), size, rng) + _stretched((width // 30, height // 2), size, rng)
        return np.asarray(3.0 * threads, np.float32)
    if texture == "corrugated":
        wave = np.sin(np.arange(width, dtype=np.float32) * np.float32(2 * np.pi / rng.uniform(9, 15)))
        return 3.0 * wave[None, :] + 2.5 * _stretched((width // 12, height // 2), size, rng)
    if texture == "wiped":
        return 6.0 * _stretched((width // 160 + 2, height // 24), size, rng) + 5.0 * soft_noise(size, 0.05 * width, rng)
    if texture == "wood":
        return 7.0 * _stretched((5, height // 5), size, rng) + 3.0 * _stretched((width // 40, height // 2), size, rng)
    if texture == "stone":
        return 9.0 * soft_noise(size, 3.0, rng) + 6.0 * soft_noise(size, 9.0, rng)
    if texture == "creases":
        return _creases(size, rng)
    return 0.0


def _stretched(cells: tuple[int, int], size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Noise of so many cells across and down, enlarged: streaks."""
    noise = rng.standard_normal((max(cells[1], 2), max(cells[0], 2)), np.float32)
    return np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _creases(size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Facets between folds, each tilted to the light its own way, and a fine line along each fold."""
    small = (max(size[0] // 3, 2), max(size[1] // 3, 2))
    y, x = np.indices((small[1], small[0]), np.float32)
    shade = np.zeros((small[1], small[0]), np.float32)
    for _ in range(int(rng.integers(4, 10))):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(20, 90)
        across = (x - rng.uniform(0, small[0])) * np.float32(np.cos(angle))
        across += (y - rng.uniform(0, small[1])) * np.float32(np.sin(angle))
        fold = np.float32(rng.uniform(5, 12)) * np.exp(-np.abs(across) / np.float32(reach)) * np.sign(across)
        shade += fold + np.float32(rng.uniform(-16, 10)) * np.exp(-((across / np.float32(0.7)) ** 2))
    return np.asarray(cv2.resize(shade, size, interpolation=cv2.INTER_LINEAR), np.float32)
