"""What a frame is to be like, drawn by chance before anything else: pen, paper, size, light, lens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from train.inks import INKS, Ink
from train.papers import DESKS, PAPERS, Stock
from train.printed import FONTS, Font
from train.splits import Split, of_split, pick

Difficulty: TypeAlias = Literal["clean", "hard"]
Writing: TypeAlias = Literal["mnist", "strokes", "printed"]
Spacing: TypeAlias = Literal["spaced", "crowded", "touching"]
Light: TypeAlias = Literal["even", "gradient", "hard-shadow", "glare", "dim"]
Blur: TypeAlias = Literal["sharp", "defocus", "motion-blur"]

_EMPTY = {"clean": 0.1, "hard": 0.16}  # share of frames without digits


@dataclass(frozen=True, slots=True)
class Conditions:
    """A frame's circumstances. Lengths are in frame pixels, angles in degrees.

    Attributes:
        split: whose names are used.
        difficulty: clean or hard.
        empty: no digit in it.
        writing: MNIST's digits, pen strokes, or print.
        ink: the pen.
        second: another pen, for words and drawings.
        paper: what is written on.
        desk: what the paper lies on.
        sheet: its edges are in view.
        font: of what is printed.
        height: of the digits.
        width: of the pen's line.
        spacing: between digits.
        turn: of the camera.
        keystone: how much nearer one side of the page is, across and down, as a share of the frame's height.
        words: lines of words, beside or among the numbers.
        drawings: pen drawings.
        things: things that lie about.
        crossed: digits crossed out.
        show_through: contrast of what is on the page's back, 0 for nothing.
        light: how it falls.
        contrast: how strong it varies.
        exposure: of the whole frame.
        blur: of the lens.
        reach: of the blur.
        noise: of the sensor, in gray levels.
        quality: of the JPEG, 1–100.
    """

    split: Split
    difficulty: Difficulty
    empty: bool
    writing: Writing
    ink: Ink
    second: Ink
    paper: Stock
    desk: Stock
    sheet: bool
    font: Font
    height: float
    width: float
    spacing: Spacing
    turn: float
    keystone: tuple[float, float]
    words: int
    drawings: int
    things: int
    crossed: int
    show_through: float
    light: Light
    contrast: float
    exposure: float
    blur: Blur
    reach: float
    noise: float
    quality: int

    def tags(self) -> list[str]:
        """What a benchmark groups frames by."""
        found = [self.difficulty, f"{self.paper.kind}-paper" if self.paper.kind != "board" else "board"]
        found.append("dark-on-light" if self.paper.ink == "dark" else "light-on-dark")
        if self.empty:
            found += ["negative"] if self.words + self.drawings + self.things else ["negative", "blank"]
        else:
            sizes = ((20, "tiny"), (40, "small"), (90, "medium"), (1e9, "large"))
            found += [self.writing, next(name for limit, name in sizes if self.height < limit), self.spacing]
            found.append("print" if self.writing == "printed" else self.ink.kind)
        found += [self.light, self.blur]
        marks = {
            "rotated": abs(self.turn) > 8,
            "perspective": max(map(abs, self.keystone)) > 0.12,
            "words": self.words > 0,
            "drawings": self.drawings > 0,
            "things": self.things > 0,
            "crossed-out": self.crossed > 0,
            "show-through": self.show_through > 0,
            "noisy": self.noise > 5,
            "compressed": self.quality < 50,
            "sheet-edges": self.sheet,
        }
        return found + [name for name, holds in marks.items() if holds]

    @property
    def source(self) -> str:
        """What the macro average takes as one source: the digits' origin and the pen."""
        return (
            self.paper.name
            if self.empty
            else f"{self.writing}, {self.font.name if self.writing == 'printed' else self.ink.name}"
        )


def draw_conditions(split: Split, difficulty: Difficulty, frame_height: int, rng: np.random.Generator) -> Conditions:
    """Conditions of one frame.

    Args:
        split: whose names to use.
        difficulty: clean or hard.
        frame_height: in pixels; digits are 12 to 200 pixels tall in a frame of 480.
        rng: where chance comes from.
    """
    hard = difficulty == "hard"
    unit = frame_height / 480
    paper = pick(of_split(PAPERS, split), rng)
    inks = [ink for ink in of_split(INKS, split) if ink.polarity == paper.ink]
    if paper.kind == "textured":  # a pale pencil on brown paper is hardly to be read
        inks = [ink for ink in inks if ink.kind != "pencil"]
    ink = pick(inks, rng)
    writing: Writing = ("mnist", "strokes", "printed")[int(rng.choice(3, p=(0.55, 0.3, 0.15)))]
    if paper.kind == "board" and writing == "printed":
        writing = "mnist"
    low, high = (12.0, 200.0) if hard else (22.0, 150.0)
    height = max(float(np.exp(rng.uniform(np.log(low), np.log(high)))) * unit, 12.0)
    # A line under a pixel or so is lost in the sensor's noise, whatever the pen.
    width = max(rng.uniform(*ink.widths) * height, 0.9 if hard else 1.2)
    empty = bool(rng.random() < _EMPTY[difficulty])
    busy = rng.random() < (0.75 if hard else 0.5)
    light: Light = ("even", "gradient", "hard-shadow", "glare", "dim")[
        int(rng.choice(5, p=(0.15, 0.25, 0.28, 0.17, 0.15) if hard else (0.45, 0.45, 0.1, 0.0, 0.0)))
    ]
    blur: Blur = ("sharp", "defocus", "motion-blur")[int(rng.choice(3, p=(0.4, 0.35, 0.25) if hard else (0.9, 0.1, 0)))]
    # What is read must be readable: blur goes by the line and the digit, not by the frame, and leaves loops open.
    most = max(min(0.045 * height + 0.2 * width, 0.5 * (0.3 * height - width), 6.0 * unit), 0.3)
    blank = empty and rng.random() < 0.3
    return Conditions(
        split=split,
        difficulty=difficulty,
        empty=empty,
        writing=writing,
        ink=ink,
        second=pick(inks, rng) if rng.random() < 0.3 else ink,
        paper=paper,
        desk=pick(of_split(DESKS, split), rng),
        sheet=bool(rng.random() < (0.9 if paper.kind == "sticky" else 0.4)),
        font=pick(of_split(FONTS, split), rng),
        height=height,
        width=width,
        spacing=("spaced", "crowded", "touching")[int(rng.choice(3, p=(0.4, 0.28, 0.32) if hard else (0.85, 0.15, 0)))],
        turn=float(np.clip(rng.normal(0, 8.0 if hard else 2.5), -20, 20)),
        keystone=(rng.normal(0, 0.13 if hard else 0.04), rng.normal(0, 0.13 if hard else 0.04)),
        words=0 if blank else int(rng.integers(1, 7 if hard else 5)) if busy or empty else 0,
        drawings=0 if blank else int(rng.poisson(2.0 if hard else 0.7)) if busy or empty else 0,
        things=0 if blank else int(rng.choice(3, p=(0.6, 0.3, 0.1) if hard else (0.85, 0.15, 0))),
        crossed=int(rng.integers(1, 3)) if hard and not empty and rng.random() < 0.12 else 0,
        show_through=rng.uniform(0.02, 0.07) if rng.random() < (0.2 if hard else 0.05) else 0.0,
        light=light,
        contrast=rng.uniform(0.3, 0.6) if hard else rng.uniform(0.1, 0.35),
        exposure=rng.uniform(0.8, 1.08) if hard else rng.uniform(0.9, 1.03),
        blur=blur,
        reach=most * rng.uniform(0.4, 1.0),
        noise=rng.uniform(2.0, 9.0) if hard else rng.uniform(1.0, 3.5),
        quality=int(rng.integers(32, 90) if hard else rng.integers(70, 95)),
    )
