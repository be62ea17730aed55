"""Handwritten letters and words: what a digit reader must not read.

Letters are pen strokes as ``runtime.strokes`` writes digits, in several forms by name, some of them held out for test
frames. A hand varies them as much as hands differ: slant, width, height of the small letters, roundness, joined or not.
Letters that a person may take for a digit are left out, and so are words that need one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.strokes import Hand, Polyline, glyph_strokes
from train.splits import Split

_X_HEIGHT = 0.52  # of the small letters below, from the baseline at y = 100 upwards

# The syntax is that of runtime.strokes: capitals from 0 to 100, small letters from 48, below the line to 145.
FORMS = {
    "a-double": "8,57 18,48 30,53 33,66 33,100 | 33,70 18,69 5,78 6,95 18,100 33,88",
    "a-single": "32,53 18,48 5,58 3,80 12,99 26,94 33,60/ 33,85 37,100",
    "a-wide": "40,55 22,47 5,60 4,88 18,99 36,86 41,52/ 41,84 48,99 58,90",
    "c-open": "34,56 22,47 7,58 3,78 10,96 24,100 36,92",
    "c-hook": "30,60 31,52 20,47 6,60 4,84 16,100 34,94",
    "c-long": "30,55 18,48 6,62 5,88 18,100 48,86",
    "d-stick": "34,58 20,48 5,60 4,86 16,100 34,86 | 36,0 36,50 36,100",
    "d-loop": "32,56 16,48 4,64 5,92 18,99 32,82 38,2/ 35,60 37,92 48,96",
    "d-short": "36,60 22,52 5,62 5,90 20,100 36,88 | 38,14 37,60 38,98 44,100",
    "e-bar": "5,74 34,72 32,54 18,47 5,62 4,86 16,100 35,92",
    "e-loop": "6,80 24,73 32,58 22,47 8,58 5,84 16,100 44,88",
    "e-tilted": "4,80 36,66 28,50 14,50 4,68 8,94 24,100 38,90",
    "f-hook": "36,8 24,0 15,14 15,60 14,100 | 2,50 18,49 34,48",
    "f-loop": "4,74 26,24 24,2 14,20 14,90 12,138 4,120 16,92 36,78",
    "f-descending": "38,12 28,1 17,18 17,80 10,122 0,116 | 4,52 34,50",
    "h-arch": "5,0 5,50 5,100 | 5,68 18,50 31,56 33,100",
    "h-one": "8,0 6,60 5,100/ 8,66 22,50 32,62 33,100",
    "h-loop": "3,88 24,24 20,2 10,20 8,100/ 14,62 26,50 33,64 34,94 46,94",
    "j-dot": "20,48 21,100 14,138 0,132 | 20,26 21,30",
    "j-serif": "6,50 22,48/ 22,104 12,140 -2,126 | 21,24 22,29",
    "j-loop": "4,88 18,50/ 18,110 8,144 2,124 34,88 | 19,26 20,30",
    "k-stick": "5,0 5,100 | 34,50 8,76/ 36,100",
    "k-two": "5,0 5,50 5,100 | 32,46 6,74 | 14,68 24,82 36,100",
    "k-loop": "3,88 22,20 16,2 8,30 6,100/ 16,60 30,52 26,68 10,74/ 24,86 32,100 44,92",
    "m-arches": "4,50 4,100/ 6,62 18,48 26,58 26,100/ 28,62 40,48 50,60 50,100",
    "m-joined": "0,58 8,50 10,100/ 14,60 24,49 29,62 29,100/ 33,60 44,49 50,64 50,94 60,94",
    "m-sharp": "2,100 8,50/ 24,92 36,50/ 46,99",
    "n-arch": "5,50 5,100/ 7,64 20,48 32,58 33,100",
    "n-joined": "0,56 7,50 9,100/ 13,60 25,49 32,62 33,92 42,97",
    "n-serif": "-2,54 6,49/ 7,100/ 10,62 22,48 31,62 31,100",
    "p-stick": "5,50 5,100 5,142 | 6,60 20,48 34,60 32,90 16,100 5,92",
    "p-one": "4,52 6,100 5,144/ 6,100 8,58 22,48 34,62 30,92 10,98",
    "p-open": "2,58 8,50 10,142 | 10,58 24,47 36,62 30,88 16,96",
    "r-stick": "5,50 5,100/ 6,66 16,50 30,52",
    "r-shoulder": "2,84 10,46 16,54 28,53/ 26,80 30,98 40,94",
    "r-wide": "0,54 8,50 10,100/ 12,64 24,48 36,56",
    "t-cross": "16,10 15,60 16,94 30,100 | 0,42 34,40",
    "t-plain": "15,12 15,100 | 0,44 32,43",
    "t-swung": "2,88 18,16/ 14,80 22,100 38,90 | 0,46 36,40",
    "u-stick": "4,50 4,84 14,100 30,90 34,50/ 34,100",
    "u-joined": "0,60 6,50 5,88 14,100 30,84 33,50/ 33,90 40,100 48,92",
    "u-plain": "4,50 4,82 16,100 30,90 34,50",
    "v-sharp": "2,50 18,100/ 35,49",
    "v-joined": "0,54 7,50 15,98 24,96 34,54 42,50",
    "w-sharp": "2,50 12,100/ 24,58/ 36,100/ 48,50",
    "w-round": "2,50 4,90 14,100 24,88 25,60/ 26,90 36,100 47,88 48,50",
    "x-cross": "3,50 32,100 | 33,49 2,100",
    "x-curved": "2,52 10,50 22,96 34,98 | 34,51 22,56 10,94 2,99",
    "y-stick": "3,50 18,96 | 35,49 18,98 2,142",
    "y-round": "4,50 5,84 16,96 30,86 34,50/ 34,110 24,142 4,132",
    "A-peak": "2,100 26,0/ 50,100 | 10,66 42,66",
    "A-one": "2,100 24,2 28,2 48,100 | 6,62 46,58",
    "A-round": "2,100 6,36 24,0 42,34 46,100 | 4,60 48,60",
    "C-arc": "52,16 32,0 8,22 4,62 22,98 52,86",
    "C-hook": "48,24 50,6 34,0 10,20 4,60 22,98 50,88",
    "D-stem": "4,0 4,50 4,100 | 4,1 44,3 76,28 78,68 46,97 4,99",
    "D-overhang": "14,4 13,97 | -8,1 44,3 78,30 76,72 42,98 -8,99",
    "D-gap": "2,-3 2,103 | 14,4 48,6 76,34 74,68 46,95 12,97",
    "E-four": "6,0 5,100 | 6,2 46,0 | 5,50 38,49 | 5,99 48,98",
    "E-corner": "46,2 6,3/ 5,98/ 48,97 | 6,50 38,49",
    "F-three": "6,0 5,100 | 6,2 46,0 | 5,48 36,47",
    "F-corner": "48,2 8,3/ 6,100 | 7,50 38,48",
    "H-bars": "5,0 5,100 | 48,0 47,100 | 5,50 48,49",
    "H-swung": "6,0 4,100 | 48,0 46,60 48,100 | -2,56 26,48 56,46",
    "J-hook": "40,0 40,70 28,99 8,94 2,78",
    "J-topped": "14,1 54,0 | 36,1 36,74 24,99 6,92",
    "K-arms": "6,0 5,100 | 48,0 6,56/ 50,100",
    "K-branch": "5,0 5,100 | 46,2 8,54 | 18,46 32,72 50,98",
    "L-corner": "6,0 5,98/ 46,97",
    "L-curved": "14,0 9,60 6,95/ 24,93 48,99",
    "M-peaks": "4,100 8,0/ 32,70/ 56,0/ 60,100",
    "M-round": "2,100 6,20 16,4 28,30 32,90/ 38,20 48,4 58,30 60,100",
    "N-zigzag": "5,100 6,0/ 46,99/ 48,0",
    "N-round": "3,100 8,10 16,4 40,96 46,94 52,2",
    "P-stick": "6,0 5,100 | 6,3 36,0 50,20 40,44 6,52",
    "P-one": "8,100 6,2/ 34,0 48,22 36,48 8,50",
    "Q-tail": "38,1 10,16 4,54 16,90 40,99 66,84 72,46 58,10 36,1 | 36,60 84,116",
    "Q-swash": "38,1 10,16 4,54 16,88 40,97 66,82 72,46 58,10 36,1 | 26,78 50,88 76,112 104,106",
    "R-stick": "6,0 5,100 | 6,3 36,0 48,20 38,42 8,50/ 50,100",
    "R-loop": "8,100 8,4 34,0 46,18 36,42 14,50/ 32,74 52,100",
    "T-two": "2,2 54,0 | 28,1 27,100",
    "T-wave": "0,10 12,2 32,6 56,0 | 30,5 27,60 28,100",
    "U-cup": "4,0 4,70 24,100 44,72 46,0",
    "U-stem": "4,0 5,76 22,99 42,80 46,0/ 46,100",
    "V-sharp": "2,0 26,100/ 50,0",
    "V-round": "0,4 8,2 24,96 30,96 46,10 54,2",
    "W-sharp": "2,0 16,100/ 34,20/ 50,100/ 66,0",
    "W-round": "2,0 8,80 18,98 32,70 34,20/ 38,80 48,98 60,70 66,0",
    "X-cross": "3,0 48,100 | 48,0 2,100",
    "X-curved": "2,4 12,4 38,96 52,96 | 50,2 40,8 12,92 2,98",
    "Y-fork": "2,0 24,48/ 48,0 | 24,48 24,100",
    "Y-swung": "4,0 22,46 | 48,0 30,40 8,100",
}
"""Every form of a letter, by name: the letter, a hyphen, what is special about it."""

TEST_FORMS = frozenset(
    (
        *(
            "a-wide",
            "c-long",
            "d-short",
            "e-tilted",
            "f-descending",
            "h-loop",
            "j-loop",
            "k-loop",
            "m-sharp",
            "n-serif",
        ),
        *("p-open", "r-wide", "t-swung", "u-plain", "v-joined", "w-round", "x-curved", "y-round", "A-round", "C-hook"),
        *("E-corner", "F-corner", "H-swung", "J-topped", "K-branch", "L-curved", "M-round", "N-round", "P-one"),
        *("R-loop", "T-wave", "U-stem", "V-round", "W-round", "X-curved", "Y-swung"),
    )
)
"""Forms that only test frames hold."""

_WORDS: dict[Split, str] = {
    "train": "name date year week day hand map tea water cream tax card paper market dream trade watch teacher matter "
    "nature data wave army eye March June Tue",
    "test": "part fact near many heat camera track meter jump every Mary Peter Kent Walter never",
}


@dataclass(frozen=True, slots=True)
class LetterHand:
    """A writer of letters.

    Attributes:
        forms: letter -> the form it has, from ``FORMS``.
        hand: slant, width, looseness and roundness, as for digits.
        x_height: height of the small letters against the capitals'.
        spacing: clear paper between letters, in capitals' heights.
        joined: share of the letters that are joined to the next.
        wander: how far letters stray from the line, in capitals' heights.
    """

    forms: dict[str, str]
    hand: Hand
    x_height: float
    spacing: float
    joined: float
    wander: float

    @classmethod
    def random(cls, rng: np.random.Generator, split: Split) -> LetterHand:
        """A new writer, of forms of this split only."""
        choices: dict[str, list[str]] = {}
        for name in FORMS:
            if (name in TEST_FORMS) == (split == "test"):
                choices.setdefault(name[0], []).append(name)
        hand = Hand(
            variants=(),
            slant=float(rng.uniform(-0.15, 0.5)),
            aspect=float(rng.uniform(0.65, 1.45)),
            balance=float(rng.uniform(-0.04, 0.04)),
            looseness=float(rng.uniform(0.006, 0.032)),
            roundness=float(rng.uniform(0.0, 0.14)),
        )
        return cls(
            forms={letter: names[int(rng.integers(len(names)))] for letter, names in choices.items()},
            hand=hand,
            x_height=float(rng.uniform(0.4, 0.68)),
            spacing=float(rng.uniform(0.04, 0.16)),
            joined=float(rng.choice((0.0, 0.0, 0.5, 0.95))),
            wander=float(rng.uniform(0.0, 0.04)),
        )

    @property
    def letters(self) -> str:
        """What it can write."""
        return "".join(self.forms)


def write_word(word: str, rng: np.random.Generator, hand: LetterHand) -> list[Polyline]:
    """Write letters in a line.

    Args:
        word: of ``hand.letters``.
        rng: where chance comes from.
        hand: the writer.

    Returns:
        The pen's paths, float32 (n, 2) each, in heights of a capital, which stands from y = 0 to y = 1.
    """
    written: list[npt.NDArray[np.float64]] = []
    x, end = 0.0, None
    for letter in word:
        strokes = glyph_strokes(FORMS[hand.forms[letter]], rng, hand.hand)
        if letter.islower():
            for path in strokes:
                path[:, 1] = _resized(path[:, 1], hand.x_height)
        # The slant leans letters out of their place: they stand side by side at the height where they are upright.
        upright = [path[:, 0] + hand.hand.slant * path[:, 1] for path in strokes]
        left, right = min(float(u.min()) for u in upright), max(float(u.max()) for u in upright)
        corner = np.array((x - left, rng.normal(0.0, hand.wander)))
        strokes = [path + corner for path in strokes]
        if end is not None and letter.islower() and rng.random() < hand.joined:
            written.append(_join(end, strokes[0][0]))
        written += strokes
        end = strokes[0][-1] if letter.islower() else None
        x += right - left + hand.spacing * rng.uniform(0.7, 1.4)
    return [path.astype(np.float32) for path in written]


def random_word(rng: np.random.Generator, split: Split, hand: LetterHand) -> str:
    """One to seven letters: a word of the split, a made-up one, a few capitals, or a lone letter."""
    kind = rng.random()
    if kind < 0.4:
        word = str(rng.choice(_WORDS[split].split()))
    elif kind < 0.75:
        word = "".join(str(rng.choice(list("cdfhjkmnprtvwxy"))) + str(rng.choice(list("aeuy"))) for _ in range(3))
        word = word[: int(rng.integers(2, 7))]
    elif kind < 0.88:
        word = "".join(rng.choice([c for c in hand.letters if c.isupper()], int(rng.integers(2, 5))))
    else:
        word = str(rng.choice(list(hand.letters)))
    word = word.capitalize() if rng.random() < 0.25 else word
    return "".join(letter for letter in word if letter in hand.forms) or hand.letters[0]


def _resized(y: npt.NDArray[np.float64], x_height: float) -> npt.NDArray[np.float64]:
    """The small letters' height changed; the line, the capitals' height and what hangs below the line stay."""
    return np.interp(y, (0.0, 1.0 - _X_HEIGHT, 1.0, 2.0), (0.0, 1.0 - x_height, 1.0, 2.0))


def _join(start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A curve that sags from the end of a letter to the start of the next."""
    low = np.array((0.5 * (start[0] + end[0]), max(start[1], end[1]) + 0.03))
    t = np.linspace(0.0, 1.0, 9)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * low + t**2 * end
