"""Find ink that may be a digit, in a frame of any size, and cut it out for the model.

Four steps. Ink: what stands out from its paper, in a search image of at most 640 pixels (``ink``). Putting together:
pieces that may be of one digit, a stroke that broke, a bar beside its stem. Taking apart: connected ink that may be
more than one digit, where that is not settled already (``separate``). Cutting out: each piece, union or part that may
be a digit, from the full-resolution frame (``cut``); those that share ink are alternatives in one group, and the
recognizer keeps the best-scoring cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from runtime.boxes import connected
from runtime.cut import Alternative, Cutter
from runtime.ink import Ink, InkSettings, Piece
from runtime.separate import Apart, SeparateSettings, Separation
from runtime.values import Box, Crop, Image, Polarity


@dataclass(frozen=True, slots=True)
class DetectSettings:
    """What counts as ink and what may be a digit. Lengths are in pixels of the search image.

    Attributes:
        side: longest side of the search image; a larger frame is shrunk to it to find ink, not to cut it out.
        min_height: least height of a digit.
        max_height: greatest height of a digit, as a share of the search image's height.
        max_candidates: pieces of a digit's height looked at in a frame, and crops made of them; more are dropped, the
            smallest first, what was taken apart before what is whole, and counted.
        ink: what counts as ink.
        separate: when connected ink is taken apart.
    """

    side: int = 640
    min_height: int = 9
    max_height: float = 0.9
    max_candidates: int = 600
    ink: InkSettings = field(default_factory=InkSettings)
    separate: SeparateSettings = field(default_factory=SeparateSettings)


class Candidates:
    """What of a frame's ink may be a digit; it is taken apart, and cut out, once that is asked for.

    Attributes:
        dropped: those beyond ``max_candidates`` until now.
    """

    def __init__(self, cutter: Cutter, separation: Separation, size: tuple[int, int], settings: DetectSettings) -> None:
        """Put a frame's ink together; ``size`` is the search image's height and width."""
        self._cutter, self._separation, self._size, self._settings = cutter, separation, size, settings
        tall = sum(piece.box.height >= settings.min_height for piece in separation.pieces)
        self._clusters = _clusters(separation.pieces, settings)
        kept, beyond = self._within(
            [(group, each) for group, cluster in enumerate(self._clusters) for each in _wholes(cluster)],
            settings.max_candidates,
        )
        self._left = settings.max_candidates - len(kept)
        self.dropped = self._beyond = max(tall - settings.max_candidates, 0) + beyond
        self._whole = kept
        self._crops: list[Crop] | None = None

    def wholes(self) -> list[Crop]:
        """Crops of connected ink, and of pieces that may be of one digit; their ``parts`` are whole pieces."""
        if self._crops is None:
            self._crops = self._cut(self._whole)
        return self._crops

    def expect(self, digits: Sequence[Crop]) -> None:
        """Learn how tall digits are from some that are known, where there are enough of them."""
        if len(digits) >= _KNOWN:
            self._separation.usual = self._cutter.to_search(float(np.median([crop.box.height for crop in digits])))

    def all(self, settled: Sequence[Crop] = ()) -> list[Crop]:
        """Every crop: the wholes in their order, then what ink was taken apart into.

        Args:
            settled: wholes whose answer is known; their ink is not taken apart.

        Returns:
            Crops whose ``parts`` are numbered anew, where something was taken apart.
        """
        known = {(crop.group, n) for crop in settled for n in crop.parts}
        parts: list[tuple[int, Alternative]] = []
        numbers: dict[int, list[range]] = {}
        for group, cluster in enumerate(self._clusters):
            apart = [
                Apart() if (group, i) in known else self._separation.apart(piece) for i, piece in enumerate(cluster)
            ]
            if any(each.digits for each in apart):
                numbers[group] = _numbers(apart)
                parts += [(group, each) for each in _parts(apart, numbers[group])]
        kept, beyond = self._within(parts, self._left)
        self.dropped = self._beyond + beyond
        return [_renumbered(crop, numbers.get(crop.group)) for crop in self.wholes()] + self._cut(kept)

    def _within(
        self, alternatives: Sequence[tuple[int, Alternative]], most: int
    ) -> tuple[list[tuple[int, Alternative]], int]:
        """Those that may be a digit, the tallest of them where there are more than that, and how many are left out."""
        found = [each for each in alternatives if _may_be_digit(each[1].box, self._size, self._settings)]
        if len(found) <= most:
            return found, 0
        tallest = sorted(found, key=lambda each: -max(piece.box.height for piece in each[1].pieces))
        return sorted(tallest[:most], key=lambda each: each[0]), len(found) - most

    def _cut(self, alternatives: Sequence[tuple[int, Alternative]]) -> list[Crop]:
        crops = [self._cutter.cut(alternative, group) for group, alternative in alternatives]
        return [crop for crop in crops if crop is not None]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """What was found in a frame.

    Attributes:
        candidates: what may be a digit.
        ink: boxes of all ink as tall as a digit or taller, words' too, and its polarity.
        small: pieces of ink too small to be a digit.
        brightness: median brightness of the paper, 0–255.
        noise: standard deviation of the sensor's noise, in gray levels.
    """

    candidates: Candidates
    ink: tuple[tuple[Box, Polarity], ...]
    small: int
    brightness: float
    noise: float

    @property
    def crops(self) -> tuple[Crop, ...]:
        """All candidates, cut out, a group after the other; alternatives share a ``group``."""
        return tuple(sorted(self.candidates.all(), key=lambda crop: crop.group))


def detect(luma: Image, settings: DetectSettings = DetectSettings()) -> Detection:
    """Find whatever may be a digit.

    Args:
        luma: uint8 (height, width), any size.
        settings: what counts as ink.

    Returns:
        Candidates, whose crops' boxes are in ``luma``'s pixels, and what the frame was like.
    """
    ink, separation = find_ink(luma, settings)
    pieces, cutter = separation.pieces, Cutter(luma, ink)
    return Detection(
        Candidates(cutter, separation, (ink.luma.shape[0], ink.luma.shape[1]), settings),
        tuple((cutter.to_frame(each.box), each.polarity) for each in pieces if each.box.height >= settings.min_height),
        sum(max(piece.box.width, piece.box.height) < settings.min_height for piece in pieces),
        float(np.median(ink.papers["dark"])),
        ink.noise,
    )


def find_ink(luma: Image, settings: DetectSettings) -> tuple[Ink, Separation]:
    """The ink of a picture's search image, as it is and by strength; ``luma`` is uint8 (height, width)."""
    height, width = luma.shape
    scale = min(settings.side / max(height, width), 1.0)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    ink = Ink(luma, settings.ink)
    return ink, Separation(ink, (settings.min_height, settings.max_height * luma.shape[0]), settings.separate)


def _clusters(pieces: Sequence[Piece], settings: DetectSettings) -> list[list[Piece]]:
    """Pieces that may be of one digit, together, from left to right; each cluster has one of a digit's height."""
    boxes = np.array([(p.box.x, p.box.y, p.box.right, p.box.bottom) for p in pieces], np.float64).reshape(-1, 4)
    heights = boxes[:, 3] - boxes[:, 1]
    tall = np.flatnonzero(heights >= settings.min_height)
    tall = tall[np.argsort(-heights[tall], kind="stable")][: settings.max_candidates]
    dark = np.array([piece.polarity == "dark" for piece in pieces], bool)
    together = _may_be_one(boxes[tall, None], boxes[None]) & (dark[tall, None] == dark[None])
    rows, near = np.nonzero(together)
    cluster_of = connected(np.stack([tall[rows], near], axis=1), len(pieces))
    kept = {cluster_of[i] for i in tall.tolist()}
    clusters: dict[int, list[Piece]] = {}
    for i in np.argsort(boxes[:, 0], kind="stable").tolist():
        if cluster_of[i] in kept:
            clusters.setdefault(cluster_of[i], []).append(pieces[i])
    return list(clusters.values())


_KNOWN = 8
"""Digits that tell how tall others are."""

_NEAR = 0.25
"""Gap across which pieces may be of one digit, as a share of the larger one's side."""


def _may_be_one(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether two pieces may be of one digit: near, together no wider than a digit is, and not two digits in a row.

    Args:
        a: float64 (…, 4), boxes as left, top, right, bottom.
        b: others, of a shape that goes with it.
    """
    left_a, top_a, right_a, bottom_a = np.moveaxis(a, -1, 0)
    left_b, top_b, right_b, bottom_b = np.moveaxis(b, -1, 0)
    width_a, height_a, width_b, height_b = right_a - left_a, bottom_a - top_a, right_b - left_b, bottom_b - top_b
    across = np.maximum(left_a, left_b) - np.minimum(right_a, right_b)
    down = np.maximum(top_a, top_b) - np.minimum(bottom_a, bottom_b)
    taller, shorter = np.maximum(height_a, height_b), np.minimum(height_a, height_b)
    side = np.where(height_a >= height_b, np.maximum(width_a, height_a), np.maximum(width_b, height_b))
    width = np.maximum(right_a, right_b) - np.minimum(left_a, left_b)
    height = np.maximum(bottom_a, bottom_b) - np.minimum(top_a, top_b)
    near = (np.maximum(across, down) <= _NEAR * side) & (width <= 1.3 * height) & (height <= 1.8 * taller)
    # Side by side and of like height: two digits.
    side_by_side = across > -0.3 * np.minimum(width_a, width_b)
    return near & ~(side_by_side & (shorter > 0.6 * taller))


def _wholes(cluster: Sequence[Piece]) -> list[Alternative]:
    """What of a cluster may be a digit as it is: each piece, with more than two each pair, and all."""
    sets = [[i] for i in range(len(cluster))]
    if 2 < len(cluster) <= _BROKEN:  # more is handwriting or texture
        boxes = np.array([(p.box.x, p.box.y, p.box.right, p.box.bottom) for p in cluster], np.float64)
        sets += np.argwhere(np.triu(_may_be_one(boxes[:, None], boxes[None]), 1)).tolist()
    if len(cluster) > 1:
        sets.append([*range(len(cluster))])
    return [
        _alternative([cluster[i] for i in members], frozenset(members), frozenset(members), len(members))
        for members in sets
    ]


def _numbers(apart: Sequence[Apart]) -> list[range]:
    """Numbers of each piece's atoms, within the cluster; one of a piece that is whole."""
    numbers: list[range] = []
    for each in apart:
        first = numbers[-1].stop if numbers else 0
        numbers.append(range(first, first + each.atoms))
    return numbers


def _renumbered(crop: Crop, numbers: Sequence[range] | None) -> Crop:
    """A whole's crop, its parts the atoms of its pieces."""
    if numbers is None:
        return crop
    parts = frozenset(n for i in crop.parts for n in numbers[i])
    return replace(crop, parts=parts, whole=parts)


def _parts(apart: Sequence[Apart], numbers: Sequence[range]) -> list[Alternative]:
    """What of a cluster may be a digit once its pieces are taken apart."""
    return [
        _alternative(part.pieces, frozenset(own[n] for n in part.atoms), frozenset(own), part.held)
        for (digits, _), own in zip(apart, numbers, strict=True)
        for part in digits
    ]


def _alternative(pieces: Sequence[Piece], parts: frozenset[int], whole: frozenset[int], held: float) -> Alternative:
    box = pieces[0].box
    for piece in pieces[1:]:
        box = box.union(piece.box)
    return Alternative(pieces, box, parts, whole, held)


_BROKEN = 6
"""Pieces that a broken digit has at the most."""


def _may_be_digit(box: Box, size: tuple[int, int], settings: DetectSettings) -> bool:
    height, width = size
    if box.height < settings.min_height or box.width > 1.8 * box.height or box.height > 12 * max(box.width, 2):
        return False
    # Ink that touches two opposite borders of the frame is a page's edge or a ruling.
    return not ((box.x <= 0 and box.right >= width) or (box.y <= 0 and box.bottom >= height))
