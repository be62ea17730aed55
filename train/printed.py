"""Printed digits and words, in the fonts that come with matplotlib: the same wherever this trains.

OpenCV's own fonts are not among them: what ``FONT_HERSHEY_…`` draws changed between its versions 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from train.inks import Alpha
from train.splits import Split


@dataclass(frozen=True, slots=True)
class Font:
    """A typeface.

    Attributes:
        name: unique.
        split: whose it is.
        file: one of matplotlib's.
    """

    name: str
    split: Split
    file: str


FONTS = (
    Font("sans", "train", "DejaVuSans.ttf"),
    Font("sans-bold", "train", "DejaVuSans-Bold.ttf"),
    Font("sans-oblique", "train", "DejaVuSans-Oblique.ttf"),
    Font("serif", "train", "DejaVuSerif.ttf"),
    Font("serif-italic", "train", "DejaVuSerif-Italic.ttf"),
    Font("computer-sans", "train", "cmss10.ttf"),
    Font("typewriter", "train", "cmtt10.ttf"),
    Font("serif-bold", "train", "DejaVuSerif-Bold.ttf"),
    Font("mono", "test", "DejaVuSansMono.ttf"),
    Font("mono-bold", "test", "DejaVuSansMono-Bold.ttf"),
    Font("times", "test", "STIXGeneral.ttf"),
    Font("times-bold", "test", "STIXGeneralBol.ttf"),
    Font("times-italic", "test", "STIXGeneralItalic.ttf"),
    Font("computer-roman", "test", "cmr10.ttf"),
)
"""Every typeface."""


def print_text(text: str, height: float, font: Font) -> Alpha:
    """Print text.

    Args:
        text: what to print.
        height: of a digit, in pixels.
        font: the typeface.

    Returns:
        The ink, float32, with two clear pixels around it; its lower edge is that of the text, not the line's.
    """
    fine = 4 if height < 60 else 2
    size = height * fine
    outlines = [np.asarray(polygon) * size for polygon in _outlines(text, font)]
    points = np.concatenate(outlines)
    low, high = points.min(axis=0), points.max(axis=0)
    canvas = np.zeros(tuple(np.ceil(high - low).astype(int)[::-1] + 2 * fine), np.uint8)
    # Letters are polygons with holes, y up; filling all at once leaves what lies inside an even number of them.
    flipped = [(polygon - low) * (1, -1) + (fine, high[1] - low[1] + fine) for polygon in outlines]
    cv2.fillPoly(canvas, [np.rint(polygon * 16).astype(np.int32) for polygon in flipped], 255, cv2.LINE_8, 4)
    x, y, width, tall = cv2.boundingRect(canvas)
    ink = canvas[y : y + tall, x : x + width]
    small = cv2.resize(ink, (max(width // fine, 1), max(tall // fine, 1)), interpolation=cv2.INTER_AREA)
    return np.pad(small.astype(np.float32) / 255.0, 2)


@cache
def _outlines(text: str, font: Font) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Polygons of a text, y up, in heights of the digit 0."""
    properties = FontProperties(fname=str(Path(mpl.get_data_path()) / "fonts" / "ttf" / font.file))
    unit = float(np.ptp(np.asarray(TextPath((0, 0), "0", size=100, prop=properties).vertices)[:, 1]))
    path = TextPath((0, 0), text, size=100, prop=properties)
    polygons = [np.asarray(polygon) / unit for polygon in path.to_polygons()]
    return tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in polygons)
