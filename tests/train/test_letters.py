from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from train.distractors import LOOKALIKE_LETTERS
from train.letters import FORMS, LetterHand, random_word, write_word
from train.splits import Split


@pytest.fixture
def hand() -> LetterHand:
    """A steady one: upright, unjoined, on the line."""
    made = LetterHand.random(np.random.default_rng(3), "train")
    steady = replace(made.hand, slant=0.0, looseness=0.0, balance=0.0, roundness=0.0)
    return replace(made, hand=steady, x_height=0.5, joined=0.0, wander=0.0)


def extent(word: str, hand: LetterHand) -> tuple[np.ndarray, np.ndarray]:
    points = np.concatenate(write_word(word, np.random.default_rng(4), hand))
    return points.min(axis=0), points.max(axis=0)


def test_no_letter_is_one_that_may_be_read_as_a_digit() -> None:
    assert not {form[0] for form in FORMS} & LOOKALIKE_LETTERS


def test_capitals_stand_from_the_top_to_the_line(hand: LetterHand) -> None:
    low, high = extent("H", hand)
    assert low[1] == pytest.approx(0.0, abs=0.05)
    assert high[1] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("x_height", [0.4, 0.6])
def test_small_letters_have_the_hands_height(x_height: float, hand: LetterHand) -> None:
    low, high = extent("v", replace(hand, x_height=x_height))
    assert high[1] == pytest.approx(1.0, abs=0.05)
    assert low[1] == pytest.approx(1.0 - x_height, abs=0.05)


def test_letters_follow_each_other_without_overlap(hand: LetterHand) -> None:
    one, two = extent("H", hand)[1][0], extent("HH", hand)[1][0]
    assert two > 2 * one


def test_a_joined_hand_joins_small_letters(hand: LetterHand) -> None:
    joined = replace(hand, joined=1.0)
    rng = np.random.default_rng(5)
    apart = len(write_word("nun", rng, hand))
    assert len(write_word("nun", rng, joined)) == apart + 2
    assert len(write_word("NUN", rng, joined)) == len(write_word("NUN", rng, hand))


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_word_can_be_written(split: Split) -> None:
    rng = np.random.default_rng(6)
    for _ in range(100):
        hand = LetterHand.random(rng, split)
        word = random_word(rng, split, hand)
        assert word
        assert set(word) <= set(hand.letters)
        assert all(np.isfinite(path).all() for path in write_word(word, rng, hand))


def test_hands_differ(hand: LetterHand) -> None:
    rng = np.random.default_rng(7)
    widths = [np.ptp(np.concatenate(write_word("tram", rng, LetterHand.random(rng, "train")))[:, 0]) for _ in range(30)]
    assert max(widths) > 1.8 * min(widths)
