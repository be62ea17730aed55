"""Draw on a picture what was read in it: boxes, labels, confidences and numbers; or why nothing was.

Blue and orange, the pair that all common kinds of color blindness tell apart (M. Okabe and K. Ito, "Color Universal
Design", 2008), each on a light rim, so that lines show on chalkboards too. What is unsure is dashed, not only gray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from runtime.painter import SMALLEST_CAP, Color, Corners, Painter, text_width
from runtime.values import Box, Image, Number, Reading, Result

DIGIT: Color = (178, 114, 0)
NUMBER: Color = (0, 159, 230)
UNSURE: Color = (118, 110, 104)
WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
"""Colors in BGR order."""

_SMALLEST_SIDE = 480  # a scene of half of it and less is enlarged: it has no room for letters
_LARGEST_ENLARGED_SIDE = 1280


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
        smooth = cv2.INTER_CUBIC if factor <= 4 else cv2.INTER_NEAREST
        canvas = cv2.resize(canvas, None, fx=factor, fy=factor, interpolation=smooth)
    drawing = _Drawing(canvas)
    readings = [_Mark.of(reading, factor) for reading in result.readings]
    unsure = [_Mark.of(reading, factor) for reading in result.unsure]
    numbers = [(number, _scaled(number.box, factor)) for number in result.numbers if len(number.text) > 1]
    for _, box in numbers:
        drawing.bracket(box)
    for mark in unsure:
        drawing.dashed_box(mark.box)
    for mark in readings:
        drawing.solid_box(mark.box)
    slots = _slots([mark.box for mark in readings], drawing.height)
    for number in result.numbers:
        marks = [_Mark.of(reading, factor) for reading in number.readings]
        drawing.digit_tags(marks, [slots[mark.box] for mark in marks])
    for mark in unsure:
        drawing.unsure_tag(mark)
    for number, box in numbers:
        drawing.number_tag(number, box)
    if not result.readings and result.hint:
        drawing.banner("Nothing read", result.hint)
    if fps is not None:
        drawing.status(f"{fps:.0f} fps", result.milliseconds.get("total"))
    return canvas


def banner(scene: Image, title: str, text: str) -> Image:
    """Write a title and a line under it at the foot of a copy of a picture, uint8 BGR (H, W, 3)."""
    canvas = scene.copy()
    _Drawing(canvas).banner(title, text)
    return canvas


def panel(scene: Image, title: str, lines: Sequence[str]) -> Image:
    """Write lines on a dark panel in the middle of a copy of a picture.

    Args:
        scene: uint8 (H, W, 3) in BGR order; left as it is.
        title: in bold letters.
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
        return cls(_scaled(reading.box, factor), reading.label, str(_percent(reading.confidence)))


@dataclass(frozen=True, slots=True)
class _TagStyle:
    """How a digit's tag is set: height of its label, padding and height of its percentage as shares of that, sign."""

    cap: int
    padding: float
    share: float
    sign: str

    @property
    def pad(self) -> int:
        return max(round(self.padding * self.cap), 2)

    @property
    def small(self) -> int:
        return max(round(self.share * self.cap), SMALLEST_CAP - 1) if self.share else 0

    def width(self, mark: _Mark) -> int:
        percent = self.pad + text_width(mark.percent + self.sign, self.small) if self.small else 0
        return 2 * self.pad + text_width(mark.label, self.cap, True) + percent


class _Drawing(Painter):
    """A canvas with the measures that follow from its size."""

    def __init__(self, picture: Image) -> None:
        super().__init__(picture)
        unit = min(self.height, self.width * 0.75) / 480
        self.cap = max(round(12.5 * unit**0.85), 9)
        self.line = max(round(1.6 * unit), 1)
        self.rim = max(self.line, 2)  # what the light rim adds to a line
        self._out = (self.line + self.rim) // 2 + 1  # from the ink to the middle of its outline, which touches no ink
        self._edge = self._out + self.line // 2  # from the ink to where its outline ends
        self.gap = max(round(3 * unit), 2)

    def solid_box(self, box: Box) -> None:
        """The outline of a digit that was read."""
        self._outline(box, self.line + self.rim, WHITE)
        self._outline(box, self.line, DIGIT)
        self.take(box)

    def dashed_box(self, box: Box) -> None:
        """The outline of ink that may be a digit."""
        self._outline(box, self.line + 1, WHITE)
        self.dashed(self._around(box), UNSURE, self.line + 1, 2 * self.gap, 5 * self.gap)
        self.take(box)

    def bracket(self, box: Box) -> None:
        """A line under the digits that make one number."""
        left, right, low = box.x - self._out, box.right - 1 + self._out, box.bottom + self._edge + self.gap
        ends = np.array([(left, low - self.gap), (left, low), (right, low), (right, low - self.gap)], np.int32)
        for thickness, color in ((self.line + 2, WHITE), (self.line + 1, NUMBER)):
            cv2.polylines(self.picture, [ends], False, color, thickness, cv2.LINE_8)

    def digit_tags(self, marks: Sequence[_Mark], slots: Sequence[int]) -> None:
        """Label and confidence of each digit of a number, on top of its box; all of them in the same style.

        Args:
            marks: the digits.
            slots: for each, the pixels from the left of its box to where the next tag begins. What does not fit is
                left out: first the percent sign, then the percentage.
        """
        tall = min(mark.box.height for mark in marks)
        cap = max(min(self.cap, round(0.4 * tall)), SMALLEST_CAP + 1)
        styles = [_TagStyle(size, 0.36, 0.74, sign) for size in (cap, round(0.85 * cap)) for sign in ("%", "")]
        styles += [_TagStyle(round(0.85 * cap), 0.2, 0.7, ""), _TagStyle(cap, 0.2, 0, "")]
        for style in styles:
            if all(style.width(mark) <= slot for mark, slot in zip(marks, slots, strict=True)):
                break
        for mark in marks:
            x, y = self._plate_on(mark.box, style.width(mark), style.cap + 2 * style.pad, DIGIT)
            baseline = y + style.pad + style.cap
            self.text(mark.label, x + style.pad, baseline, style.cap, WHITE, bold=True)
            if style.small:
                left = x + 2 * style.pad + text_width(mark.label, style.cap, True)
                self.text(mark.percent + style.sign, left, baseline, style.small, WHITE)

    def unsure_tag(self, mark: _Mark) -> None:
        """The likeliest label of ink that was not accepted, with a question mark."""
        box = mark.box
        cap = max(min(round(0.85 * self.cap), round(0.4 * box.height)), SMALLEST_CAP + 1)
        pad = max(round(0.36 * cap), 2)
        text = f"{mark.label}?"
        width, height = text_width(text, cap) + 2 * pad, cap + 2 * pad
        x, y = self._plate_on(box, width, height, UNSURE)
        self.text(text, x + pad, y + pad + cap, cap, WHITE)

    def number_tag(self, number: Number, box: Box) -> None:
        """What neighboring digits make, near them and in letters as large as there is room for; with none, nothing."""
        percent = f"{_percent(number.confidence)}%"
        for cap in (round(1.3 * self.cap), self.cap, max(round(0.75 * self.cap), SMALLEST_CAP + 1)):
            small = max(round(0.66 * cap), SMALLEST_CAP)
            pad = max(round(0.4 * cap), 3)
            text = text_width(number.text, cap, True)
            width, height = text + text_width(percent, small) + 3 * pad, cap + 2 * pad
            low = box.bottom + self._edge + self.line + self.gap
            right, high = box.right + self._edge + self.line + 1, box.bottom - height
            places = [(box.x, low), (box.right - width, low), (box.x + (box.width - width) // 2, low)]
            places += [(right, high), (right, box.y), (box.x - self._edge - self.line - width, high)]
            places.append((box.x, box.y - self._edge - self.line - 2 * self.cap - height))
            place = self.first_free(places, width, height)
            if place:
                x, y = place
                self.plate(x, y, width, height, NUMBER)
                self.text(number.text, x + pad, y + pad + cap, cap, BLACK, bold=True)
                self.text(percent, x + 2 * pad + text, y + pad + cap, small, BLACK)
                self.take(Box(x, y, width, height))
                return

    def status(self, rate: str, milliseconds: float | None) -> None:
        """Speed, in whichever corner is free."""
        cap = max(round(0.85 * self.cap), 9)
        pad = round(0.7 * cap)
        text = rate if milliseconds is None else f"{rate}   {milliseconds:.1f} ms"
        width, height = text_width(text, cap) + 2 * pad, cap + 2 * pad
        right, bottom, edge = self.width - width - self.gap, self.height - height - self.gap, self.gap
        corners = [(edge, edge), (right, edge), (edge, bottom), (right, bottom)]
        x, y = self.first_free(corners, width, height) or corners[0]
        self.shade(x, y, width, height)
        self.text(text, x + pad, y + pad + cap, cap, WHITE)

    def banner(self, title: str, text: str) -> None:
        """A title and a line under it, at the foot of the picture."""
        cap, small = round(1.25 * self.cap), self.cap
        room = self.width - 4 * self.gap - 2 * cap
        small = max(min(small, small * room // max(text_width(text, small), 1)), SMALLEST_CAP)
        width = min(max(text_width(title, cap, True), text_width(text, small)) + 2 * cap, self.width)
        height = cap + small + round(2.6 * cap)
        x, y = (self.width - width) // 2, max(self.height - height - 4 * self.gap, 0)
        self.shade(x, y, width, height)
        for line, size, bold, base in ((title, cap, True, 1.9 * cap), (text, small, False, 2.6 * cap + small)):
            left = x + (width - text_width(line, size, bold)) // 2
            self.text(line, left, y + round(base), size, WHITE, bold=bold)

    def panel(self, title: str, lines: Sequence[str]) -> None:
        """A title and lines in two columns, in the middle."""
        cap = self.cap
        rows = [line.partition("\t") for line in lines]
        first = max((text_width(row[0], cap, True) for row in rows), default=0) + 2 * cap
        width = max(first + max((text_width(row[2], cap) for row in rows), default=0), text_width(title, cap, True))
        width, height = width + 4 * cap, round((2.2 * len(rows) + 4.6) * cap) if rows else 5 * cap
        x, y = max((self.width - width) // 2, 0), max((self.height - height) // 2, 0)
        self.shade(x, y, width, height)
        self.text(title, x + 2 * cap, y + 3 * cap, cap, WHITE, bold=True)
        for number, (key, _, text) in enumerate(rows):
            base = y + round((2.2 * number + 5.4) * cap)
            self.text(key, x + 2 * cap, base, cap, NUMBER, bold=True)
            self.text(text, x + 2 * cap + first, base, cap, WHITE)

    def _plate_on(self, box: Box, width: int, height: int, color: Color) -> tuple[int, int]:
        """A plate that stands on a box's outline; at the picture's upper edge it hangs from it."""
        x, y = box.x - self._edge, box.y - self._edge + 1 - height
        x, y = self.inside(x, y if y >= 0 else box.bottom + self._edge, width, height)
        self.plate(x, y, width, height, color)
        self.take(Box(x, y, width, height))
        return x, y

    def _around(self, box: Box) -> Corners:
        """The corners of an outline that does not touch the ink."""
        out = self._out
        return (box.x - out, box.y - out), (box.right - 1 + out, box.bottom - 1 + out)

    def _outline(self, box: Box, thickness: int, color: Color) -> None:
        start, end = self._around(box)
        cv2.rectangle(self.picture, start, end, color, thickness, cv2.LINE_8)


def _enlargement(height: int, width: int) -> int:
    wanted = round(_SMALLEST_SIDE / min(height, width))
    return max(min(wanted, _LARGEST_ENLARGED_SIDE // max(height, width)), 1)


def _percent(confidence: float) -> int:
    """Never 100: no reading is certain."""
    return min(round(100 * confidence), 99)


def _scaled(box: Box, factor: int) -> Box:
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)


def _slots(boxes: Sequence[Box], widest: int) -> dict[Box, int]:
    """For each box the pixels from its left to the left of the next one on its line."""
    slots = {}
    for box in boxes:
        beside = [
            other.x - box.x for other in boxes if box.x < other.x and other.y < box.bottom and box.y < other.bottom
        ]
        slots[box] = min(beside, default=widest) - 2
    return slots
