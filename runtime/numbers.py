"""Readings, in reading order, as numbers: digits that follow each other on a line with no wider gap than a digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from runtime.values import Box, Number, Reading

MAX_GAP = 0.75
"""Widest gap between neighbors of a number, as a share of their mean height."""

MAX_DRIFT = 0.5
"""Greatest drift of neighbors' middles off the line, as a share of their mean height."""

MAX_RATIO = 1.9
"""Greatest ratio of neighbors' heights."""


def group_numbers(readings: Sequence[Reading], unread: Sequence[Box] = ()) -> tuple[Number, ...]:
    """Group readings into numbers; each reading is in exactly one.

    Each digit is linked to the nearest one on its right that may follow it; so a number may climb with its line.

    Args:
        readings: accepted digits.
        unread: ink of a digit's size that was not read; where it stands between two readings, they are two numbers,
            since what a number with a digit left out says is wrong.

    Returns:
        Numbers in reading order: line by line from the top, from left to right in each.
    """
    order = [(reading.box, reading) for reading in readings] + [(box, None) for box in unread]
    order.sort(key=lambda item: item[0].center[0])
    follower: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(_links([box for box, _ in order])):
        if i not in follower and j not in taken:
            follower[i] = j
            taken.add(j)
    numbers = []
    for first in range(len(order)):
        if first not in taken:
            chain: list[Reading] = []
            at: int | None = first
            while at is not None:
                reading = order[at][1]
                if reading is not None:
                    chain.append(reading)
                elif chain:
                    numbers.append(_number(chain))
                    chain = []
                at = follower.get(at)
            if chain:
                numbers.append(_number(chain))
    return tuple(number for line in _lines(numbers) for number in line)


def _links(order: Sequence[Box]) -> Iterator[tuple[float, int, int]]:
    """Pairs of boxes, sorted by their centers, that may be neighbors of a number: gap, left one, right one.

    Gap and drift are in mean heights of the two.
    """
    if not order:
        return
    x, y, width, height = np.array([box.as_list() for box in order], np.float64).T
    mean = (height[:, None] + height) / 2
    gap = (x - (x + width)[:, None]) / mean
    middle = y + height / 2
    drift = np.abs(middle[:, None] - middle) / mean
    ratio = np.maximum(height[:, None], height) / np.minimum(height[:, None], height)
    near = (gap >= -0.5) & (gap <= MAX_GAP) & (drift <= MAX_DRIFT) & (ratio <= MAX_RATIO)
    for i, j in np.argwhere(np.triu(near, 1)).tolist():
        yield float(gap[i, j]), i, j


def _number(readings: list[Reading]) -> Number:
    box = readings[0].box
    for reading in readings[1:]:
        box = box.union(reading.box)
    text = "".join(reading.label for reading in readings)
    return Number(text, box, min(reading.confidence for reading in readings), tuple(readings))


def _lines(numbers: Sequence[Number]) -> list[list[Number]]:
    """Numbers line by line: from the left, each joins the nearest line with whose last digit its first is level.

    Digits that face each other are level on a tilted page too, where the numbers' boxes overlap those of other lines.
    """
    lines: list[list[Number]] = []
    for number in sorted(numbers, key=lambda n: n.box.x):
        level = [line for line in lines if _level(line[-1].readings[-1].box, number.readings[0].box)]
        if level:
            max(level, key=lambda line: line[-1].box.right).append(number)
        else:
            lines.append([number])
    return sorted(lines, key=lambda line: line[0].readings[0].box.center[1])


def _level(a: Box, b: Box) -> bool:
    shared = min(a.bottom, b.bottom) - max(a.y, b.y)
    return shared > 0.5 * min(a.height, b.height)
