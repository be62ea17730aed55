from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import sleep

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from export.clips import Clip, ClipFrame
from export.replay import Readers, Replay, pair_readings, replaying
from runtime.errors import BackendError
from runtime.pages import DrawnDigit
from runtime.scoring import Score
from runtime.values import Box, Image, Prediction, Reading

BARS = (Box(40, 40, 12, 60), Box(140, 50, 14, 60), Box(240, 60, 12, 56))


def page() -> Image:
    luma = np.full((160, 320), 230, np.uint8)
    for box in BARS:
        luma[box.y : box.bottom, box.x : box.right] = 20
    return luma


class Says:
    """Reads all ink as one digit; ink far to the right, whose crops come last, as another where that is wanted."""

    labels = tuple("0123456789")
    accept, unsure = 0.6, 0.3

    def __init__(self, label: int, sure: float = 0.9, last: int | None = None) -> None:
        self.label, self.sure, self.last = label, sure, label if last is None else last

    def probabilities(self, crops: Image) -> npt.NDArray[np.float32]:
        out = np.full((len(crops), 10), (1 - self.sure) / 9, np.float32)
        out[:, self.label] = self.sure
        if len(crops):
            out[-1] = (1 - self.sure) / 9
            out[-1, self.last] = self.sure
        return out

    def logits(self, crops: Image) -> npt.NDArray[np.float32]:
        return np.log(self.probabilities(crops))


def clip(count: int = 4, luma: Image | None = None, moving: bool = True) -> Clip:
    seen = ClipFrame(page() if luma is None else luma, [DrawnDigit("1", box, "") for box in BARS])
    return Clip("some clip", count, [seen] * count, moving)


def replay(
    clip: Clip, readers: Readers, load: Callable[[], Readers] | None = None, processes: int | None = None
) -> list[Replay]:
    with replaying(clip, readers, load, processes) as finish:
        return finish()


class TestReplay:
    def test_the_same_readings_agree_in_full(self) -> None:
        (result,) = replay(clip(), Readers(Says(1), {"some": Says(1, sure=0.8)}))
        assert (result.clip, result.artifact, result.frames) == ("some clip", "some", 4)
        assert (result.same, result.same_elsewhere, result.differences) == (12, 0, ())
        assert (result.agreement, result.agreement_elsewhere) == (1, 1)
        assert result.score == result.reference_score == Score(right=12)

    def test_a_digit_read_otherwise_is_listed_with_both_answers_and_its_picture(self) -> None:
        (result,) = replay(clip(), Readers(Says(1), {"some": Says(1, last=7)}))
        assert (result.same, len(result.differences)) == (8, 4)
        assert result.agreement == 8 / 12
        assert result.score == Score(right=8, wrong=4)
        one = result.differences[0]
        assert (one.frame, one.truth, one.kind) == (0, "1", "another label")
        assert one.reference is not None
        assert one.answer is not None
        assert (one.reference[0], one.answer[0]) == ("1", "7")
        box = Box(*one.box)
        assert max(box.iou(bar) for bar in BARS) > 0.7
        assert one.patch.shape == (box.height + 12, box.width + 12)
        assert one.patch.min() == 20

    @pytest.mark.parametrize(
        ("reference", "artifact", "kind", "sides"),
        [(0.9, 0.2, "not read", (True, False)), (0.2, 0.9, "read too", (False, True))],
    )
    def test_a_digit_that_only_one_reads_differs(
        self, reference: float, artifact: float, kind: str, sides: tuple[bool, bool]
    ) -> None:
        (result,) = replay(clip(1), Readers(Says(1, reference), {"some": Says(1, artifact)}))
        assert [one.kind for one in result.differences] == [kind] * 3
        assert {(one.reference is not None, one.answer is not None) for one in result.differences} == {sides}
        assert result.agreement == 0

    def test_each_artifact_is_tracked_by_itself(self) -> None:
        honest, wrong = replay(clip(), Readers(Says(1), {"honest": Says(1), "wrong": Says(4)}))
        assert (honest.agreement, wrong.agreement) == (1, 0)

    def test_no_digits_are_no_disagreement(self) -> None:
        blank = np.full((160, 320), 230, np.uint8)
        (result,) = replay(clip(1, blank), Readers(Says(1), {"some": Says(2)}))
        assert (result.agreement, result.same) == (1, 0)

    def test_what_is_read_where_no_digit_is_is_counted_apart(self) -> None:
        seen = ClipFrame(page(), [DrawnDigit("1", box, "") for box in BARS[:2]])
        (result,) = replay(Clip("some", 4, [seen] * 4, True), Readers(Says(1), {"some": Says(1, last=7)}))
        assert (result.same, result.agreement) == (8, 1)
        assert (result.same_elsewhere, result.agreement_elsewhere) == (0, 0)
        assert {one.truth for one in result.differences} == {None}
        assert result.score == result.reference_score == Score(right=8, invented=4)

    def test_of_little_that_is_read_there_chance_has_its_share(self) -> None:
        seen = ClipFrame(page(), [])

        def bound(frames: int, last: int) -> float:
            clip = Clip("some", frames, [seen] * frames, False)
            return replay(clip, Readers(Says(1), {"some": Says(1, last=last)}))[0].bound_elsewhere

        assert bound(2, 1) == 1
        for frames in (1, 20):  # a third differs: how surely under nine in ten is the binomial's to say
            seldom = binom.cdf(2 * frames, 3 * frames, 0.9) < 0.05
            assert (bound(frames, 7) < 0.9) == seldom == (frames == 20)

    def test_ink_that_is_neither_digit_nor_none_is_not_scored(self) -> None:
        seen = ClipFrame(page(), [DrawnDigit("1", BARS[0], "")], BARS[1:])
        (result,) = replay(Clip("some", 1, [seen], False), Readers(Says(1), {"some": Says(1)}))
        assert result.score == Score(right=1)
        assert (result.same, result.same_elsewhere) == (1, 2)

    def test_digits_are_followed_through_a_clip_that_moves_and_no_other(self) -> None:
        class Wavers(Says):
            """Says 1 three times, then 7, less sure."""

            asked = 0

            def probabilities(self, crops: Image) -> npt.NDArray[np.float32]:
                if self.asked == 3:
                    self.label = self.last = 7
                    self.sure = 0.65
                self.asked += 1
                return super().probabilities(crops)

        same = {}
        for moving in (True, False):
            (result,) = replay(clip(moving=moving), Readers(Says(1), {"some": Wavers(1)}))
            same[moving] = result.same
        assert same == {True: 12, False: 9}


def two_readers() -> Readers:
    return Readers(Says(1), {"honest": Says(1, sure=0.8), "wrong": Says(1, last=7)})


class Notes(Says):
    """Says 1, slowly, and writes a letter for each frame."""

    def __init__(self, path: Path) -> None:
        super().__init__(1)
        self._path = path

    def probabilities(self, crops: Image) -> npt.NDArray[np.float32]:
        with self._path.open("a") as file:
            file.write("x")
        sleep(0.05)
        return super().probabilities(crops)


def notes(path: Path) -> Readers:
    return Readers(Notes(path), {})


def dies() -> Readers:
    os._exit(1)


def told(results: list[Replay]) -> list[dict[str, object]]:
    """All of it, in values that can be compared."""
    return [
        {
            **{name: getattr(each, name) for name in ("clip", "artifact", "frames", "same", "same_elsewhere")},
            "scores": (each.reference_score, each.score),
            "differences": [
                (one.frame, one.truth, one.kind, one.box, one.reference, one.answer, one.patch.tolist())
                for one in each.differences
            ],
        }
        for each in results
    ]


class TestSeveralProcesses:
    def test_they_say_what_one_says(self) -> None:
        blank = np.full((160, 320), 230, np.uint8)
        digits = [DrawnDigit("1", box, "") for box in BARS]
        kinds = [ClipFrame(page(), digits), ClipFrame(blank, []), ClipFrame(page(), digits[:2]), ClipFrame(page(), [])]
        frames = Clip("some", 7, [kinds[i % 4] for i in range(7)], False)
        together = replay(frames, two_readers(), two_readers, processes=2)
        assert told(together) == told(replay(frames, two_readers()))
        assert [one.frame for one in together[1].differences] == [0, 2, 3, 4, 6]

    def test_one_that_is_ended_is_one_line(self) -> None:
        with pytest.raises(BackendError, match="a process that read some clip was ended; free memory"):
            replay(clip(moving=False), two_readers(), dies, processes=2)

    def test_they_begin_at_once_and_leave_the_rest_unread_when_nobody_waits_for_it(self, tmp_path: Path) -> None:
        frames = Clip("some clip", 200, [ClipFrame(page(), [])] * 200, False)
        noting = partial(notes, tmp_path / "read")
        with replaying(frames, Readers(Says(1), {}), noting, processes=2):
            while not (tmp_path / "read").exists():
                sleep(0.01)
        assert (tmp_path / "read").stat().st_size < 100

    def test_a_clip_that_moves_is_read_in_order_by_this_one(self) -> None:
        assert told(replay(clip(), two_readers(), dies, processes=2)) == told(replay(clip(), two_readers()))


def reading(label: str, *box: int) -> Reading:
    return Reading(Box(*box), label, 0.9, Prediction(np.ones(1, np.float32)))


def test_readings_are_paired_by_what_they_share_most_and_each_once() -> None:
    left, right = reading("1", 0, 0, 20, 40), reading("2", 15, 0, 20, 40)
    near_right, far = reading("2", 13, 0, 20, 40), reading("3", 100, 0, 20, 40)
    assert pair_readings([left, right], [far, near_right]) == [(left, None), (right, near_right), (None, far)]
    assert pair_readings([left], [left, left]) == [(left, left), (None, left)]
    assert pair_readings([], []) == []
