"""What a crop alone cannot tell, the others do: digits in a row, a word's letters, hatching, a digit's loop, a rim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from runtime.boxes import Corners, areas, connected, corners_of, shared_areas
from runtime.values import Box, Crop, Number, Polarity, Reading


def in_company(
    crops: Sequence[Crop], probabilities: npt.NDArray[np.float32], digits: Sequence[int]
) -> npt.NDArray[np.float32]:
    """The answers, given those to the ink around: among digits ink is rather a digit, among letters and drawings less.

    Which digit it is, if it is one, stays as it was. Ink around is that of about the same height, a few digits away,
    that is clearly a digit, or rather none.

    Args:
        crops: candidates, alternatives among them.
        probabilities: float32 (n, labels), of each crop by itself.
        digits: the labels that are digits; where all are, nothing changes.

    Returns:
        Float32 (n, labels), each row's sum 1.
    """
    others = [label for label in range(probabilities.shape[1]) if label not in digits]
    if not others or len(crops) < 2:
        return probabilities
    scores, none = probabilities[:, digits].max(axis=1), probabilities[:, others].sum(axis=1)
    asked = np.flatnonzero((none >= _CLEAR) & (none <= 1 - _CLEAR))
    if not len(asked):
        return probabilities
    whole = np.array([crop.parts == crop.whole for crop in crops])
    speaks = np.flatnonzero((scores >= _A_DIGIT) | ((none > _NONE) & whole))
    corners = corners_of([crop.box for crop in crops])
    own, theirs = corners[asked], corners[speaks]
    same_ink = shared_areas(own, theirs) > _SAME_INK * np.minimum(areas(own)[:, None], areas(theirs))
    heights = corners[:, 3] - corners[:, 1]
    tall, short = (pick(heights[asked, None], heights[speaks]) for pick in (np.maximum, np.minimum))
    across, down = (abs(own[:, None, k] + own[:, None, k + 2] - theirs[:, k] - theirs[:, k + 2]) / 2 for k in (0, 1))
    near = (across <= _ACROSS * tall) & (down <= _ABOVE * tall) & (tall <= _ALIKE_RATIO * short) & ~same_ink
    a_digit = scores[speaks] >= _A_DIGIT
    company, strangers = np.count_nonzero(near & a_digit, axis=1), np.count_nonzero(near & ~a_digit, axis=1)
    shift = _COMPANY * (company - strangers) / (company + strangers + _FEW)
    found = probabilities.copy()
    found[asked[:, None], others] *= np.exp(-shift, dtype=np.float32)[:, None]
    return found / found.sum(axis=1, keepdims=True)


_CLEAR = 1e-4
"""Probability of a digit, and of none, under which the others change nothing."""

_A_DIGIT, _NONE = 0.9, 0.5
"""Probabilities, of one digit and of ``none``, from which ink is company, or a stranger."""

_SAME_INK = 0.3
"""Share of the smaller box from which two hold the same ink, about."""

_ACROSS, _ABOVE, _ALIKE_RATIO = 6.0, 3.0, 1.67
"""How far off others are at the most, across and above or below, in heights; and the greatest ratio of heights."""

_COMPANY, _FEW = 4.0, 2.0
"""Log odds of a digit that much company is worth, and how many others make half of that."""


def doubtful(
    numbers: Sequence[Number], unsure: Sequence[Reading], ink: Sequence[tuple[Box, Polarity]], accept: float
) -> list[Reading]:
    """Readings that are something else rather: part of a word, of hatching, of the paper between two strokes.

    The more of a word's ink is of no digit, the surer a digit in it must be; a 1 or a 0 surer still, since a stroke and
    a ring are letters as well (l, I, o), and nothing but their neighbors tells. Nor are 1s by themselves a number,
    where they stand closer than digits do. And a digit must be surer the more of the evidence is of the other polarity
    (the cells of a grid and the bright rim that a camera draws around a stroke look like digits too), and the less it
    has the size of the others.

    Args:
        numbers: what was read.
        unsure: ink that may be a digit.
        ink: boxes of all ink as tall as a digit, the digits' own included, and its polarity.
        accept: confidence from which a digit is read, 0–1.

    Returns:
        Of the numbers' readings those that are better left unsure.
    """
    read = [reading for number in numbers for reading in number.readings]
    if not read:
        return []
    found = [
        reading
        for number in numbers
        if len(number.text) > 1 and set(number.text) == {"1"} and _pitch(number.readings) < _HATCHING
        for reading in number.readings
    ]
    digits, others = corners_of([reading.box for reading in [*read, *unsure]]), corners_of([box for box, _ in ink])
    own = (shared_areas(others, digits) > 0.5 * areas(others)[:, None]).any(axis=1)
    rest = np.flatnonzero(~own)  # is ink of no digit
    others = others[rest]
    polarities = [*(reading.polarity for reading in [*read, *unsure]), *(ink[i][1] for i in rest.tolist())]
    evidence = _evidence(read)
    known = max(evidence.values()) >= _KNOWN
    words = _words(np.concatenate([digits, others]), np.array([known and each == "dark" for each in polarities], bool))
    mates = words[: len(read), None] == words[None]
    foreign = mates[:, len(digits) :] @ (others[:, 2] - others[:, 0])
    company = np.count_nonzero(mates[:, : len(digits)], axis=1)
    usual = _usual_height(read)
    for reading, width, count in zip(read, foreign.tolist(), company.tolist(), strict=True):
        share = width / (width + _DIGIT_WIDTH * count * reading.box.height)
        doubt = (_DOUBT_STROKE if reading.label in ("0", "1") else _DOUBT) * share**2
        doubt += _DOUBT_POLARITY * (1 - evidence[reading.polarity] / max(sum(evidence.values()), _LEAST)) ** 2
        doubt += _DOUBT_SIZE * max(abs(math.log(reading.box.height / usual)) - _ALIKE, 0.0)
        if _odds(reading.confidence) < _odds(accept) + doubt and reading not in found:
            found.append(reading)
    return found


_HATCHING = 0.4
"""Distance of 1s from which on they are a number, in heights."""

_DIGIT_WIDTH = 0.65
"""Usual width of a digit, as a share of its height."""

_DOUBT, _DOUBT_STROKE = 5.0, 16.0
"""Log odds by which a digit, and a 1 or a 0, must be surer in a word that is of letters but for it."""

_DOUBT_POLARITY = 5.0
"""The same of a digit whose polarity no other has."""

_KNOWN = 10.0
"""Evidence in log odds from which on ink of the other polarity is none of a word's: a grid's cells, for one."""

_DOUBT_SIZE = 4.0
"""The same of a digit e times as tall as usual, or e times less, beyond what is alike."""

_ALIKE = 0.4
"""Logarithm of the ratio of heights up to which digits are alike."""

_LEAST = 1e-4
"""Doubt that is left of any answer."""


def _evidence(readings: Sequence[Reading]) -> dict[Polarity, float]:
    """How much readings of each polarity speak for it, in log odds."""
    evidence: dict[Polarity, float] = {"dark": 0.0, "light": 0.0}
    for reading in readings:
        evidence[reading.polarity] += max(_odds(reading.confidence), 0.0)
    return evidence


def _usual_height(readings: Sequence[Reading]) -> float:
    """The height that as much evidence is above as under, in log odds."""
    order = sorted(readings, key=lambda reading: reading.box.height)
    evidence = np.cumsum([max(_odds(reading.confidence), 0.0) for reading in order])
    return order[int(np.searchsorted(evidence, evidence[-1] / 2))].box.height


def _odds(probability: float) -> float:
    """Log odds, finite for 0 and 1."""
    bounded = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(bounded / (1 - bounded))


def _pitch(readings: Sequence[Reading]) -> float:
    """Median distance of neighbors' middles, in mean heights."""
    boxes = [reading.box for reading in readings]
    return float(np.median([2 * (b.center[0] - a.center[0]) / (a.height + b.height) for a, b in pairwise(boxes)]))


_LETTER_GAP, _LETTER_RATIO = 0.4, 2.5
"""Widest gap between letters of a word, as a share of the smaller's height, and greatest ratio of their heights."""


def _words(boxes: Corners, kinds: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """The number of the word that each box is of, int32 (n,); ``kinds`` (n,) are the same throughout a word."""
    heights = boxes[:, 3] - boxes[:, 1]
    least = np.minimum(heights[:, None], heights[None])
    gap = np.maximum(boxes[:, None, 0], boxes[None, :, 0]) - np.minimum(boxes[:, None, 2], boxes[None, :, 2])
    level = np.minimum(boxes[:, None, 3], boxes[None, :, 3]) - np.maximum(boxes[:, None, 1], boxes[None, :, 1])
    alike = np.maximum(heights[:, None], heights[None]) <= _LETTER_RATIO * least
    linked = (
        alike
        & (kinds[:, None] == kinds)
        & (level >= 0.5 * least)
        & (gap <= _LETTER_GAP * least)
        & (gap >= -0.5 * least)
    )
    return np.array(connected(np.argwhere(np.triu(linked, 1)), len(boxes)), np.int32)


def without_nested(readings: list[Reading], unsure: list[Reading]) -> tuple[list[Reading], list[Reading]]:
    """Leave out the speck inside a digit's loop; and the ring, frame or page around digits, not the digits.

    Args:
        readings: accepted digits.
        unsure: ink that may be one.

    Returns:
        What is left of both.
    """
    found = [*readings, *unsure]
    if len(found) < 2:
        return readings, unsure
    corners = corners_of([reading.box for reading in found])
    inside = shared_areas(corners, corners[: len(readings)]) >= 0.9 * areas(corners)[:, None]
    np.fill_diagonal(inside, False)
    dropped: set[int] = set()
    for j in np.flatnonzero(inside.any(axis=0)).tolist():
        held = [i for i in np.flatnonzero(inside[:, j]).tolist() if found[i].box.area < found[j].box.area]
        digits = [i for i in held if i < len(readings) and found[i].polarity == found[j].polarity]
        around = len(digits) > 1 or any(found[i].box.height >= _FILLS * found[j].box.height for i in digits)
        dropped.update([j] if around else held)
    return (
        [reading for i, reading in enumerate(readings) if i not in dropped],
        [reading for i, reading in enumerate(unsure, len(readings)) if i not in dropped],
    )


_FILLS = 0.3  # height from which a digit inside a ring is what was meant, as a share of the ring's height


def apart_from(boxes: list[Box], readings: Sequence[Reading]) -> list[Box]:
    """The boxes of which no more than a third lies in a reading's: what is left is ink of its own."""
    if not boxes or not readings:
        return boxes
    shared = shared_areas(corners_of(boxes), corners_of([reading.box for reading in readings])).max(axis=1)
    return [box for box, part in zip(boxes, shared.tolist(), strict=True) if 3 * part <= box.area]
