"""A camera's frames through the whole pipeline, once with the float model and once with each artifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runtime.backends import Classifier
from runtime.recognizer import Recognizer
from runtime.scoring import Score, TrueDigit, match, score_readings
from runtime.values import Frame, Image, Reading

Kind = Literal["another label", "not read", "read too"]
"""How an artifact's reading differs from the float model's."""

_MARGIN = 6  # pixels around a digit in its picture


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """A digit that the artifact does not read as the float model does.

    Attributes:
        frame: its number.
        kind: how it differs.
        box: x, y, width, height in the frame.
        reference: label and confidence of the float model; None where it does not read it.
        answer: label and confidence of the artifact; None where it does not read it.
        patch: uint8 (h, w), the frame there.
    """

    frame: int
    kind: Kind
    box: tuple[int, int, int, int]
    reference: tuple[str, float] | None
    answer: tuple[str, float] | None
    patch: Image


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """An artifact against the float model over frames.

    Attributes:
        artifact: its name.
        frames: how many.
        same: digits that both read, with the same label.
        differences: the others, in order.
        reference_score: the float model's readings against what stands on the pages.
        score: the artifact's.
    """

    artifact: str
    frames: int
    same: int
    differences: tuple[Difference, ...]
    reference_score: Score
    score: Score

    @property
    def agreement(self) -> float:
        """Of all digits that either reads, the share that both read with the same label; 1 where there are none."""
        total = self.same + len(self.differences)
        return self.same / total if total else 1.0


def replay(
    frames: Iterable[tuple[Image, Sequence[TrueDigit]]],
    reference: Classifier,
    artifacts: Mapping[str, Classifier],
) -> list[Replay]:
    """Read each frame with every classifier, tracking and all.

    Args:
        frames: uint8 luma (H, W) and what stands on it, in the order of time.
        reference: the float model.
        artifacts: what to compare with it, by name.
    """
    recognizers = {name: Recognizer(classifier) for name, classifier in artifacts.items()}
    original = Recognizer(reference)
    same, count, original_score = dict.fromkeys(artifacts, 0), 0, Score()
    differences: dict[str, list[Difference]] = {name: [] for name in artifacts}
    scores = dict.fromkeys(artifacts, Score())
    for index, (luma, truth) in enumerate(frames):
        frame = Frame(luma, None, index, index / 30)
        expected = original(frame).readings
        original_score += score_readings(truth, expected)
        count += 1
        for name, recognizer in recognizers.items():
            found = recognizer(frame).readings
            scores[name] += score_readings(truth, found)
            for one, other in pair_readings(expected, found):
                if one and other and one.label == other.label:
                    same[name] += 1
                else:
                    differences[name].append(_difference(frame, one, other))
    return [
        Replay(name, count, same[name], tuple(differences[name]), original_score, scores[name]) for name in artifacts
    ]


def pair_readings(
    first: Sequence[Reading], second: Sequence[Reading]
) -> list[tuple[Reading, Reading | None] | tuple[None, Reading]]:
    """Readings of the same ink side by side, those that overlap most first; then what only one of the two has."""
    partner = dict(match([one.box for one in first], [other.box for other in second]))
    both = [(one, second[partner[i]] if i in partner else None) for i, one in enumerate(first)]
    return [*both, *((None, other) for j, other in enumerate(second) if j not in partner.values())]


def _difference(frame: Frame, one: Reading | None, other: Reading | None) -> Difference:
    reading = one or other
    assert reading is not None
    box = reading.box
    rows = slice(max(box.y - _MARGIN, 0), box.bottom + _MARGIN)
    columns = slice(max(box.x - _MARGIN, 0), box.right + _MARGIN)
    kind: Kind = "another label" if one and other else "not read" if one else "read too"
    return Difference(
        frame.index,
        kind,
        (box.x, box.y, box.width, box.height),
        (one.label, round(one.confidence, 4)) if one else None,
        (other.label, round(other.confidence, 4)) if other else None,
        frame.luma[rows, columns].copy(),
    )
