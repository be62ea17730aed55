"""Readings, in reading order, as numbers: digits that follow each other on a line with no wider gap than a digit."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.values import Box, Number, Reading

MAX_GAP = 0.75
"""Widest gap between neighbors of a number, as a share of their mean height."""

MAX_DRIFT = 0.5
"""Greatest drift of neighbors' middles off the line, as a share of their mean height."""

MAX_RATIO = 1.9
"""Greatest ratio of neighbors' heights."""


def group_numbers(readings: Sequence[Reading], unsure: Sequence[Reading] = ()) -> tuple[Number, ...]:
    """Group readings into numbers; each reading is in exactly one.

    Each digit is linked to the nearest one on its right that may follow it; so a number may climb or fall with its line.

    Args:
        readings: accepted digits.
        unsure: ink that may be digits; where it stands between two readings, they are two numbers, since what a number
            with a digit left out says is wrong.

    Returns:
        Numbers in reading order: line by line from the top, from left to right in each.
    """
    order = sorted((*readings, *unsure), key=lambda r: r.box.center[0])
    left_out = {id(reading) for reading in unsure}
    follower: dict[int, int] = {}
    taken: set[int] = set()
    links = sorted(
        (gap, i, j)
        for i, left in enumerate(order)
        for j, right in enumerate(order[i + 1 :], i + 1)
        if (gap := _gap(left.box, right.box)) is not None
    )
    for _, i, j in links:
        if i not in follower and j not in taken:
            follower[i] = j
            taken.add(j)
    numbers = []
    for first in range(len(order)):
        if first not in taken:
            chain: list[Reading] = []
            at: int | None = first
            while at is not None:
                if id(order[at]) not in left_out:
                    chain.append(order[at])
                elif chain:
                    numbers.append(_number(chain))
                    chain = []
                at = follower.get(at)
            if chain:
                numbers.append(_number(chain))
    return tuple(number for line in _lines(numbers) for number in line)


def _gap(left: Box, right: Box) -> float | None:
    """Gap between neighbors in mean heights; None where the right one does not follow the left one."""
    height = (left.height + right.height) / 2
    gap = (right.x - left.right) / height
    drift = abs(left.center[1] - right.center[1]) / height
    ratio = max(left.height, right.height) / min(left.height, right.height)
    return gap if -0.5 <= gap <= MAX_GAP and drift <= MAX_DRIFT and ratio <= MAX_RATIO else None


def _number(readings: list[Reading]) -> Number:
    box = readings[0].box
    for reading in readings[1:]:
        box = box.union(reading.box)
    text = "".join(reading.label for reading in readings)
    return Number(text, box, min(reading.confidence for reading in readings), tuple(readings))


def _lines(numbers: Sequence[Number]) -> list[list[Number]]:
    """Numbers line by line: from the top, each starts a line or joins the one whose last number it is level with."""
    lines: list[list[Number]] = []
    for number in sorted(numbers, key=lambda n: n.readings[0].box.center[1]):
        for line in lines:
            if any(_level(number.box, other.box) for other in line):
                line.append(number)
                break
        else:
            lines.append([number])
    for line in lines:
        line.sort(key=lambda n: n.box.x)
    return lines


def _level(a: Box, b: Box) -> bool:
    shared = min(a.bottom, b.bottom) - max(a.y, b.y)
    return shared > 0.5 * min(a.height, b.height)
