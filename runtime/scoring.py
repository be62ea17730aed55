"""How many digits of known pages were read right: one to one, by place first and then by label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.values import Box, Reading

MATCHING_IOU = 0.4
"""Overlap from which a reading belongs to a true digit; its middle inside the true box is enough, too."""


class TrueDigit(Protocol):
    """A digit that is known to stand on the picture."""

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


def score_readings(truth: Sequence[TrueDigit], readings: Sequence[Reading]) -> Score:
    """Compare a frame's readings with what stands on it.

    Each reading belongs to one true digit at most, and the other way round; pairs that overlap most come first.
    """
    pairs = []
    for i, digit in enumerate(truth):
        for j, reading in enumerate(readings):
            if belongs(reading.box, digit.box):
                pairs.append((digit.box.iou(reading.box), i, j))
    pairs.sort(reverse=True)
    matched: dict[int, int] = {}
    taken = set()
    for _, i, j in pairs:
        if i not in matched and j not in taken:
            matched[i] = j
            taken.add(j)
    right = sum(truth[i].label == readings[j].label for i, j in matched.items())
    return Score(right, len(matched) - right, len(truth) - len(matched), len(readings) - len(taken))


def belongs(reading: Box, true: Box) -> bool:
    """Whether a reading's box may be that of the ink in a true box."""
    x, y = reading.center
    return true.iou(reading) >= MATCHING_IOU or (true.x <= x < true.right and true.y <= y < true.bottom)
