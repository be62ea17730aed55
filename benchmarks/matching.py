"""What became of a labeled picture: ``runtime.scoring`` tells which reading is of which digit.

Readings whose middle lies in a box to ignore do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.labels import LabeledPicture
from runtime.scoring import holds, match
from runtime.values import Reading


@dataclass(frozen=True, slots=True)
class Mistake:
    """A digit not read or misread, or a reading where no digit is.

    Attributes:
        kind: ``missed``, ``wrong`` or ``invented``.
        file: name of the picture.
        box: x, y, width, height of the digit; of the reading, where it is invented.
        truth: the digit, or empty.
        read: the reading's label, or empty.
        confidence: the reading's, 0 where there is none.
    """

    kind: str
    file: str
    box: tuple[int, ...]
    truth: str
    read: str
    confidence: float


@dataclass(frozen=True, slots=True)
class PictureScore:
    """What became of one picture.

    Attributes:
        file: its name.
        source: whose it is.
        tags: its conditions.
        negative: it holds no digit: every reading is false.
        digits: that it holds.
        found: digits with a reading.
        right: digits read as what they are.
        readings: that count.
        numbers: whole numbers that it holds, as far as the labels say.
        numbers_right: numbers of which every digit is right and within which nothing was invented.
        mistakes: each miss and invention.
    """

    file: str
    source: str
    tags: tuple[str, ...]
    negative: bool
    digits: int
    found: int
    right: int
    readings: int
    numbers: int
    numbers_right: int
    mistakes: tuple[Mistake, ...]


def score_picture(picture: LabeledPicture, readings: Sequence[Reading]) -> PictureScore:
    """Compare what was read with what is there."""
    counted = [reading for reading in readings if not any(holds(box, reading.box) for box in picture.ignore)]
    name = picture.path.name
    known = (name, picture.source, picture.tags, picture.negative, len(picture.digits))
    if picture.digits and not picture.boxed:
        found, right = min(len(picture.digits), len(counted)), _in_common(picture.digits, counted)
        return PictureScore(*known, found, right, len(counted), 0, 0, ())
    pairs = match([digit.box for digit in picture.boxed], [reading.box for reading in counted])
    read = dict(pairs)
    right_digits = {i for i, j in pairs if counted[j].label == picture.boxed[i].label}
    mistakes = []
    for i, digit in enumerate(picture.boxed):
        if i not in right_digits:
            reading = counted[read[i]] if i in read else None
            label, confidence = (reading.label, round(reading.confidence, 4)) if reading else ("", 0.0)
            kind = "wrong" if reading else "missed"
            mistakes.append(Mistake(kind, name, tuple(digit.box.as_list()), digit.label, label, confidence))
    invented = [counted[j] for j in sorted(set(range(len(counted))) - set(read.values()))]
    for reading in invented:
        box = tuple(reading.box.as_list())
        mistakes.append(Mistake("invented", name, box, "", reading.label, round(reading.confidence, 4)))
    whole = 0
    for number in picture.numbers:
        span = picture.boxed[number[0]].box
        for i in number[1:]:
            span = span.union(picture.boxed[i].box)
        whole += right_digits.issuperset(number) and not any(holds(span, extra.box) for extra in invented)
    return PictureScore(
        *known, len(pairs), len(right_digits), len(counted), len(picture.numbers), whole, tuple(mistakes)
    )


def _in_common(digits: str, readings: Sequence[Reading]) -> int:
    """Where boxes are not known: labels that both have, each as often as it stands there."""
    return sum(min(digits.count(label), sum(r.label == label for r in readings)) for label in set(digits))
