"""Find ink that may be a digit, in a frame of any size, and cut it out for the model.

Four steps. Paper: its brightness everywhere, as the median over a wide window on a coarse map, which strokes are too
thin to move and which follows shadows. Ink: what is darker, or lighter, than its paper by more than noise explains;
both polarities at once. Pieces: connected ink, and which of it may belong together: a stroke that broke, a bar beside
its stem, two digits that touch. Crops: each piece, union or part that may be a digit, cut from the full-resolution
frame; those that share ink are alternatives in one group, and the recognizer keeps the best-scoring cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.preprocess import FIELD, preprocess
from runtime.values import Box, Crop, Image, Polarity


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """What counts as ink and what may be a digit. Lengths are in pixels of the search image.

    Attributes:
        side: longest side of the search image; a larger frame is shrunk to it to find ink, not to cut it out.
        cell: side of a cell of the paper map.
        window: side of the paper median's window, in cells; must be odd. A stroke wider than about a third of it is
            taken for paper.
        contrast: least difference of ink from its paper, as a share of the paper's brightness.
        floor: least difference of ink from its paper, in gray levels.
        noise: least difference of ink from its paper, in standard deviations of the sensor's noise.
        min_height: least height of a digit.
        max_height: greatest height of a digit, as a share of the search image's height.
        max_candidates: pieces of a digit's height looked at in a frame, and crops made of them; more are dropped, the
            smallest first, and counted.
    """

    side: int = 640
    cell: int = 8
    window: int = 21
    contrast: float = 0.13
    floor: int = 10
    noise: float = 5.0
    min_height: int = 9
    max_height: float = 0.9
    max_candidates: int = 400


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


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Connected ink: its outline (n, 1, 2) int32 and box in the search image."""

    outline: npt.NDArray[Any]
    box: Box
    polarity: Polarity


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
    paper, noise = _paper_map(search, settings), _noise(search)
    pieces: list[_Piece] = []
    for mask, polarity in _ink_masks(search, paper, noise, settings):
        pieces += _pieces(mask, polarity)
    tall = settings.max_height * search.shape[0]
    usable = [p for p in pieces if max(p.box.width, p.box.height) >= 3 and p.box.height <= tall]
    dropped = max(sum(p.box.height >= settings.min_height for p in usable) - settings.max_candidates, 0)
    clusters = _clusters(usable, settings)
    candidates = [
        (group, cluster, parts)
        for group, cluster in enumerate(clusters)
        for parts in _alternatives(cluster)
        if _may_be_digit(_union([cluster[i].box for i in parts]), search.shape, settings)
    ]
    if len(candidates) > settings.max_candidates:
        dropped += len(candidates) - settings.max_candidates
        candidates.sort(key=lambda c: -max(c[1][i].box.height for i in c[2]))
        candidates = sorted(candidates[: settings.max_candidates], key=lambda c: c[0])
    cutter = _Cutter(luma, paper, search.shape, settings)
    crops = [crop for candidate in candidates if (crop := cutter.cut(*candidate)) is not None]
    ink = tuple(cutter.to_frame(p.box) for p in usable if p.box.height >= settings.min_height)
    small = sum(3 <= max(p.box.width, p.box.height) < settings.min_height for p in pieces)
    return Detection(tuple(crops), ink, dropped, small, float(np.median(paper)), noise)


def _paper_map(search: Image, settings: DetectSettings) -> Image:
    """Brightness of the paper under each cell: uint8 (⌈height/cell⌉, ⌈width/cell⌉)."""
    height, width = search.shape
    cells = max(-(-width // settings.cell), 1), max(-(-height // settings.cell), 1)
    coarse = cv2.resize(search, cells, interpolation=cv2.INTER_AREA)
    # A window larger than the map would count the replicated border, not the paper.
    window = min(settings.window, (min(cells) - 1) | 1)
    return cv2.medianBlur(coarse, window) if window >= 3 else coarse


def _noise(search: Image) -> float:
    """Standard deviation of the sensor's noise: from differences of neighbors, where most are flat paper."""
    rows = search[::4]
    if rows.shape[1] < 3:
        return 0.0
    difference = cv2.absdiff(rows[:, 1:], rows[:, :-1])
    histogram = cv2.calcHist([difference], [0], None, [32], [0, 32]).ravel().cumsum()
    middle = int(np.searchsorted(histogram, difference.size / 2))
    before = float(histogram[middle - 1]) if middle else 0.0
    if middle >= 32:
        return 32.0
    # Median of |difference|, interpolated within its bin; a difference of two has √2 of the deviation, 0.6745 makes a
    # median of absolute values a deviation.
    share = (difference.size / 2 - before) / max(float(histogram[middle]) - before, 1.0)
    return max(middle - 0.5 + share, 0.0) / (0.6745 * 2**0.5)


def _ink_masks(search: Image, paper: Image, noise: float, settings: DetectSettings) -> list[tuple[Image, Polarity]]:
    """Where ink is: a mask (0 or 255) of the search image for each polarity."""
    size = search.shape[1], search.shape[0]
    paper_level = paper.astype(np.float32)
    margin = np.maximum(paper_level * settings.contrast, max(settings.floor, settings.noise * noise))
    masks: list[tuple[Image, Polarity]] = []
    for limit, polarity in ((paper_level - margin, "dark"), (paper_level + margin, "light")):
        bound = cv2.resize(np.clip(limit, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
        mask = cv2.compare(search, bound, cv2.CMP_LT if polarity == "dark" else cv2.CMP_GT)
        masks.append((mask, polarity))  # type: ignore[arg-type]
    return masks


def _pieces(mask: Image, polarity: Polarity) -> list[_Piece]:
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return []
    # In a two-level tree the contours without a parent are the outer ones; the others are holes.
    return [
        _Piece(outline, Box(*cv2.boundingRect(outline)), polarity)
        for outline, parent in zip(outlines, tree[0, :, 3], strict=True)
        if parent < 0 and len(outline) > 2
    ]


def _clusters(pieces: Sequence[_Piece], settings: DetectSettings) -> list[list[_Piece]]:
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
    clusters: dict[int, list[_Piece]] = {}
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


def _alternatives(cluster: Sequence[_Piece]) -> list[frozenset[int]]:
    """Sets of pieces of a cluster that may be a digit: each alone, all, and with more than two, each pair."""
    if len(cluster) > 6:  # handwriting or texture: no broken digit has so many pieces
        return [frozenset([i]) for i in range(len(cluster))]
    found = [frozenset([i]) for i in range(len(cluster))]
    for i in range(len(cluster)):
        for j in range(i + 1, len(cluster)):
            if len(cluster) == 2 or _may_be_one(cluster[i].box, cluster[j].box):
                found.append(frozenset([i, j]))  # noqa: PERF401 - a comprehension of three lines is no clearer
    if len(cluster) > 2:
        found.append(frozenset(range(len(cluster))))
    return found


def _may_be_digit(box: Box, shape: tuple[int, ...], settings: DetectSettings) -> bool:
    height, width = shape[:2]
    if box.height < settings.min_height or box.width > 1.8 * box.height or box.height > 12 * max(box.width, 2):
        return False
    # Ink that touches two opposite borders of the frame is a page's edge or a ruling.
    return not ((box.x <= 0 and box.right >= width) or (box.y <= 0 and box.bottom >= height))


def _union(boxes: Sequence[Box]) -> Box:
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    return whole


class _Cutter:
    """Cuts candidates out of the full-resolution frame."""

    _LARGEST = 96
    """Longest side of an ink crop; a larger one is shrunk to it, which costs the model's 20 pixels nothing."""

    def __init__(self, luma: Image, paper: Image, search_shape: tuple[int, ...], settings: DetectSettings) -> None:
        self._luma, self._paper, self._settings = luma, paper, settings
        self._scale = luma.shape[1] / search_shape[1], luma.shape[0] / search_shape[0]

    def cut(self, group: int, cluster: Sequence[_Piece], parts: frozenset[int]) -> Crop | None:
        """The crop of some of a cluster's pieces; None where little of them would be seen."""
        pieces = [cluster[i] for i in sorted(parts)]
        box, polarity = _union([p.box for p in pieces]), pieces[0].polarity
        full = self._outward(box)
        patch = self._luma[full.y : full.bottom, full.x : full.right]
        shrink = min(self._LARGEST / max(full.width, full.height), 1.0)
        size = max(round(full.width * shrink), 1), max(round(full.height * shrink), 1)
        if shrink < 1:
            patch = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
        paper = self._paper_level(box)
        ink = cv2.subtract(paper, patch) if polarity == "dark" else cv2.subtract(patch, paper)  # type: ignore[call-overload]
        mask = self._mask(pieces, full, size)
        ink = cv2.bitwise_and(ink, mask)
        peak = _peak(ink)
        if peak < self._settings.floor:
            return None
        # Ink from a quarter of its full strength on; full from three quarters on.
        ink = cv2.convertScaleAbs(cv2.subtract(ink, peak * 0.25), alpha=255 / (peak * 0.5))  # type: ignore[call-overload]
        pixels, transform = preprocess(ink)
        x, y = full.x, full.y
        across, down = size[0] / full.width, size[1] / full.height
        transform = transform @ np.array([[across, 0, -x * across], [0, down, -y * down], [0, 0, 1]], np.float32)
        frame_box = self.to_frame(box)
        # Pieces too faint beside the others are lost in the crop, which then shows another alternative's ink.
        middle = transform @ np.array([*frame_box.center, 1], np.float32)
        if not ((middle >= 0) & (middle <= FIELD)).all():
            return None
        return Crop(frame_box, pixels, polarity, transform, group, parts)

    def _outward(self, box: Box) -> Box:
        """The frame's pixels under a box of the search image, and a margin for the ink's soft edge."""
        across, down = self._scale
        height, width = self._luma.shape
        x, y = max(int((box.x - 1.5) * across), 0), max(int((box.y - 1.5) * down), 0)
        right, bottom = min(int((box.right + 1.5) * across) + 1, width), min(int((box.bottom + 1.5) * down) + 1, height)
        return Box(x, y, right - x, bottom - y)

    def to_frame(self, box: Box) -> Box:
        """A box of the search image in the frame's pixels."""
        across, down = self._scale
        x, y = round(box.x * across), round(box.y * down)
        return Box(x, y, max(round(box.right * across) - x, 1), max(round(box.bottom * down) - y, 1))

    def _paper_level(self, box: Box) -> float:
        cell = self._settings.cell
        cells = self._paper[box.y // cell : -(-box.bottom // cell), box.x // cell : -(-box.right // cell)]
        return cv2.mean(cells)[0]

    def _mask(self, pieces: Sequence[_Piece], full: Box, size: tuple[int, int]) -> Image:
        """The pieces' own ink, and a rim of a search pixel for its soft edge: uint8 ``size``, 0 or 255."""
        mask = np.zeros((size[1], size[0]), np.uint8)
        across, down = size[0] / full.width, size[1] / full.height
        factor = np.array([across * self._scale[0], down * self._scale[1]])
        # Outlines run through pixel centers, half a pixel in; four fractional bits keep them exact.
        shift = 0.5 * factor - (full.x * across + 0.5, full.y * down + 0.5)
        outlines = [np.rint(p.outline * (16 * factor) + 16 * shift).astype(np.int32) for p in pieces]
        rim = max(round(3 * float(factor.max())), 2)
        cv2.fillPoly(mask, outlines, 255, cv2.LINE_8, 4)
        cv2.polylines(mask, outlines, True, 255, rim, cv2.LINE_8, 4)
        return mask


def _peak(ink: Image) -> float:
    """Strength of full ink: the mean of what is above half of the strongest."""
    strongest = cv2.minMaxLoc(ink)[1]
    return cv2.mean(ink, cv2.compare(ink, strongest / 2, cv2.CMP_GE))[0]  # type: ignore[call-overload]
