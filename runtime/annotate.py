"""Draw on a picture what was read in it: boxes, labels, confidences and numbers; or why nothing was.

Blue and orange, the pair that all common kinds of color blindness tell apart (M. Okabe and K. Ito, "Color Universal
Design", 2008), each on a light rim, so that lines show on chalkboards too. What is unsure is dashed, not only gray.
OpenCV's own fonts: a device carries no others. OpenCV 4 and 5 draw them differently, so every width is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import cv2
import numpy as np

from runtime.values import Box, Image, Number, Reading, Result

Color: TypeAlias = tuple[int, int, int]

DIGIT: Color = (178, 114, 0)
NUMBER: Color = (0, 159, 230)
UNSURE: Color = (118, 110, 104)
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
"""Colors in BGR order."""

_SMALLEST_SIDE = 240  # a scene with a shorter side is enlarged: there is no room for letters in it
_LARGEST_ENLARGED_SIDE = 1280
_CAP_HEIGHT = 21.5  # pixels of a capital or digit at font scale 1, in OpenCV 4 and 5
_SMALLEST_CAP = 8  # pixels; below, digits cannot be told apart
_GRID = 4  # pixels per cell of the map of what is taken


def annotate(scene: Image, result: Result, *, fps: float | None = None) -> Image:
    """Draw a result on a copy of its picture.

    Args:
        scene: uint8 (H, W, 3) in BGR order, or (H, W) gray; left as it is.
        result: what was read in it.
        fps: frames per second to show, with the milliseconds that reading took; None for a still picture.

    Returns:
        uint8 (H, W, 3) in BGR order. A scene too small to write in comes back enlarged by a whole factor.
    """
    canvas = cv2.cvtColor(scene, cv2.COLOR_GRAY2BGR) if scene.ndim == 2 else scene.copy()
    factor = _enlargement(*canvas.shape[:2])
    if factor > 1:
        canvas = cv2.resize(canvas, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    drawing = _Drawing(canvas)
    readings = [_Mark.of(reading, factor) for reading in result.readings]
    unsure = [_Mark.of(reading, factor) for reading in result.unsure]
    for mark in (*readings, *unsure):
        drawing.take(mark.box)
    for mark in unsure:
        drawing.dashed_box(mark.box)
    for mark in readings:
        drawing.solid_box(mark.box)
    slots = _slots(readings, drawing.gap)
    for mark in readings:
        drawing.digit_tag(mark, slots[mark.box])
    for number in result.numbers:
        if len(number.text) > 1:
            drawing.number_tag(number, _scaled(number.box, factor))
    for mark in unsure:
        drawing.unsure_tag(mark)
    if not result.readings and result.hint:
        drawing.banner("Nothing read", result.hint)
    if fps is not None:
        drawing.status(f"{fps:.0f} fps", result.milliseconds.get("total"))
    return canvas


def banner(scene: Image, title: str, lines: Sequence[str]) -> Image:
    """Write lines on a dark panel in the middle of a copy of a picture: help, or a pause.

    Args:
        scene: uint8 (H, W, 3) in BGR order; left as it is.
        title: in large letters.
        lines: below it. Where a line holds a tab, what follows it begins in a second column.
    """
    canvas = scene.copy()
    _Drawing(canvas).panel(title, lines)
    return canvas


@dataclass(frozen=True, slots=True)
class _Mark:
    """A reading as it is drawn."""

    box: Box
    label: str
    percent: str

    @classmethod
    def of(cls, reading: Reading, factor: int) -> _Mark:
        # Never 100: no reading is certain.
        return cls(_scaled(reading.box, factor), reading.label, f"{min(int(100 * reading.confidence), 99)}")


class _Drawing:
    """A canvas, the measures that follow from its size, and a map of what on it is taken."""

    def __init__(self, canvas: Image) -> None:
        self.canvas = canvas
        self.height, self.width = canvas.shape[:2]
        unit = min(self.height, self.width * 0.75) / 480
        self.cap = max(round(12.5 * unit), 9)
        self.line = max(round(1.6 * unit), 1)
        self.gap = max(round(3 * unit), 2)
        self._taken = np.zeros((self.height // _GRID + 1, self.width // _GRID + 1), np.uint8)

    def take(self, box: Box) -> None:
        """Note that something stands here that should stay visible."""
        self._cells(box.x, box.y, box.width, box.height)[:] = 1

    def solid_box(self, box: Box) -> None:
        """The outline of a digit that was read."""
        self._outline(box, self.line + self.rim(box), WHITE)
        self._outline(box, self.line, DIGIT)

    def dashed_box(self, box: Box) -> None:
        """The outline of ink that may be a digit."""
        dash = 2 * self.gap + 1
        for thickness, color in ((self.line + self.rim(box), WHITE), (self.line, UNSURE)):
            for start, end in _dashes(self._around(box), dash):
                cv2.line(self.canvas, start, end, color, thickness, cv2.LINE_8)

    def rim(self, box: Box) -> int:
        """Pixels that the light rim adds to a line."""
        return max(self.line, 2) if box.height > 4 * self.cap else 2

    def digit_tag(self, mark: _Mark, slot: tuple[int, int]) -> None:
        """Label and confidence of a digit.

        Side by side where its slot (left, right) is wide enough, else the label above the box and the percentage below.
        """
        box, room = mark.box, slot[1] - slot[0]
        cap = max(min(self.cap, round(0.55 * box.height)), 9)
        small = max(round(0.72 * cap), _SMALLEST_CAP)
        pad = max(round(0.4 * cap), 3)
        label, percent = _text_width(mark.label, cap, True), _text_width(mark.percent + "%", small)
        width = label + percent + round(2.5 * pad)
        height = cap + 2 * pad
        if width <= room:
            x, y = self._free(self._tag_places(box, slot, width, height), width, height)
            self._plate(x, y, width, height, DIGIT)
            self._text(mark.label, x + pad, y + pad + cap, cap, WHITE, bold=True)
            self._text(mark.percent + "%", x + round(1.5 * pad) + label, y + pad + cap, small, WHITE)
            return
        height = cap + 2 * max(pad - 1, 2)
        width = max(min(box.width + 2 * self.line, room), label + 4)
        x = round(box.x + box.width / 2 - width / 2)
        above = box.y - self.gap - height
        y = above if above >= 0 else box.bottom + self.gap
        x, y = self._inside(x, y, width, height)
        self._plate(x, y, width, height, DIGIT)
        self._text(mark.label, x + (width - label) // 2, y + (height + cap) // 2, cap, WHITE, bold=True)
        percent = _text_width(mark.percent, _SMALLEST_CAP)
        below = box.bottom + self.gap + (0 if above >= 0 else height)
        x, y = self._inside(round(box.x + box.width / 2 - percent / 2) - 1, below, percent + 3, _SMALLEST_CAP + 4)
        self._plate(x, y, percent + 3, _SMALLEST_CAP + 4, WHITE)
        self._text(mark.percent, x + 2, y + _SMALLEST_CAP + 2, _SMALLEST_CAP, DIGIT)

    def number_tag(self, number: Number, box: Box) -> None:
        """A bracket around neighboring digits, and what they make."""
        tall = sorted(reading.box.height for reading in number.readings)[len(number.readings) // 2]
        cap = max(min(round(1.25 * self.cap), round(0.8 * tall)), 10)
        small = max(round(0.62 * cap), _SMALLEST_CAP)
        pad = max(round(0.42 * cap), 4)
        text, percent = _text_width(number.text, cap, True), f"{min(int(100 * number.confidence), 99)}%"
        width = text + _text_width(percent, small) + 3 * pad
        height = cap + 2 * pad
        low = box.bottom + 2 * self.gap
        if self._covered(box.x, low, box.width, _SMALLEST_CAP):  # percentages stand below the boxes
            low += _SMALLEST_CAP + 4 + self.gap
        places = [(box.x, low + self.gap), (box.right - width, low + self.gap), (box.right + self.gap, box.y)]
        places += [(box.x, box.y - 3 * self.cap - height), (box.x - width - self.gap, box.y)]
        x, y = self._free(places, width, height)
        if (x, y) in places[:2]:
            for thickness, color in ((self.line + 2, WHITE), (self.line + 1, NUMBER)):
                ends = [(box.x, low - self.gap), (box.x, low), (box.right, low), (box.right, low - self.gap)]
                cv2.polylines(self.canvas, [np.array(ends, np.int32)], False, color, thickness, cv2.LINE_AA)
        self._plate(x, y, width, height, NUMBER)
        self._text(number.text, x + pad, y + pad + cap, cap, BLACK, bold=True)
        self._text(percent, x + 2 * pad + text, y + pad + cap, small, BLACK)

    def unsure_tag(self, mark: _Mark) -> None:
        """The likeliest label of ink that was not accepted, with a question mark."""
        cap = max(round(0.8 * self.cap), 9)
        pad = max(round(0.35 * cap), 3)
        text = f"{mark.label}?"
        width, height = _text_width(text, cap) + 2 * pad, cap + 2 * pad
        x, y = self._free(self._tag_places(mark.box, (0, self.width), width, height), width, height)
        self._plate(x, y, width, height, UNSURE)
        self._text(text, x + pad, y + pad + cap, cap, WHITE)

    def status(self, rate: str, milliseconds: float | None) -> None:
        """Speed, in whichever corner is free."""
        cap = max(round(0.85 * self.cap), 9)
        pad = round(0.7 * cap)
        text = rate if milliseconds is None else f"{rate}   {milliseconds:.1f} ms"
        width, height = _text_width(text, cap) + 2 * pad, cap + 2 * pad
        right, bottom, edge = self.width - width - self.gap, self.height - height - self.gap, self.gap
        x, y = self._free([(edge, edge), (right, edge), (edge, bottom), (right, bottom)], width, height)
        self._shade(x, y, width, height)
        self._text(text, x + pad, y + pad + cap, cap, WHITE)

    def banner(self, title: str, text: str) -> None:
        """A title and a line under it, at the foot of the picture."""
        cap, small = round(1.25 * self.cap), self.cap
        room = self.width - 4 * self.gap - 2 * cap
        small = max(min(small, small * room // max(_text_width(text, small), 1)), _SMALLEST_CAP)
        width = min(max(_text_width(title, cap, True), _text_width(text, small)) + 2 * cap, self.width)
        height = cap + small + round(2.6 * cap)
        x, y = (self.width - width) // 2, max(self.height - height - 4 * self.gap, 0)
        self._shade(x, y, width, height)
        for line, size, bold, base in ((title, cap, True, 1.9 * cap), (text, small, False, 2.6 * cap + small)):
            left = x + (width - _text_width(line, size, bold)) // 2
            self._text(line, left, y + round(base), size, WHITE, bold=bold)

    def panel(self, title: str, lines: Sequence[str]) -> None:
        """A title and lines in two columns, in the middle."""
        cap = self.cap
        rows = [line.partition("\t") for line in lines]
        first = max((_text_width(row[0], cap, True) for row in rows), default=0) + 2 * cap
        width = max(first + max((_text_width(row[2], cap) for row in rows), default=0), _text_width(title, cap, True))
        width, height = width + 4 * cap, round((2.2 * len(rows) + 4.6) * cap) if rows else 5 * cap
        x, y = max((self.width - width) // 2, 0), max((self.height - height) // 2, 0)
        self._shade(x, y, width, height)
        self._text(title, x + 2 * cap, y + 3 * cap, cap, WHITE, bold=True)
        for number, (key, _, text) in enumerate(rows):
            base = y + round((2.2 * number + 5.4) * cap)
            self._text(key, x + 2 * cap, base, cap, NUMBER, bold=True)
            self._text(text, x + 2 * cap + first, base, cap, WHITE)

    def _tag_places(self, box: Box, slot: tuple[int, int], width: int, height: int) -> list[tuple[int, int]]:
        """Above the box, below it, then beside it, and within the slot."""
        x = min(max(box.x - self.line, slot[0]), slot[1] - width)
        above, below = box.y - self.gap - height, box.bottom + self.gap
        beside = [(box.right + self.gap, box.y), (box.x - self.gap - width, box.y)]
        return [(x, above), (x, below), *beside, (x, box.y)]

    def _free(self, places: Iterable[tuple[int, int]], width: int, height: int) -> tuple[int, int]:
        """The first place that covers least; those out of the picture come last, moved in. Then it is taken."""

        def cost(place: tuple[int, int]) -> int:
            x, y = place
            outside = x < 0 or y < 0 or x + width > self.width or y + height > self.height
            return self._covered(*self._inside(x, y, width, height), width, height) + 10_000 * outside

        x, y = self._inside(*min(places, key=cost), width, height)
        self._cells(x, y, width, height)[:] = 1
        return x, y

    def _inside(self, x: int, y: int, width: int, height: int) -> tuple[int, int]:
        return max(min(x, self.width - width), 0), max(min(y, self.height - height), 0)

    def _covered(self, x: int, y: int, width: int, height: int) -> int:
        return int(np.count_nonzero(self._cells(x, y, width, height)))

    def _cells(self, x: int, y: int, width: int, height: int) -> Image:
        rows = slice(max(y, 0) // _GRID, max(y + height - 1, 0) // _GRID + 1)
        return self._taken[rows, max(x, 0) // _GRID : max(x + width - 1, 0) // _GRID + 1]

    def _around(self, box: Box) -> tuple[tuple[int, int], tuple[int, int]]:
        """The corners of an outline that does not touch the ink."""
        out = self.line
        return (box.x - out, box.y - out), (box.right - 1 + out, box.bottom - 1 + out)

    def _outline(self, box: Box, thickness: int, color: Color) -> None:
        start, end = self._around(box)
        cv2.rectangle(self.canvas, start, end, color, thickness, cv2.LINE_8)

    def _plate(self, x: int, y: int, width: int, height: int, color: Color) -> None:
        """A filled rectangle with rounded corners."""
        radius = max(min(width, height) // 6, 1)
        for inset_x, inset_y in ((radius, 0), (0, radius)):
            start, end = (x + inset_x, y + inset_y), (x + width - 1 - inset_x, y + height - 1 - inset_y)
            cv2.rectangle(self.canvas, start, end, color, cv2.FILLED)
        for corner_x in (x + radius, x + width - 1 - radius):
            for corner_y in (y + radius, y + height - 1 - radius):
                cv2.circle(self.canvas, (corner_x, corner_y), radius, color, cv2.FILLED, cv2.LINE_AA)

    def _shade(self, x: int, y: int, width: int, height: int) -> None:
        """Darken a rectangle, so that white letters stand out and the picture still shows."""
        part = self.canvas[max(y, 0) : y + height, max(x, 0) : x + width]
        cv2.convertScaleAbs(part, dst=part, alpha=0.25, beta=8)

    def _text(self, text: str, x: int, baseline: int, cap: int, color: Color, *, bold: bool = False) -> None:
        scale, thickness, font = _font(cap, bold)
        cv2.putText(self.canvas, text, (x, baseline), font, scale, color, thickness, cv2.LINE_AA)


def _font(cap: int, bold: bool) -> tuple[float, int, int]:
    """Scale, thickness and face of letters whose capitals are ``cap`` pixels high."""
    thickness = max(round(cap / (9 if bold else 14)), 1)
    return cap / _CAP_HEIGHT, thickness, cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX


def _text_width(text: str, cap: int, bold: bool = False) -> int:
    scale, thickness, font = _font(cap, bold)
    return cv2.getTextSize(text, font, scale, thickness)[0][0]


def _enlargement(height: int, width: int) -> int:
    wanted = ceil(_SMALLEST_SIDE / min(height, width))
    return max(min(wanted, _LARGEST_ENLARGED_SIDE // max(height, width)), 1)


def _scaled(box: Box, factor: int) -> Box:
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)


def _slots(marks: Sequence[_Mark], gap: int) -> dict[Box, tuple[int, int]]:
    """For each digit the columns (left, right) that its tag may fill without reaching over a neighbor on its line."""
    slots = {}
    for mark in marks:
        box = mark.box
        reach = 6 * box.height
        left, right = box.x - reach, box.right + reach
        for other in marks:
            apart = max(other.box.y - box.bottom, box.y - other.box.bottom)
            if other is mark or apart > 0:
                continue
            if other.box.center[0] < box.center[0]:
                left = max(left, (other.box.right + box.x) // 2)
            else:
                right = min(right, (box.right + other.box.x) // 2)
        slots[box] = left + gap // 2, right - gap // 2
    return slots


def _dashes(corners: tuple[tuple[int, int], tuple[int, int]], dash: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The dashes of a rectangle, each corner covered."""
    (left, top), (right, bottom) = corners
    horizontal = [(start, min(start + dash, right)) for start in range(left, right + 1, 2 * dash)]
    vertical = [(start, min(start + dash, bottom)) for start in range(top, bottom + 1, 2 * dash)]
    dashes = [((start, y), (end, y)) for y in (top, bottom) for start, end in horizontal]
    return dashes + [((x, start), (x, end)) for x in (left, right) for start, end in vertical]
