"""A clip's frames through the whole pipeline, once with the float model and once with each artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tqdm import tqdm

from export.clips import Clip, ClipFrame
from runtime.backends import Classifier
from runtime.detect import Detection, DetectSettings, detect
from runtime.recognizer import Recognizer, RecognizerSettings
from runtime.scoring import Score, belongs, match, score_readings
from runtime.values import Frame, Image, Reading

Kind = Literal["another label", "not read", "read too"]
"""How an artifact's reading differs from the float model's."""

_MARGIN = 6  # pixels around a digit in its picture


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """Ink that the artifact does not read as the float model does.

    Attributes:
        frame: its number.
        truth: the digit that stands there; None where there is none, as when a crease is read.
        kind: how it differs.
        box: x, y, width, height in the frame.
        reference: label and confidence of the float model; None where it does not read it.
        answer: label and confidence of the artifact; None where it does not read it.
        patch: uint8 (h, w), the frame there.
    """

    frame: int
    truth: str | None
    kind: Kind
    box: tuple[int, int, int, int]
    reference: tuple[str, float] | None
    answer: tuple[str, float] | None
    patch: Image


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """An artifact against the float model over a clip.

    Attributes:
        clip: its name.
        artifact: its name.
        frames: how many.
        same: digits that both read, with the same label.
        same_elsewhere: such readings where no digit is.
        differences: the others of both, in order.
        reference_score: the float model's readings against what stands on the pages.
        score: the artifact's.
    """

    clip: str
    artifact: str
    frames: int
    same: int
    same_elsewhere: int
    differences: tuple[Difference, ...]
    reference_score: Score
    score: Score

    @property
    def agreement(self) -> float:
        """Of all digits that either reads, the share that both read with the same label; 1 where there are none."""
        return _share(self.same, sum(one.truth is not None for one in self.differences))

    @property
    def agreement_elsewhere(self) -> float:
        """The same of what either reads where no digit is."""
        return _share(self.same_elsewhere, sum(one.truth is None for one in self.differences))


def replay(clip: Clip, reference: Classifier, artifacts: Mapping[str, Classifier]) -> list[Replay]:
    """Read each frame with every classifier, tracking and all.

    Args:
        clip: what to read.
        reference: the float model.
        artifacts: what to compare with it, by name.
    """
    settings = RecognizerSettings(track=clip.moving)
    found_once: list[tuple[Image, Detection]] = []

    def find(luma: Image, detecting: DetectSettings) -> Detection:
        """What is in the frame, found for the first of those who read it."""
        if not found_once or found_once[0][0] is not luma:
            found_once[:] = [(luma, detect(luma, detecting))]
        return found_once[0][1]

    recognizers = {name: Recognizer(classifier, settings, find) for name, classifier in artifacts.items()}
    original = Recognizer(reference, settings, find)
    same, elsewhere, original_score = dict.fromkeys(artifacts, 0), dict.fromkeys(artifacts, 0), Score()
    differences: dict[str, list[Difference]] = {name: [] for name in artifacts}
    scores = dict.fromkeys(artifacts, Score())
    for index, seen in enumerate(tqdm(clip.frames, clip.name, clip.count, unit="frame", delay=1)):
        frame = Frame(seen.luma, None, index, index / 30)
        expected = original(frame).readings
        original_score += _score(seen, expected)
        for name, recognizer in recognizers.items():
            found = recognizer(frame).readings
            scores[name] += _score(seen, found)
            for one, other in pair_readings(expected, found):
                reading = one or other
                assert reading is not None
                truth = _truth(seen, reading)
                if one is None or other is None or one.label != other.label:
                    differences[name].append(_difference(frame, truth, one, other))
                elif truth is None:
                    elsewhere[name] += 1
                else:
                    same[name] += 1
    return [
        Replay(
            *(clip.name, name, clip.count, same[name], elsewhere[name]),
            *(tuple(differences[name]), original_score, scores[name]),
        )
        for name in artifacts
    ]


def pair_readings(
    first: Sequence[Reading], second: Sequence[Reading]
) -> list[tuple[Reading, Reading | None] | tuple[None, Reading]]:
    """Readings of the same ink side by side, those that overlap most first; then what only one of the two has."""
    partner = dict(match([one.box for one in first], [other.box for other in second]))
    both = [(one, second[partner[i]] if i in partner else None) for i, one in enumerate(first)]
    return [*both, *((None, other) for j, other in enumerate(second) if j not in partner.values())]


def _score(seen: ClipFrame, readings: Sequence[Reading]) -> Score:
    """Readings against what stands there; those of ink that is neither a digit nor none are left out."""
    ignored = [reading for reading in readings if any(belongs(reading.box, box) for box in seen.ignore)]
    kept = [reading for reading in readings if reading not in ignored or _truth(seen, reading)]
    return score_readings(seen.digits, kept)


def _truth(seen: ClipFrame, reading: Reading) -> str | None:
    """The digit that a reading is of, be it right or wrong."""
    there = [digit for digit in seen.digits if belongs(reading.box, digit.box)]
    return max(there, key=lambda digit: digit.box.iou(reading.box)).label if there else None


def _share(same: int, different: int) -> float:
    return same / (same + different) if same + different else 1.0


def _difference(frame: Frame, truth: str | None, one: Reading | None, other: Reading | None) -> Difference:
    box = (one or other).box  # type: ignore[union-attr]  # one of the two is there
    rows = slice(max(box.y - _MARGIN, 0), box.bottom + _MARGIN)
    columns = slice(max(box.x - _MARGIN, 0), box.right + _MARGIN)
    kind: Kind = "another label" if one and other else "not read" if one else "read too"
    return Difference(
        frame.index,
        truth,
        kind,
        (box.x, box.y, box.width, box.height),
        (one.label, round(one.confidence, 4)) if one else None,
        (other.label, round(other.confidence, 4)) if other else None,
        frame.luma[rows, columns].copy(),
    )
