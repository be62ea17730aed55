"""What the network that parts touching digits learns from: ink of rendered frames, and whose it is.

A strip is connected ink as ``runtime.spotter`` scales it, with the truth for each cell: whose ink it holds. Ink that
the runtime would ask about comes as it is; ink of one digit comes too, for ``join`` to push together, in ways to touch
that no page was written with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
import numpy.typing as npt

from runtime.detect import DetectSettings, find_ink
from runtime.ink import InkSettings
from runtime.spotter import CELL, DIGIT, MARGIN, Scaled, to_strip
from runtime.values import Box, Image
from train.compose import DigitInk, Scene
from train.scenes import SceneSettings, each_frame

NONE, UNKNOWN = -1, -2
"""Owners of a cell: no digit, or nobody can say."""

_TARGET = 0.7  # share of a digit's ink from which it is to be found
_TRACE = 0.1  # share under which it is not there
_INK = 20  # mean level of a cell, rims counted as full, from which it holds ink


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Ink as the network sees it, and the truth.

    Attributes:
        pixels: uint8 (height, width), full ink 255; sides are multiples of ``CELL``.
        owners: int16 (height / CELL, width / CELL): the digit that each cell's ink is of, ``NONE`` or ``UNKNOWN``.
        boxes: float64 (n, 4), left, top, right, bottom of each digit's ink.
        sure: bool (n,): whether the digit is to be found; else nobody can say.
        frame: number, in its set, of the frame that it was cut from.
        doubtful: whether the runtime would ask about it.
    """

    pixels: Image
    owners: npt.NDArray[np.int16]
    boxes: npt.NDArray[np.float64]
    sure: npt.NDArray[np.bool_]
    frame: int
    doubtful: bool


def cut_strips(sets: Sequence[SceneSettings], digits: tuple[Image, Image], processes: int = 2) -> list[Strip]:
    """Render sets of frames and cut their ink out.

    Args:
        sets: which frames.
        digits: MNIST's images uint8 (n, 28, 28) and labels uint8 (n,) to write with.
        processes: that render at a time; the result does not depend on it.
    """
    doing = "cutting out ink that may be several digits"
    frames = chain.from_iterable(each_frame(_strips, settings, digits, processes, doing) for settings in sets)
    return [strip for strips in frames for strip in strips]


_SETTINGS = DetectSettings(ink=InkSettings(noise=5.0))
"""What counts as ink here: only what is clear of the noise, though the runtime asks about weaker ink too."""

_SINGLES = 8
"""Strips of one digit, and of ink that is no digit's, kept of a frame."""

_SHRUNK = 1.35
"""How much taller than its digits ink of several may be."""


def _strips(index: int, scene: Scene) -> list[Strip]:
    """The strips of one frame."""
    _, separation = find_ink(cv2.cvtColor(scene.picture, cv2.COLOR_BGR2GRAY), _SETTINGS)
    rng = np.random.default_rng(index)
    asked: list[Strip] = []
    singles: list[Strip] = []
    others = 0
    for piece in separation.pieces:
        if piece.box.height < _SETTINGS.min_height:
            continue
        doubtful = separation.doubtful(piece)
        near = [(digit, places) for digit in scene.inks if len(places := _within(digit, piece.box))]
        if not doubtful and (len(near) != 1 or near[0][0].state != "whole" or len(singles) >= _SINGLES):
            continue
        own, strength = separation.ink_of(piece)
        height = separation.digit_height(piece)
        if not doubtful:  # beside others, not in line with them, it would be shrunk further
            height *= rng.uniform(1.0, _SHRUNK)
        strip = _strip(index, own, to_strip(strength, height), piece.box, near, doubtful)
        if doubtful:
            others += not len(strip.boxes)
            if len(strip.boxes) or others <= _SINGLES:
                asked.append(strip)
        elif len(strip.boxes) and strip.sure.all():
            singles.append(strip)
    return asked + singles


def _within(digit: DigitInk, box: Box) -> npt.NDArray[np.float32]:
    """A digit's places in a box."""
    places = digit.places
    return places[((places >= (box.x, box.y)) & (places < (box.right, box.bottom))).all(axis=1)]


def _strip(
    frame: int,
    own: Image,
    scaled: Scaled,
    box: Box,
    near: Sequence[tuple[DigitInk, npt.NDArray[np.float32]]],
    doubtful: bool,
) -> Strip:
    """Connected ink, and whose it is, by the places of digits' ink."""
    pixels, scale = scaled.pixels, np.array(scaled.scale, np.float32)
    rows, columns = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    corner = np.array((box.x, box.y), np.float32)
    reach = cv2.dilate(own, np.ones((3, 3), np.uint8))
    votes: list[npt.NDArray[np.float32]] = []
    boxes: list[tuple[float, float, float, float]] = []
    sure: list[bool] = []
    for digit, places in near:
        at = np.floor(places - corner).astype(int)
        held = places[reach[at[:, 1], at[:, 0]] > 0]
        share = len(held) / max(len(digit.places), 1) * digit.share
        if share < _TRACE:
            continue
        there = (held - corner) * scale + MARGIN
        half = scale / 2
        boxes.append((*(there.min(axis=0) - half), *(there.max(axis=0) + half)))
        sure.append(digit.state == "whole" and share >= _TARGET)
        vote = np.zeros((rows, columns), np.float32)
        cells = np.clip((there // CELL).astype(int), 0, (columns - 1, rows - 1))
        np.add.at(vote, (cells[:, 1], cells[:, 0]), 1.0)
        votes.append(vote)
    inked = cv2.resize(cv2.dilate(pixels, np.ones((3, 3), np.uint8)), (columns, rows), interpolation=cv2.INTER_AREA)
    owners = np.full((rows, columns), NONE, np.int16)
    if votes:
        # Places are samples: a cell between those of one digit is that digit's too.
        spread = np.stack([cv2.GaussianBlur(vote, (5, 5), 0.7) for vote in votes])
        best = spread.argmax(axis=0)
        found = spread.max(axis=0)
        owners = np.where(found > _CLEAR, best, np.where(found > 0, UNKNOWN, NONE)).astype(np.int16)
    owners[inked < _INK] = UNKNOWN
    return Strip(pixels, owners, np.array(boxes, np.float64).reshape(-1, 4), np.array(sure, bool), frame, doubtful)


_CLEAR = 0.08
"""Places around a cell from which its ink is that digit's."""


def goes_under(rng: np.random.Generator) -> bool:
    """Whether ``join``, given this generator, puts the second strip under the first."""
    return bool(rng.random() < 0.25)


def join(first: Strip, second: Strip, rng: np.random.Generator) -> Strip:
    """Two strips pushed together until their ink touches: the second to the right of the first, or under it."""
    upright = goes_under(rng)
    a, b = _ink_of(first, upright), _ink_of(second, upright)
    shift = int(rng.normal(0, 0.12) * DIGIT) // CELL * CELL
    height = max(a.shape[0], b.shape[0] + abs(shift)) + abs(shift)
    top_a, top_b = max(-shift, 0), max(shift, 0)
    canvas = np.zeros((height, a.shape[1] + b.shape[1]), np.uint8)
    canvas[top_a : top_a + a.shape[0], : a.shape[1]] = a
    touching = int(rng.integers(1, 14))
    # From beside each other, cell by cell nearer.
    at = a.shape[1]
    while at > max(a.shape[1] - b.shape[1], a.shape[1] // 3, CELL):
        at -= CELL
        over = canvas[top_b : top_b + b.shape[0], at : at + b.shape[1]]
        if np.count_nonzero(np.minimum(over, b[: over.shape[0], : over.shape[1]]) > 96) >= touching:
            break
    return _joined(first, second, (top_a, 0), (top_b, at), upright)


def _ink_of(strip: Strip, upright: bool) -> Image:
    return strip.pixels.T if upright else strip.pixels


def _joined(first: Strip, second: Strip, a: tuple[int, int], b: tuple[int, int], upright: bool) -> Strip:
    """Both on one canvas, at these places, row and column; the other way round if upright."""
    if upright:
        a, b = a[::-1], b[::-1]
    sides = [max(a[k] + first.pixels.shape[k], b[k] + second.pixels.shape[k]) for k in range(2)]
    pixels = np.zeros(sides, np.uint8)
    owners = np.full([side // CELL for side in sides], UNKNOWN, np.int16)
    strongest = np.zeros(owners.shape, np.uint8)
    for strip, (y, x), offset in ((first, a, 0), (second, b, len(first.boxes))):
        height, width = strip.pixels.shape
        window = pixels[y : y + height, x : x + width]
        np.maximum(window, strip.pixels, out=window)
        cells = np.s_[y // CELL : (y + height) // CELL, x // CELL : (x + width) // CELL]
        level = cv2.resize(strip.pixels, (width // CELL, height // CELL), interpolation=cv2.INTER_AREA)
        mine = np.where(strip.owners >= 0, strip.owners + np.int16(offset), strip.owners)
        wins = level > strongest[cells]
        owners[cells] = np.where(wins, mine, owners[cells])
        strongest[cells] = np.maximum(strongest[cells], level)
    boxes = [strip.boxes + np.array((x, y, x, y)) for strip, (y, x) in ((first, a), (second, b))]
    return Strip(
        pixels, owners, np.concatenate(boxes), np.concatenate([first.sure, second.sure]), first.frame, doubtful=True
    )
