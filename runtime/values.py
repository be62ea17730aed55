"""The values that pass between the stages: all frozen, none knows how it was made.

A ``Frame`` becomes ``Crop``s (detect), ``Prediction``s (classify), ``Reading``s (choose, track) and ``Number``s
(group); a ``Result`` holds what came of one frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

Image: TypeAlias = npt.NDArray[Any]
"""uint8 pixels, (height, width) for gray or (height, width, 3) for color in BGR order."""

Polarity: TypeAlias = Literal["dark", "light"]
"""The ink against its paper: ``dark`` on a light page, or ``light`` on a dark one."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle of pixels, half-open: columns ``x … x+width-1``, rows ``y … y+height-1``."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column past the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row past the box."""
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box as (x, y), in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.width * self.height

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def intersection_area(self, other: Box) -> int:
        """Pixels that both hold."""
        width = min(self.right, other.right) - max(self.x, other.x)
        height = min(self.bottom, other.bottom) - max(self.y, other.y)
        return max(width, 0) * max(height, 0)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 (apart) to 1 (equal)."""
        shared = self.intersection_area(other)
        return shared / max(self.area + other.area - shared, 1)

    def as_list(self) -> list[int]:
        """``[x, y, width, height]``, the form of the JSON line."""
        return [self.x, self.y, self.width, self.height]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a source.

    Attributes:
        luma: uint8 (H, W), brightness 0–255. Recognition reads this one only.
        color: uint8 BGR (H, W, 3) of the same size, or None where the source delivers luma alone.
        index: 0 for a source's first frame; counts dropped frames too.
        seconds: time since the source's first frame, by the source's own clock.
        file: the picture file that it was read from; empty where frames have no files of their own.
    """

    luma: Image
    color: Image | None
    index: int
    seconds: float
    file: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A candidate: ink that may be a digit, cut out and placed as the model wants it.

    Attributes:
        box: where the ink lies in the frame.
        pixels: uint8 (28, 28), bright ink on black, longest side 20 px, center of mass at the center.
        polarity: the ink against its paper.
        transform: float32 (2, 3), takes frame coordinates (x, y, 1) to coordinates in ``pixels``.
        group: crops with the same number are alternatives made of the same ink: a whole and its parts.
        parts: the pieces of ink that the crop covers, numbered within its group; alternatives that share one exclude
            each other.
        whole: the parts of the connected ink that it was taken from; ``parts`` where nothing was taken apart.
        held: how many pieces of connected ink it holds; a share of one where that was taken apart.
    """

    box: Box
    pixels: Image
    polarity: Polarity
    transform: npt.NDArray[Any]
    group: int
    parts: frozenset[int]
    whole: frozenset[int]
    held: float


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the classifier says of one crop: ``probabilities`` float32 (labels,), non-negative, sum 1."""

    probabilities: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A digit that was read.

    Attributes:
        box: where it stands in the frame.
        label: ``"0"`` to ``"9"``.
        confidence: probability of the label, 0–1, over all the evidence of its track.
        prediction: this frame's own answer.
        track: identity over the frames of a source, from 1; 0 where there is no tracking (a single image).
        age: frames since the track was first seen, 0 for a new one.
        pixels: uint8 (28, 28), what the model saw of it in this frame; None where nobody kept it.
        polarity: the ink against its paper.
    """

    box: Box
    label: str
    confidence: float
    prediction: Prediction
    track: int = 0
    age: int = 0
    pixels: Image | None = None
    polarity: Polarity = "dark"


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """Neighboring readings in order: ``text`` such as ``"407"``; ``confidence`` that of its least sure digit."""

    text: str
    box: Box
    confidence: float
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came of one frame.

    Attributes:
        readings: accepted digits, in reading order.
        unsure: ink that may be a digit, under the threshold; its ``label`` is the likeliest digit.
        numbers: the readings as numbers, in reading order; each reading is in exactly one.
        milliseconds: time per stage, wall clock: ``detect``, ``classify``, ``total``.
        hint: where nothing was read, why, in a few words for the user (``"too dark"``); else empty.
        left_out: candidates that were not looked at, since there were more than a frame is given time for.
    """

    readings: tuple[Reading, ...]
    unsure: tuple[Reading, ...]
    numbers: tuple[Number, ...]
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    hint: str = ""
    left_out: int = 0
