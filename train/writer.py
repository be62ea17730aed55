"""Writes a page: rows of numbers, words beside and among them, drawings, things that lie about."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.strokes import VARIANTS, Hand, Polyline, digit_strokes
from runtime.values import Image
from train.clutter import DRAWINGS, THINGS
from train.conditions import Conditions
from train.inks import Alpha, Ink, ink_image, ink_strokes
from train.letters import LetterHand, random_word, write_word
from train.printed import print_text
from train.sheet import OVERSAMPLE, Sheet
from train.splits import HELD_OUT, Split, of_split, pick


@dataclass(frozen=True, slots=True, eq=False)
class DigitPool:
    """Pictures of digits to write from: uint8 (n, 28, 28), and for each label the indices of its pictures."""

    images: Image
    of_label: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def of(cls, images: Image, labels: Image) -> DigitPool:
        """From MNIST's arrays."""
        return cls(images, tuple(np.flatnonzero(labels == digit) for digit in range(10)))


def variants_of(split: Split) -> list[str]:
    """The ways of writing a digit that a split has."""
    return [name for name in VARIANTS if (name in HELD_OUT) == (split == "test")]


class Writer:
    """Puts digits, words and drawings on a page."""

    def __init__(self, conditions: Conditions, sheet: Sheet, pool: DigitPool, rng: np.random.Generator) -> None:
        self._conditions, self._sheet, self._pool, self._rng = conditions, sheet, pool, rng
        self._height = conditions.height * OVERSAMPLE
        self._width = conditions.width * OVERSAMPLE
        self._hand = Hand.random(rng, variants_of(conditions.split))
        self._letters = LetterHand.random(rng, conditions.split)
        self._color = _jittered(conditions.ink, rng)
        self._second = _jittered(conditions.second, rng)

    def write_rows(self, area: tuple[float, float, float, float]) -> None:
        """Fill the area with rows of numbers, some with a word before or after."""
        rng, height = self._rng, self._height
        pitch = height * (rng.uniform(1.2, 1.4) if self._conditions.spacing != "spaced" else rng.uniform(1.4, 2.0))
        most = max(1, int(area[3] / pitch))
        count = min(most, int(rng.integers(1, 6)))
        y = area[1] + (area[3] - count * pitch) * rng.uniform(0.1, 0.9) + 0.15 * height
        for row in range(count):
            x = area[0] + abs(rng.normal(0.0, 0.12)) * area[2]
            end = area[0] + area[2] * rng.uniform(0.55, 1.0)
            words = self._conditions.words and self._conditions.writing != "printed"
            number = 0
            while number < 5 and x + 0.6 * height < end:
                if words and rng.random() < 0.15:
                    x = self._word_at(x, y + 0.95 * height, 0.95 * height, end)
                    continue
                x = self._number(x, y, end, row, number)
                number += 1
            y += pitch
        if self._conditions.crossed:
            for _ in range(self._conditions.crossed):
                self._cross_out(area)

    def scatter(self, area: tuple[float, float, float, float]) -> None:
        """Words, drawings and things, beside what is written."""
        conditions, rng = self._conditions, self._rng
        for _ in range(conditions.words):
            size = min(self._height, 0.16 * area[3] * OVERSAMPLE) * rng.uniform(0.6, 1.1)
            self._line_of_words(area, max(size, 12.0))
        for _ in range(conditions.drawings):
            paths = pick(of_split(DRAWINGS, conditions.split), rng).draw(rng)
            scale = min(self._height, 0.25 * area[3]) * rng.uniform(0.5, 1.3)
            self._place(area, [path * max(scale, 12.0) for path in paths])
        for _ in range(conditions.things):
            thing = pick(of_split(THINGS, conditions.split), rng)
            size = rng.uniform(0.1, 0.22) * area[3]
            corner = self._spot(area, (1.2 * size, 1.2 * size), margin=0.0)
            if corner is None:
                if conditions.difficulty == "clean":
                    continue
                corner = np.array(area[:2]) + rng.uniform(0, 1, 2) * np.array(area[2:])
            thing.put(self._sheet.pixels, self._sheet.hidden, corner + 0.6 * size, size, rng)

    def show_through(self, area: tuple[float, float, float, float]) -> None:
        """What is on the page's back: mirrored, soft and faint."""
        rng = self._rng
        back = np.zeros(self._sheet.pixels.shape[:2], np.float32)
        for _ in range(int(rng.integers(3, 8))):
            size = rng.uniform(0.05, 0.14) * area[3]
            words = " ".join(random_word(rng, self._conditions.split, self._letters) for _ in range(2)).replace(" ", "")
            paths = [path * (-size, size) for path in write_word(words, rng, self._letters)]
            x, y = area[0] + area[2] * rng.uniform(0.4, 1.2), area[1] + area[3] * rng.uniform(0, 0.9)
            for path in paths:
                points = np.rint((path + np.array((x, y))) * 16).astype(np.int32)
                cv2.polylines(back, [points], False, 1.0, max(int(0.09 * size), 1), cv2.LINE_8, 4)
        strength = self._conditions.show_through * (-1.0 if self._conditions.paper.ink == "dark" else 0.8)
        self._sheet.pixels *= 1.0 + strength * cv2.GaussianBlur(back, (0, 0), 2.0)[:, :, None]

    def _number(self, x: float, y: float, end: float, row: int, number: int) -> float:
        """One to six digits; returns where the next thing may begin."""
        rng, height = self._rng, self._height
        before: Alpha | None = None
        before_at = (0, 0)
        count = int(rng.choice((1, 2, 3, 4, 5, 6), p=(0.2, 0.2, 0.25, 0.2, 0.1, 0.05)))
        for _ in range(count):
            label = str(rng.integers(10))
            alpha, top = self._digit(label)
            at = (round(x), round(y + top + rng.normal(0.0, 0.025) * height))
            if before is not None:
                at = (at[0] + round(self._gap() - _clear(before, before_at, alpha, at)), at[1])
            if at[0] + alpha.shape[1] > end:
                return end
            self._sheet.stamp_digit(alpha, at, self._color, label, row, number)
            margin = 0.12 * height
            taken = (at[0] - margin, at[1] - margin, alpha.shape[1] + 2 * margin, alpha.shape[0] + 2 * margin)
            self._sheet.take(*taken)
            before, before_at = alpha, at
            x = at[0] + alpha.shape[1]
        return x + height * rng.uniform(0.5, 1.3)

    def _gap(self) -> float:
        """Clear paper between two digits of a number, in page pixels; negative where they overlap."""
        spacing, rng = self._conditions.spacing, self._rng
        if spacing == "touching" and rng.random() < 0.5:
            return float(-0.4 * self._width - 0.5)
        if spacing == "spaced":
            return float(self._height * rng.uniform(0.16, 0.45)) + self._width
        return float(self._height * rng.uniform(0.05, 0.14)) + 3.0

    def _digit(self, label: str) -> tuple[Alpha, float]:
        """Ink of a digit, and how far under the row's top it begins."""
        rng, conditions = self._rng, self._conditions
        height = self._height * rng.uniform(0.92, 1.08)
        if conditions.writing == "printed":
            alpha = print_text(label, self._height, conditions.font)
            return alpha, self._height - alpha.shape[0]
        if conditions.writing == "strokes":
            strokes = [path * height for path in digit_strokes(label, rng, hand=self._hand)]
            alpha, corner = ink_strokes(strokes, conditions.ink, self._width, rng)
            return alpha, self._height - height + corner[1]
        indices = self._pool.of_label[int(label)]
        image = self._pool.images[int(indices[int(rng.integers(len(indices)))])]
        tall = cv2.boundingRect((image > 80).astype(np.uint8))[3]
        # MNIST fits the longer side; a wide digit is not as high as its neighbors, but never under two thirds.
        height *= max(tall / 20.0, 0.66)
        alpha = ink_image(image, height, conditions.ink, self._width, rng)
        return alpha, self._height - height

    def _word_at(self, x: float, line: float, size: float, end: float) -> float:
        """A word on the line; returns where the next thing may begin."""
        word = random_word(self._rng, self._conditions.split, self._letters)
        paths = [path * size + (x, line - size) for path in write_word(word, self._rng, self._letters)]
        points = np.concatenate(paths)
        low, high = points.min(axis=0), points.max(axis=0)
        if high[0] > end:
            return end
        shift = (x - low[0], 0.0)
        self._ink([path + shift for path in paths], self._conditions.ink, self._color)
        self._sheet.take(x - 2, low[1] - 2, high[0] - low[0] + 4, high[1] - low[1] + 4)
        return float(x + high[0] - low[0] + size * self._rng.uniform(0.4, 0.9))

    def _line_of_words(self, area: tuple[float, float, float, float], size: float) -> None:
        """One to four words side by side, hand-written or printed."""
        rng, conditions = self._rng, self._conditions
        printed = conditions.writing == "printed" or rng.random() < 0.15
        x = 0.0
        paths: list[Polyline] = []
        names: list[str] = []
        for _ in range(int(rng.integers(1, 5))):
            names.append(random_word(rng, conditions.split, self._letters))
            if not printed:
                word = [path * size + (x, 0) for path in write_word(names[-1], rng, self._letters)]
                x = max(float(path[:, 0].max()) for path in word) + size * rng.uniform(0.35, 0.7)
                paths += word
        if not printed:
            self._place(area, [path.astype(np.float32) for path in paths])
            return
        alpha = print_text(" ".join(names), size, conditions.font) * np.float32(conditions.ink.pen.opacity)
        corner = self._spot(area, (float(alpha.shape[1]), float(alpha.shape[0])))
        if corner is not None:
            self._sheet.stamp(alpha, (int(corner[0]), int(corner[1])), self._second)

    def _place(self, area: tuple[float, float, float, float], paths: list[Polyline]) -> None:
        """Draw where there is room, if there is."""
        points = np.concatenate(paths)
        low, extent = points.min(axis=0), np.ptp(points, axis=0)
        corner = self._spot(area, (float(extent[0]), float(extent[1])))
        if corner is not None:
            self._ink(
                [(path - low + corner).astype(np.float32) for path in paths], self._conditions.second, self._second
            )

    def _spot(
        self, area: tuple[float, float, float, float], extent: tuple[float, float], margin: float = 0.2
    ) -> npt.NDArray[np.float64] | None:
        """A free place for something so large, now taken; None where chance finds none."""
        room = margin * min(self._height, 60.0) + 3.0
        for _ in range(14):
            # It may reach out of the area a bit, and out of view.
            reach = np.maximum(np.array(area[2:]) * 1.1 - np.array(extent), 1.0)
            corner = np.array(area[:2]) - 0.05 * np.array(area[2:]) + self._rng.uniform(0, 1, 2) * reach
            box = (*(corner - room), extent[0] + 2 * room, extent[1] + 2 * room)
            if self._sheet.free(*box):
                self._sheet.take(*box)
                return corner
        return None

    def _ink(self, paths: list[Polyline], ink: Ink, color: tuple[int, int, int]) -> None:
        width = self._width if ink is self._conditions.ink else self._width * self._rng.uniform(0.7, 1.3)
        alpha, corner = ink_strokes([path.astype(np.float32) for path in paths], ink, width, self._rng)
        self._sheet.stamp(alpha, corner, color)

    def _cross_out(self, area: tuple[float, float, float, float]) -> None:
        """A digit struck through until nobody could read it."""
        rng = self._rng
        alpha, _ = self._digit(str(rng.integers(10)))
        extent = (float(alpha.shape[1]), float(alpha.shape[0]))
        corner = self._spot(area, extent, margin=0.4)
        if corner is None:
            return
        self._sheet.stamp(alpha, (int(corner[0]), int(corner[1])), self._color)
        count = int(rng.integers(5, 9))
        ys = np.linspace(0.1, 0.9, count) + rng.normal(0, 0.04, count)
        xs = np.where(np.arange(count) % 2, 1.15, -0.15) + rng.normal(0, 0.05, count)
        path = np.stack([corner[0] + xs * extent[0], corner[1] + ys * extent[1]], 1).astype(np.float32)
        self._ink([path], self._conditions.ink, self._color)


def _jittered(ink: Ink, rng: np.random.Generator) -> tuple[int, int, int]:
    blue, green, red = (int(np.clip(c + rng.normal(0, 8), 8, 250)) for c in ink.color)
    return blue, green, red


def _clear(left: Alpha, left_at: tuple[int, int], right: Alpha, right_at: tuple[int, int]) -> float:
    """Clear columns between two patches of ink where they come nearest, over the rows that they share."""
    top = max(left_at[1], right_at[1])
    bottom = min(left_at[1] + left.shape[0], right_at[1] + right.shape[0])
    a = left[top - left_at[1] : bottom - left_at[1]] > 0.2
    b = right[top - right_at[1] : bottom - right_at[1]] > 0.2
    # Ink within a few rows counts, or a slanting digit would slide over its neighbor.
    kernel = np.ones((max(2 * ((bottom - top) // 6) + 1, 1), 1), np.uint8)
    a, b = (cv2.dilate(ink.astype(np.uint8), kernel) > 0 for ink in (a, b))
    both = a.any(axis=1) & b.any(axis=1)
    if not both.any():
        return float(right_at[0] - left_at[0] - left.shape[1])
    ends = left_at[0] + left.shape[1] - a[both][:, ::-1].argmax(axis=1)
    starts = right_at[0] + b[both].argmax(axis=1)
    return float((starts - ends).min())
