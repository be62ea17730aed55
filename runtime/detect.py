"""Find ink that may be a digit, in a frame of any size, and cut it out for the model.

Four steps, each a file. Ink: what stands out from its paper, in a search image of at most 640 pixels (``ink``). Taking
apart: connected ink that may be more than one digit (``separate``). Putting together: pieces that may be of one digit,
a stroke that broke, a bar beside its stem. Crops: each piece, union or run of atoms that may be a digit, cut from the
full-resolution frame (``cut``); those that share ink are alternatives in one group, and the recognizer keeps the
best-scoring cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from runtime.cut import Cutter, union
from runtime.ink import Ink, InkSettings, Piece
from runtime.separate import SeparateSettings, separate
from runtime.values import Box, Crop, Image


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """What counts as ink and what may be a digit. Lengths are in pixels of the search image.

    Attributes:
        side: longest side of the search image; a larger frame is shrunk to it to find ink, not to cut it out.
        min_height: least height of a digit.
        max_height: greatest height of a digit, as a share of the search image's height.
        max_candidates: pieces of a digit's height looked at in a frame, and crops made of them; more are dropped, the
            smallest first, and counted.
        ink: what counts as ink.
        separate: when connected ink is taken apart.
    """

    side: int = 640
    min_height: int = 9
    max_height: float = 0.9
    max_candidates: int = 400
    ink: InkSettings = field(default_factory=InkSettings)
    separate: SeparateSettings = field(default_factory=SeparateSettings)


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What was found in a frame.

    Attributes:
        crops: candidates; alternatives share a ``group``.
        ink: boxes of all ink as tall as a digit or taller, whether a candidate or not: words, for one.
        dropped: candidates beyond ``max_candidates``.
        small: pieces of ink too small to be a digit.
        brightness: median brightness of the paper, 0–255.
        noise: standard deviation of the sensor's noise, in gray levels.
    """

    crops: tuple[Crop, ...]
    ink: tuple[Box, ...]
    dropped: int
    small: int
    brightness: float
    noise: float


def detect(luma: Image, settings: DetectSettings = DetectSettings()) -> Detection:
    """Find and cut out whatever may be a digit.

    Args:
        luma: uint8 (height, width), any size.
        settings: what counts as ink.

    Returns:
        Crops whose boxes are in ``luma``'s pixels, and what the frame was like.
    """
    height, width = luma.shape
    scale = min(settings.side / max(height, width), 1.0)
    search = luma
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        search = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    ink = Ink(search, settings.ink)
    tallest = settings.max_height * search.shape[0]
    pieces = [
        part
        for piece in ink.pieces
        if max(piece.box.width, piece.box.height) >= 3
        for part in separate(ink, piece, (settings.min_height, tallest), settings.separate)
        if part.box.height <= tallest
    ]
    tall = [piece for piece in pieces if piece.box.height >= settings.min_height]
    dropped = max(len(tall) - settings.max_candidates, 0)
    candidates = [
        (group, chosen, parts)
        for group, cluster in enumerate(_clusters(pieces, settings))
        for chosen, parts in _alternatives(cluster)
        if _may_be_digit(union([piece.box for piece in chosen]), search.shape, settings)
    ]
    if len(candidates) > settings.max_candidates:
        dropped += len(candidates) - settings.max_candidates
        candidates.sort(key=lambda c: -max(piece.box.height for piece in c[1]))
        candidates = sorted(candidates[: settings.max_candidates], key=lambda c: c[0])
    cutter = Cutter(luma, ink)
    crops = [crop for group, chosen, parts in candidates if (crop := cutter.cut(chosen, group, parts)) is not None]
    small = sum(max(piece.box.width, piece.box.height) < settings.min_height for piece in pieces)
    return Detection(
        tuple(crops),
        tuple(cutter.to_frame(piece.box) for piece in tall),
        dropped,
        small,
        float(np.median(ink.papers["dark"])),
        ink.noise,
    )


def _clusters(pieces: Sequence[Piece], settings: DetectSettings) -> list[list[Piece]]:
    """Pieces that may be of one digit, together, from left to right; each cluster has one of a digit's height."""
    tall = [i for i, piece in enumerate(pieces) if piece.box.height >= settings.min_height]
    tall = sorted(tall, key=lambda i: -pieces[i].box.height)[: settings.max_candidates]
    left, top, right, bottom = (
        np.array([(p.box.x, p.box.y, p.box.right, p.box.bottom) for p in pieces]).reshape(-1, 4).T
    )
    cluster_of = {i: i for i in tall}

    def root(i: int) -> int:
        while cluster_of[i] != i:
            i = cluster_of[i]
        return i

    for i in tall:
        a = pieces[i]
        reach = _NEAR * max(a.box.width, a.box.height)
        near = (left <= a.box.right + reach) & (right >= a.box.x - reach)
        near &= (top <= a.box.bottom + reach) & (bottom >= a.box.y - reach)
        for j in np.flatnonzero(near).tolist():
            b = pieces[j]
            if i != j and a.polarity == b.polarity and _may_be_one(a.box, b.box):
                cluster_of.setdefault(j, j)
                cluster_of[root(j)] = root(i)
    clusters: dict[int, list[Piece]] = {}
    for i in sorted(cluster_of, key=lambda i: pieces[i].box.x):
        clusters.setdefault(root(i), []).append(pieces[i])
    return list(clusters.values())


_NEAR = 0.25
"""Gap across which pieces may be of one digit, as a share of the larger one's side."""


def _may_be_one(a: Box, b: Box) -> bool:
    """Whether two pieces may be of one digit: near, together no wider than a digit is, and not two digits in a row."""
    big, small = (a, b) if a.height >= b.height else (b, a)
    gap_x = max(a.x, b.x) - min(a.right, b.right)
    gap_y = max(a.y, b.y) - min(a.bottom, b.bottom)
    side = max(big.height, big.width)
    if max(gap_x, gap_y) > _NEAR * side:
        return False
    whole = a.union(b)
    if whole.width > 1.3 * whole.height or whole.height > 1.8 * big.height:
        return False
    # Side by side and of like height: two digits.
    side_by_side = gap_x > -0.3 * min(a.width, b.width)
    return not (side_by_side and small.height > 0.6 * big.height)


def _alternatives(cluster: Sequence[Piece]) -> list[tuple[list[Piece], frozenset[int]]]:
    """What of a cluster may be a digit: each piece, all, with more than two each pair, and runs of a piece's atoms.

    Returns:
        For each the pieces to cut out, and the numbers of their atoms in the cluster.
    """
    numbers: list[range] = []
    for piece in cluster:
        first = numbers[-1].stop if numbers else 0
        numbers.append(range(first, first + max(len(piece.atoms), 1)))
    sets = [[i] for i in range(len(cluster))]
    if 2 < len(cluster) <= _BROKEN:  # more is handwriting or texture
        pairs = ([i, j] for i in range(len(cluster)) for j in range(i + 1, len(cluster)))
        sets += [pair for pair in pairs if _may_be_one(*(cluster[i].box for i in pair))]
    if len(cluster) > 1:
        sets.append([*range(len(cluster))])
    found = [([cluster[i] for i in members], frozenset(n for i in members for n in numbers[i])) for members in sets]
    for piece, own in zip(cluster, numbers, strict=True):
        found += [
            (list(piece.atoms[run.start : run.stop]), frozenset(own[run.start : run.stop])) for run in _runs(piece)
        ]
    return found


_BROKEN = 6
"""Pieces that a broken digit has at the most."""


def _runs(piece: Piece) -> list[range]:
    """Runs of a piece's atoms, but for all of them, that are no wider than a digit."""
    found = []
    for first in range(len(piece.atoms)):
        box = piece.atoms[first].box
        for last in range(first, min(first + 5, len(piece.atoms))):
            box = box.union(piece.atoms[last].box)
            if last > first and box.width > 1.8 * box.height:
                break
            found.append(range(first, last + 1))
    return [run for run in found if len(run) < len(piece.atoms)]


def _may_be_digit(box: Box, shape: tuple[int, ...], settings: DetectSettings) -> bool:
    height, width = shape[:2]
    if box.height < settings.min_height or box.width > 1.8 * box.height or box.height > 12 * max(box.width, 2):
        return False
    # Ink that touches two opposite borders of the frame is a page's edge or a ruling.
    return not ((box.x <= 0 and box.right >= width) or (box.y <= 0 and box.bottom >= height))
