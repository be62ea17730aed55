"""A clip's frames through the whole pipeline, once with the float model and once with each artifact."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import reduce
from io import StringIO
from operator import add
from typing import Literal

import cv2
from scipy.stats import beta
from tqdm import tqdm

from export.clips import Clip, ClipFrame
from runtime.backends import Classifier
from runtime.detect import Detection, DetectSettings, detect
from runtime.errors import BackendError
from runtime.recognizer import Recognizer, RecognizerSettings
from runtime.scoring import Score, belongs, match, score_readings
from runtime.values import Frame, Image, Reading

Kind = Literal["another label", "not read", "read too"]
"""How an artifact's reading differs from the float model's."""

_MARGIN = 6  # pixels around a digit in its picture
_WORTH = 50  # frames for which starting a process, which loads TensorFlow first, takes less time than it saves
_MOST = 2  # processes


@dataclass(frozen=True, slots=True, eq=False)
class Readers:
    """Who reads the frames.

    Attributes:
        reference: the float model.
        artifacts: what to compare with it, by name.
    """

    reference: Classifier
    artifacts: Mapping[str, Classifier]


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
        return _share(self.same_elsewhere, self._different_elsewhere)

    @property
    def bound_elsewhere(self) -> float:
        """One-sided 95 % upper bound of that share, exact (Clopper and Pearson, 1934): of three, one says little."""
        different = self._different_elsewhere
        return float(beta.ppf(0.95, self.same_elsewhere + 1, different)) if different else 1.0

    @property
    def _different_elsewhere(self) -> int:
        return sum(one.truth is None for one in self.differences)

    def __add__(self, later: Replay) -> Replay:
        """This and later frames of the same clip."""
        return Replay(
            self.clip,
            self.artifact,
            self.frames + later.frames,
            self.same + later.same,
            self.same_elsewhere + later.same_elsewhere,
            self.differences + later.differences,
            self.reference_score + later.reference_score,
            self.score + later.score,
        )


@contextmanager
def replaying(
    clip: Clip, readers: Readers, load: Callable[[], Readers] | None = None, processes: int | None = None
) -> Iterator[Callable[[], list[Replay]]]:
    """Read each frame with every classifier, tracking and all; other processes begin at once, beside what is done here.

    Args:
        clip: what to read.
        readers: who read it.
        load: makes the same readers in another process, so that it must be something that can be pickled; None where
            this process is to read everything.
        processes: that read at a time where no frame depends on another: two at the most by default, as far as the
            clip is worth their start. The result does not depend on it.

    Yields:
        What waits for the last frame and gives a comparison with the float model for each artifact. It raises
        BackendError where a process was ended before it had read its frames.
    """
    if processes is None:
        processes = min(clip.count // _WORTH, _MOST)
    if clip.moving or load is None or processes < 2:
        yield lambda: _sums(clip, map(_Comparing(clip, readers), range(clip.count), clip.frames))
        return
    # Not forked: OpenCV's threads, where this process has started them, leave a forked child waiting forever.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (clip, load))
    try:
        frames = pool.map(_read, range(clip.count))
        yield lambda: _sums(clip, frames)
    except BrokenProcessPool as error:
        raise BackendError(f"a process that read {clip.name} was ended; free memory, and verify again") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _sums(clip: Clip, frames: Iterable[list[Replay]]) -> list[Replay]:
    """The frames of each artifact together."""
    shown = tqdm(frames, clip.name, clip.count, unit="frame", delay=1)
    return [reduce(add, parts) for parts in zip(*shown, strict=True)]


class _Comparing:
    """Reads a clip's frames, one after the other, with every classifier."""

    def __init__(self, clip: Clip, readers: Readers) -> None:
        settings = RecognizerSettings(track=clip.moving)
        self._clip = clip.name
        self._found: tuple[Image, Detection] | None = None
        self._reference = Recognizer(readers.reference, settings, self._find)
        self._artifacts = {name: Recognizer(each, settings, self._find) for name, each in readers.artifacts.items()}

    def __call__(self, index: int, seen: ClipFrame) -> list[Replay]:
        """The next frame, by each artifact."""
        frame = Frame(seen.luma, None, index, index / 30)
        expected = self._reference(frame).readings
        score = _score(seen, expected)
        return [
            self._compared(name, frame, seen, expected, score, recognizer(frame).readings)
            for name, recognizer in self._artifacts.items()
        ]

    def _find(self, luma: Image, detecting: DetectSettings) -> Detection:
        """What is in the frame, found for the first of those who read it."""
        if self._found is None or self._found[0] is not luma:
            self._found = luma, detect(luma, detecting)
        return self._found[1]

    def _compared(
        self,
        name: str,
        frame: Frame,
        seen: ClipFrame,
        expected: Sequence[Reading],
        score: Score,
        found: Sequence[Reading],
    ) -> Replay:
        same = elsewhere = 0
        differences = []
        for one, other in pair_readings(expected, found):
            reading = one or other
            assert reading is not None
            truth = _truth(seen, reading)
            if one is None or other is None or one.label != other.label:
                differences.append(_difference(frame, truth, one, other))
            elif truth is None:
                elsewhere += 1
            else:
                same += 1
        return Replay(self._clip, name, 1, same, elsewhere, tuple(differences), score, _score(seen, found))


_working: list[tuple[Sequence[ClipFrame], _Comparing]] = []
"""In another process: what it reads, and what compares the readings."""


def _begin(clip: Clip, load: Callable[[], Readers]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the first process, which ends the others
    cv2.setNumThreads(1)
    assert isinstance(clip.frames, Sequence)
    with redirect_stderr(StringIO()):  # that TensorFlow is loaded was said by the first process
        _working[:] = [(clip.frames, _Comparing(clip, load()))]


def _read(index: int) -> list[Replay]:
    frames, comparing = _working[0]
    return comparing(index, frames[index])


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
