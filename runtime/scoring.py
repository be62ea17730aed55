"""Which reading is of which digit, and how many were read right: one to one, by place first and then by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.values import Box

GROWN = 0.15
"""Share of a true box's sides by which it is grown, on each side, for the middle of a reading to lie in it."""

AREAS = (0.1, 6.0)
"""Between which shares of the true box's area a reading's area must lie for its middle to be enough."""

MATCHING_IOU = 0.4
"""Overlap from which a reading belongs to a true digit wherever its middle is."""


class TrueDigit(Protocol):
    """A digit that is known, or was read, to stand on the picture."""

    @property
    def label(self) -> str:
        """``"0"`` to ``"9"``."""
        ...

    @property
    def box(self) -> Box:
        """Where its ink is."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """Digits counted over frames.

    Attributes:
        right: true digits read as what they are.
        wrong: true digits read as another.
        missed: true digits not read.
        invented: readings where no digit is.
    """

    right: int = 0
    wrong: int = 0
    missed: int = 0
    invented: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.right + other.right,
            self.wrong + other.wrong,
            self.missed + other.missed,
            self.invented + other.invented,
        )

    @property
    def shown(self) -> int:
        """True digits."""
        return self.right + self.wrong + self.missed


def score_readings(truth: Sequence[TrueDigit], readings: Sequence[TrueDigit]) -> Score:
    """Compare a frame's readings with what stands on it.

    Each reading belongs to one true digit at most, and the other way round; pairs that overlap most come first.
    """
    pairs = match([digit.box for digit in truth], [reading.box for reading in readings])
    right = sum(truth[i].label == readings[j].label for i, j in pairs)
    return Score(right, len(pairs) - right, len(truth) - len(pairs), len(readings) - len(pairs))


def match(truth: Sequence[Box], read: Sequence[Box]) -> list[tuple[int, int]]:
    """Which box that was read is which true one: pairs of indices, one to one, those that overlap most first.

    They belong together when the middle of the one read lies in the true one, grown by ``GROWN``, and their areas are
    alike (``AREAS``); or when they overlap by ``MATCHING_IOU``.
    """
    pairs = []
    for i, box in enumerate(truth):
        for j, other in enumerate(read):
            if belongs(other, box):
                pairs.append((-box.iou(other), i, j))
    matched: dict[int, int] = {}
    taken = set()
    for _, i, j in sorted(pairs):
        if i not in matched and j not in taken:
            matched[i] = j
            taken.add(j)
    return list(matched.items())


def belongs(read: Box, true: Box) -> bool:
    """Whether a box that was read may be a true one, by the rule of ``match``."""
    alike = AREAS[0] * true.area < read.area < AREAS[1] * true.area
    return (alike and holds(true, read, GROWN)) or true.iou(read) >= MATCHING_IOU


def holds(box: Box, other: Box, grown: float = 0.0) -> bool:
    """Whether the middle of the other box lies in this one, grown by a share of its sides; borders count."""
    x, y = other.center
    across, down = grown * box.width, grown * box.height
    return box.x - across <= x <= box.right + across and box.y - down <= y <= box.bottom + down
