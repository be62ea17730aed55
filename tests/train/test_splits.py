from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from runtime.strokes import VARIANTS
from train.clutter import DRAWINGS, THINGS
from train.conditions import draw_conditions
from train.inks import INKS
from train.letters import _WORDS, FORMS, TEST_FORMS, LetterHand
from train.papers import DESKS, PAPERS
from train.printed import FONTS
from train.splits import SPLITS, Named, of_split
from train.writer import variants_of

CATALOGS: dict[str, Sequence[Named]] = {
    "inks": INKS,
    "papers": PAPERS,
    "desks": DESKS,
    "fonts": FONTS,
    "drawings": DRAWINGS,
    "things": THINGS,
}


@pytest.mark.parametrize("name", CATALOGS)
def test_no_name_is_in_both_splits_and_both_have_several(name: str) -> None:
    train, test = ({entry.name for entry in of_split(CATALOGS[name], split)} for split in SPLITS)
    assert len(train) + len(test) == len(CATALOGS[name])
    assert not train & test
    assert min(len(train), len(test)) >= 4


@pytest.mark.parametrize("name", ["inks", "papers", "desks", "fonts"])
def test_no_entry_is_another_under_a_second_name(name: str) -> None:
    nameless = [replace(entry, name="", split="train") for entry in CATALOGS[name]]  # type: ignore[type-var]
    assert all(nameless.count(entry) == 1 for entry in nameless)


def test_ways_of_writing_digits_are_split() -> None:
    train, test = (set(variants_of(split)) for split in SPLITS)
    assert not train & test
    assert train | test == set(VARIANTS)
    assert {name[0] for name in train} == {name[0] for name in test} == set("0123456789")


def test_forms_of_letters_and_words_are_split() -> None:
    assert set(FORMS) > TEST_FORMS
    assert len(set(FORMS.values())) == len(FORMS)
    assert not set(_WORDS["train"].split()) & set(_WORDS["test"].split())
    rng = np.random.default_rng(1)
    for split in SPLITS:
        for _ in range(20):
            forms = LetterHand.random(rng, split).forms
            assert all((form in TEST_FORMS) == (split == "test") for form in forms.values())


def test_conditions_draw_from_their_own_split_alone() -> None:
    rng = np.random.default_rng(2)
    for split in SPLITS:
        for difficulty in ("clean", "hard"):
            for _ in range(100):
                found = draw_conditions(split, difficulty, 480, rng)
                for entry in (found.ink, found.second, found.paper, found.desk, found.font):
                    assert entry.split == split
