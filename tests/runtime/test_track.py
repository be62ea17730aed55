from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.track import Candidate, Tracker, TrackSettings
from runtime.values import Box, Image

LABELS = 11


def picture(upright: bool) -> Image:
    """One of two pictures whose correlation is zero."""
    pixels = np.zeros((28, 28), np.uint8)
    pixels[:, :14] = 255
    return pixels if upright else pixels.T.copy()


def answer(label: int, confidence: float = 0.99) -> npt.NDArray[np.float32]:
    rest = np.full(LABELS, (1 - confidence) / (LABELS - 1), np.float32)
    rest[label] = confidence
    return rest


def candidate(x: int = 100, y: int = 50, label: int = 3, confidence: float = 0.99, upright: bool = True) -> Candidate:
    """A digit of 40×60 pixels."""
    return Candidate(Box(x, y, 40, 60), answer(label, confidence), picture(upright))


def labels_of(tracker: Tracker, labels: list[int], confidence: float = 0.99) -> list[int]:
    """What one digit that stays where it is is read as, while the classifier says ``labels`` frame by frame."""
    answers = []
    for label in labels:
        (tracked,) = tracker.update([candidate(label=label, confidence=confidence)])
        answers.append(int(tracked.probabilities.argmax()))
    return answers


def test_a_digit_keeps_its_identity_while_it_drifts_and_grows() -> None:
    tracker = Tracker()
    for frame in range(30):
        box = Box(100 + 12 * frame, 50 + 6 * frame, 40 + frame, 60 + frame)
        (tracked,) = tracker.update([Candidate(box, answer(3), picture(True))])
        assert (tracked.track, tracked.age) == (1, frame)


def test_identities_count_from_1_in_the_order_of_the_candidates() -> None:
    tracker = Tracker()
    first = tracker.update([candidate(x) for x in (300, 100, 200)])
    assert [tracked.track for tracked in first] == [1, 2, 3]
    # The answer is in the order asked, whatever order that is.
    second = tracker.update([candidate(x) for x in (100, 200, 300, 400)])
    assert [tracked.track for tracked in second] == [2, 3, 1, 4]
    assert [tracked.age for tracked in second] == [1, 1, 1, 0]


@pytest.mark.parametrize("patience", [0, 1, 5])
def test_a_digit_unseen_for_as_many_frames_as_patience_has_keeps_its_identity(patience: int) -> None:
    tracker = Tracker(TrackSettings(patience=patience))
    tracker.update([candidate()])
    for _ in range(patience):
        assert tracker.update([]) == []
    (tracked,) = tracker.update([candidate()])
    assert (tracked.track, tracked.age) == (1, patience + 1)


@pytest.mark.parametrize("patience", [0, 1, 5])
def test_a_digit_unseen_for_one_frame_longer_is_a_new_one(patience: int) -> None:
    tracker = Tracker(TrackSettings(patience=patience))
    tracker.update([candidate(label=3)])
    for _ in range(patience + 1):
        tracker.update([])
    (tracked,) = tracker.update([candidate(label=4)])
    assert (tracked.track, tracked.age) == (2, 0)
    np.testing.assert_allclose(tracked.probabilities, answer(4), rtol=1e-5)


def test_the_first_answer_is_the_classifiers_own() -> None:
    (tracked,) = Tracker().update([candidate(label=7, confidence=0.6)])
    np.testing.assert_allclose(tracked.probabilities, answer(7, 0.6), rtol=1e-5)
    assert tracked.probabilities.dtype == np.float32


def test_one_bad_frame_does_not_flip_a_label_that_three_gave() -> None:
    assert labels_of(Tracker(), [3, 3, 3, 8, 3, 3, 3, 8, 3]) == [3] * 9


def test_a_lasting_change_is_read_from_its_fourth_frame_on() -> None:
    # With evidence equally strong, the new label wins once 1 + 0.8 + … + 0.8^(n−1) > 0.8^n / (1 − 0.8): n = 4.
    assert labels_of(Tracker(), [3] * 40 + [8] * 6) == [3] * 40 + [3, 3, 3, 8, 8, 8]


def test_without_memory_each_frame_stands_alone() -> None:
    assert labels_of(Tracker(TrackSettings(memory=0.0)), [3, 3, 8, 3]) == [3, 3, 8, 3]


def test_frames_that_agree_leave_the_confidence_as_it_is() -> None:
    # A mean, not a sum: the frames of a paper that lies still are not independent witnesses.
    tracker = Tracker()
    for _ in range(20):
        (tracked,) = tracker.update([candidate(confidence=0.7)])
        np.testing.assert_allclose(tracked.probabilities, answer(3, 0.7), rtol=1e-5)


def test_evidence_fades_while_a_digit_is_unseen() -> None:
    # Three frames of 3, then none for three: they weigh 0.8⁴ · (1 + 0.8 + 0.64) = 0.9994, less than one new frame. None
    # for two: 0.8³ · 2.44 = 1.25, more.
    answers = []
    for unseen in (2, 3):
        tracker = Tracker()
        labels_of(tracker, [3, 3, 3])
        for _ in range(unseen):
            tracker.update([])
        answers += labels_of(tracker, [8])
    assert answers == [3, 8]


def test_two_digits_that_pass_each_other_on_two_lines_keep_their_identities() -> None:
    tracker = Tracker()
    for frame in range(21):
        upper, lower = candidate(100 + 10 * frame, 50, label=3), candidate(300 - 10 * frame, 115, label=8)
        # The order of candidates is no help.
        pair = [upper, lower] if frame % 2 else [lower, upper]
        tracked = tracker.update(pair)
        ids = [t.track for t in tracked] if frame % 2 else [t.track for t in tracked][::-1]
        assert ids == [2, 1]
        assert [int(t.probabilities.argmax()) for t in tracked] == ([3, 8] if frame % 2 else [8, 3])


def test_of_two_candidates_the_one_that_overlaps_more_keeps_the_track() -> None:
    tracker = Tracker()
    tracker.update([candidate(100)])
    assert [tracked.track for tracked in tracker.update([candidate(115), candidate(105)])] == [2, 1]


def test_a_page_turned_under_the_camera_starts_anew() -> None:
    tracker = Tracker()
    tracker.update([candidate(label=3, upright=True)])
    (tracked,) = tracker.update([candidate(label=8, upright=False)])
    assert (tracked.track, tracked.age, int(tracked.probabilities.argmax())) == (2, 0, 8)


def test_a_jump_to_where_nothing_was_is_a_new_digit() -> None:
    tracker = Tracker()
    tracker.update([candidate(100)])
    # 40 wide: 8 of 40 in common is an IoU of 8/72 = 0.11, under 0.2, and the centers are apart.
    assert tracker.update([candidate(132)])[0].track == 2
    # 16 of 40, 16/64 = 0.25, is enough.
    assert tracker.update([candidate(156)])[0].track == 2


def test_a_digit_seen_with_half_its_ink_is_still_the_same() -> None:
    # IoU 1/6, but each box holds the other's center.
    tracker = Tracker()
    tracker.update([Candidate(Box(100, 100, 60, 60), answer(3), picture(True))])
    (tracked,) = tracker.update([Candidate(Box(125, 100, 10, 60), answer(3), picture(True))])
    assert tracked.track == 1


def test_a_speck_in_a_digit_is_not_the_digit() -> None:
    # The digit's center is not in the speck, and the IoU is 1 %.
    tracker = Tracker()
    tracker.update([Candidate(Box(100, 100, 60, 60), answer(3), picture(True))])
    (tracked,) = tracker.update([Candidate(Box(110, 110, 6, 6), answer(3), picture(True))])
    assert tracked.track == 2


def test_a_label_that_was_ruled_out_entirely_can_come_back() -> None:
    certain = np.zeros(LABELS, np.float32)
    certain[3] = 1
    tracker = Tracker()
    for _ in range(10):
        tracker.update([Candidate(Box(0, 0, 40, 60), certain, picture(True))])
    answers = [
        int(
            tracker.update([Candidate(Box(0, 0, 40, 60), np.roll(certain, 5), picture(True))])[0].probabilities.argmax()
        )
        for _ in range(4)
    ]
    assert answers[-1] == 8


def test_a_frame_certain_beyond_reason_does_not_outweigh_many() -> None:
    # The weight of the past comes to 4 frames, each 90 to 1: 90⁴ = 6.6e7; a frame counts for at most a million to one.
    tracker = Tracker()
    labels_of(tracker, [3] * 30, confidence=0.9)
    certain = np.zeros(LABELS, np.float32)
    certain[8] = 1
    (tracked,) = tracker.update([Candidate(Box(100, 50, 40, 60), certain, picture(True))])
    assert int(tracked.probabilities.argmax()) == 3


scenes = st.lists(
    st.lists(
        st.builds(
            candidate,
            st.integers(0, 200),
            st.integers(0, 100),
            st.integers(0, LABELS - 1),
            st.floats(0.2, 1.0),
            st.booleans(),
        ),
        max_size=4,
    ),
    max_size=12,
)


@given(scenes)
def test_every_candidate_gets_one_identity_and_no_identity_is_given_twice(scene: list[list[Candidate]]) -> None:
    tracker = Tracker()
    born: dict[int, int] = {}
    for frame, candidates in enumerate(scene):
        answers = tracker.update(candidates)
        assert len(answers) == len(candidates)
        assert len({tracked.track for tracked in answers}) == len(answers)
        for tracked in answers:
            new = tracked.track not in born
            assert born.setdefault(tracked.track, frame) == frame - tracked.age
            assert not new or tracked.track == len(born)  # from 1, none skipped
            assert tracked.probabilities.sum() == pytest.approx(1, abs=1e-5)
            assert tracked.probabilities.min() >= 0


@given(scenes)
def test_the_same_frames_give_the_same_answers(scene: list[list[Candidate]]) -> None:
    one, other = Tracker(), Tracker()
    for candidates in scene:
        for a, b in zip(one.update(candidates), other.update(candidates), strict=True):
            assert (a.track, a.age) == (b.track, b.age)
            np.testing.assert_array_equal(a.probabilities, b.probabilities)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.floats(0.3, 0.99))
def test_evidence_is_the_decayed_mean_of_log_probabilities(labels: list[int], confidence: float) -> None:
    tracker = Tracker()
    labels_of(tracker, labels[:-1], confidence)
    (tracked,) = tracker.update([candidate(label=labels[-1], confidence=confidence)])
    weights = 0.8 ** np.arange(len(labels))[::-1]
    mean = weights @ np.log([answer(label, confidence) for label in labels]) / weights.sum()
    assume(np.isfinite(mean).all())
    np.testing.assert_allclose(tracked.probabilities, np.exp(mean) / np.exp(mean).sum(), rtol=1e-4)
