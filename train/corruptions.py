"""The fifteen corruptions of MNIST-C, by their published definitions and severities.

N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer Vision", 2019 (arXiv 1906.02337); parameters and
details, such as a glass blur that softens along columns only, are those of the code that made the published data set.
Randomness is our own, OpenCV's Canny stands for scikit-image's, and the motion blur follows ImageMagick's definition.
Each function takes float32 (n, 28, 28) from 0 to 1 and gives the same, which is then cut to 0–1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from runtime.preprocess import FIELD
from runtime.values import Image

Pictures = npt.NDArray[np.float32]
_MIDDLE = (FIELD - 1) / 2
_LINE_REACH = 2.3  # pixels from its middle at which a drawn line has faded


@dataclass(frozen=True, slots=True)
class Corruption:
    """A family of corruptions.

    Attributes:
        name: MNIST-C's.
        seen: what training by the full recipe shows of the like, in crops of rendered frames or in varied digits; empty
            where it shows nothing, or nothing that the detector and ``preprocess`` leave in a crop.
        apply: corrupts pictures.
    """

    name: str
    seen: str
    apply: Callable[[Pictures, np.random.Generator], Pictures]


def corrupt(images: Image, corruption: Corruption, seed: int = 0) -> Image:
    """Corrupt pictures: uint8 (n, 28, 28) in and out, the same for the same seed."""
    rng = np.random.default_rng([seed, len(corruption.name), *corruption.name.encode()])
    parts = [images[i : i + 500].astype(np.float32) / np.float32(255) for i in range(0, len(images), 500)]
    done = [np.clip(corruption.apply(part, rng), 0, 1) * 255 for part in parts]
    return np.concatenate(done).astype(np.uint8)


def _shot_noise(x: Pictures, rng: np.random.Generator) -> Pictures:
    return (rng.poisson(x * 3) / 3).astype(np.float32)


def _impulse_noise(x: Pictures, rng: np.random.Generator) -> Pictures:
    hit, white = rng.random(x.shape) < 0.17, rng.random(x.shape) < 0.5
    return np.where(hit, white, x).astype(np.float32)


def _glass_blur(x: Pictures, rng: np.random.Generator) -> Pictures:
    """Softened, neighboring pixels swapped at random, softened again."""
    pixels = np.floor(_soften(x, 0.7, columns_only=True) * 255)
    every = np.arange(len(x))
    for _ in range(2):
        for row in range(FIELD - 1, 1, -1):
            for column in range(FIELD - 1, 1, -1):
                chosen = every[rng.random(len(x)) < 0.5]
                other_row, other_column = np.array([[row], [column]]) + rng.integers(-1, 1, (2, len(chosen)))
                here = pixels[chosen, row, column].copy()
                pixels[chosen, row, column] = pixels[chosen, other_row, other_column]
                pixels[chosen, other_row, other_column] = here
    return _soften((pixels / 255).astype(np.float32), 0.7, columns_only=True)


def _motion_blur(x: Pictures, rng: np.random.Generator) -> Pictures:
    """A one-sided Gaussian of 21 taps (radius 10, σ = 3) along a direction within 45° of the horizontal."""
    steps = np.arange(21)
    weights = np.exp(-(steps**2) / (2 * 3**2))
    weights /= weights.sum()
    out = np.zeros_like(x)
    for picture, result, angle in zip(x, out, np.radians(rng.uniform(-45, 45, len(x))), strict=True):
        across = np.ceil(steps * np.cos(angle) - 0.5).astype(int)
        down = np.ceil(steps * np.sin(angle) - 0.5).astype(int)
        framed = np.pad(picture, 21, mode="edge")
        for weight, dx, dy in zip(weights, across, down, strict=True):
            result += np.float32(weight) * framed[21 + dy : 21 + dy + FIELD, 21 + dx : 21 + dx + FIELD]
    return out


def _shear(x: Pictures, rng: np.random.Generator) -> Pictures:
    return _turned(x, lambda angle: np.array([[1, -np.sin(angle)], [0, np.cos(angle)]]), _either_way(x, rng))


def _rotate(x: Pictures, rng: np.random.Generator) -> Pictures:
    """By 0.4 radians, 23°."""

    def matrix(angle: float) -> npt.NDArray[np.float64]:
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    return _turned(x, matrix, _either_way(x, rng))


def _scale(x: Pictures, rng: np.random.Generator) -> Pictures:
    """To 70 % of its size."""
    return _turned(x, lambda factor: np.eye(2) / factor, np.full(len(x), 0.7))


def _translate(x: Pictures, rng: np.random.Generator) -> Pictures:
    """By three pixels each way."""
    shifts = 3.0 * rng.choice((-1, 1), (len(x), 2))
    moves = (np.column_stack([np.eye(2), shift]) for shift in shifts)
    return np.stack([_warped(picture, move) for picture, move in zip(x, moves, strict=True)])


def _brightness(x: Pictures, rng: np.random.Generator) -> Pictures:
    return x + np.float32(0.5)


def _stripe(x: Pictures, rng: np.random.Generator) -> Pictures:
    """Inverted at the left and at the right."""
    sides = (np.arange(FIELD) < 7) | (np.arange(FIELD) >= 21)
    return np.where(sides, 1 - x, x)


def _fog(x: Pictures, rng: np.random.Generator) -> Pictures:
    brightest = x.max(axis=(1, 2), keepdims=True)
    clouds = np.concatenate([_plasma(min(50, len(x) - i), rng) for i in range(0, len(x), 50)])
    return (x + 3 * clouds) * brightest / (brightest + 3)


def _spatter(x: Pictures, rng: np.random.Generator) -> Pictures:
    """Drops of mud, a quarter as bright as ink."""
    drops = _soften(rng.normal(0.65, 0.3, x.shape).astype(np.float32), 1.0) > 0.65
    cover = _soften(drops.astype(np.float32), 1.5)
    cover[cover < 0.8] = 0
    return x * (1 - cover) + cover * np.float32(63 / 255)


def _dotted_line(x: Pictures, rng: np.random.Generator) -> Pictures:
    """A line from side to side, two pixels drawn and two left out."""
    drawn = np.arange(FIELD) // 2 % 2 == 1
    ends = rng.integers(0, 27, (len(x), 2))
    return x + np.stack([_line((0, start), (27, end)) * drawn for start, end in ends])


def _zigzag(x: Pictures, rng: np.random.Generator) -> Pictures:
    """A line whose teeth are four pixels long and two high, across the picture at a slight slant."""
    out = x.copy()
    for picture in out:
        start = int(rng.integers(0, 27))
        slant = np.arctan(int(rng.integers(-5, 5)) / 23)
        length = 23 / np.cos(slant)
        teeth = [(4.0 * i + 2, 2.0 * (-1) ** i) for i in range(int((length - 2) // 4) + 1)]
        corners = [(0.0, 0.0), *teeth]
        rest = length - 4 * (length // 4)
        if rest:
            corners.append((length, teeth[-1][1] / (2 * rest)))
        turn = np.array([[np.cos(slant), -np.sin(slant)], [np.sin(slant), np.cos(slant)]])
        places = np.array(corners) @ turn.T + (2, start)
        for one, other in pairwise(places):
            np.minimum(picture + _line(tuple(one), tuple(other)), 1, out=picture)
    return out


def _canny_edges(x: Pictures, rng: np.random.Generator) -> Pictures:
    """Edges alone: σ = 1, thresholds of a tenth and a fifth of the gradient's range."""
    soft = _soften(x, 1.0)
    out = np.zeros_like(x)
    for picture, result in zip(soft, out, strict=True):
        # Sobel's sums in steps of 1/100 of a gray level: OpenCV's Canny wants whole numbers.
        gradients = [
            cv2.Sobel(picture * 2550, cv2.CV_32F, dx, dy).round().astype(np.int16) for dx, dy in ((1, 0), (0, 1))
        ]
        result[:] = cv2.Canny(gradients[0], gradients[1], 255, 510, L2gradient=True) / 255
    return out


CORRUPTIONS = (
    Corruption("shot_noise", "a sensor's noise, weaker", _shot_noise),
    Corruption("impulse_noise", "grain of chalk and specks of paper, weaker", _impulse_noise),
    Corruption("glass_blur", "defocus", _glass_blur),
    Corruption("motion_blur", "motion blur", _motion_blur),
    Corruption("shear", "shear up to 0.24, of 0.39", _shear),
    Corruption("scale", "stretching up to 15 %, of 30 %", _scale),
    Corruption("rotate", "turns up to 20°, of 23°", _rotate),
    Corruption("brightness", "", _brightness),
    Corruption("translate", "shifts up to 2 pixels, of 3", _translate),
    Corruption("stripe", "", _stripe),
    Corruption("fog", "", _fog),
    Corruption("spatter", "stains and blots beside digits", _spatter),
    Corruption("dotted_line", "rulings and grids through digits", _dotted_line),
    Corruption("zigzag", "rulings and grids through digits", _zigzag),
    Corruption("canny_edges", "", _canny_edges),
)
"""In the order of the paper's table."""


def _soften(x: Pictures, sigma: float, *, columns_only: bool = False) -> Pictures:
    side = 2 * round(4 * sigma) + 1
    size, across = ((1, side), 1e-6) if columns_only else ((side, side), sigma)
    return np.stack(
        [cv2.GaussianBlur(picture, size, across, sigmaY=sigma, borderType=cv2.BORDER_REPLICATE) for picture in x]
    )


def _either_way(x: Pictures, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """0.4 radians, to the left or to the right."""
    return 0.4 * rng.choice((-1, 1), len(x))


def _turned(
    x: Pictures, matrix: Callable[[float], npt.NDArray[np.float64]], values: npt.NDArray[np.float64]
) -> Pictures:
    """Each picture seen through a matrix, its middle kept."""
    middle = np.array([_MIDDLE, _MIDDLE])
    moves = (np.column_stack([matrix(value), middle - matrix(value) @ middle]) for value in values)
    return np.stack([_warped(picture, move) for picture, move in zip(x, moves, strict=True)])


def _warped(picture: Pictures, move: npt.NDArray[np.float64]) -> Pictures:
    """``move`` takes places in the result to places in the picture."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, move, (FIELD, FIELD), flags=flags), np.float32)


def _line(start: tuple[float, float], end: tuple[float, float]) -> Pictures:
    """A soft line between two places (column, row): float32 (28, 28)."""
    columns, rows = np.meshgrid(np.arange(FIELD), np.arange(FIELD))
    slope = (end[1] - start[1]) / (end[0] - start[0])
    distance = np.abs(rows - (slope * (columns - start[0]) + start[1]))
    ink = np.log(1 - np.minimum(distance, _LINE_REACH - 1e-10) / _LINE_REACH) + 1
    inside = (columns >= int(np.floor(start[0]))) & (columns < int(np.ceil(end[0])))
    return np.where(inside, np.clip(ink, 0, 1), 0).astype(np.float32)


def _plasma(count: int, rng: np.random.Generator, side: int = 256, decay: float = 1.4) -> Pictures:
    """Clouds by the diamond–square algorithm, each stretched to 0–1: their corners, float32 (count, 28, 28)."""
    grid = np.zeros((count, side, side), np.float32)
    step, wobble = side, 100.0

    def disturbed(total: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return total / 4 + wobble**2 * (2 * rng.random(total.shape, np.float32) - 1)

    while step >= 2:
        half = step // 2
        corners = grid[:, ::step, ::step]
        sums = corners + np.roll(corners, -1, 1)
        grid[:, half::step, half::step] = disturbed(sums + np.roll(sums, -1, 2))
        middles, corners = grid[:, half::step, half::step], grid[:, ::step, ::step]
        grid[:, ::step, half::step] = disturbed(middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 2))
        grid[:, half::step, ::step] = disturbed(middles + np.roll(middles, 1, 2) + corners + np.roll(corners, -1, 1))
        step, wobble = half, wobble / decay
    low, high = grid.min(axis=(1, 2), keepdims=True), grid.max(axis=(1, 2), keepdims=True)
    return ((grid - low) / (high - low))[:, :FIELD, :FIELD]
