"""What is measured on: drawn 640×480 frames, the same in every run, and real crops that the detector cuts out of them.

No data set is needed. The frames have a sensor's noise: on a clean drawing the detector would have less to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from runtime.detect import detect
from runtime.pages import PAPERS, DrawnDigit, draw_page
from runtime.strokes import PENS
from runtime.values import Frame, Image

SIZE = (640, 480)
"""Width and height of the frames, in pixels."""

_SENSOR_NOISE = 2.5  # standard deviation in gray levels: an indoor webcam's
_FULL_PAGE = (
    "4071 926 38 5512",
    "83 6170 294 7053",
    "725 1948 60 3316",
    "2069 57 4813 920",
    "618 3402 7795 14",
    "95 8270 136 4681",
)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFrame:
    """A frame to read and the truth about it.

    Attributes:
        name: such as ``full page``.
        frame: 640×480, luma alone, as a camera that delivers luma does.
        digits: what is drawn on it.
    """

    name: str
    frame: Frame
    digits: tuple[DrawnDigit, ...]


def drawn_frames() -> tuple[DrawnFrame, ...]:
    """The three frames of the pipeline: a blank page, ten digits, and a full page of 78."""
    return (
        _draw("blank page", ("",), "gel", "white", 72.0, seed=1),
        _draw("ten digits", ("407 19", "853 26"), "gel", "white", 84.0, seed=2),
        _draw("full page", _FULL_PAGE, "ballpoint", "cream", 46.0, seed=3),
    )


def real_crops() -> Image:
    """What the runtime's detector cuts out of drawn frames, several pens and papers: uint8 (n, 28, 28), n over 100."""
    extra = (
        _draw("pencil", ("3516 280", "904 1798", "26 4357"), "pencil", "squared", 60.0, seed=4),
        _draw("marker", ("2749", "1908 65"), "marker", "sticky", 84.0, seed=5),
        _draw("chalk", ("605 238", "914 773", "380 1056"), "chalk", "chalkboard", 64.0, seed=6),
    )
    crops = [crop.pixels for drawn in (*drawn_frames(), *extra) for crop in detect(drawn.frame.luma).crops]
    return np.stack(crops)


def pixels_sha256(pixels: Image) -> str:
    """Fingerprint of pixels, to tell whether two runs measured on the same ones."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _draw(name: str, rows: Sequence[str], pen: str, paper: str, digit_height: float, *, seed: int) -> DrawnFrame:
    rng = np.random.default_rng(seed)
    page = draw_page(rows, SIZE, rng, pen=PENS[pen], paper=PAPERS[paper], digit_height=digit_height)
    luma = cv2.cvtColor(page.pixels, cv2.COLOR_BGR2GRAY)
    noisy = luma + rng.normal(0.0, _SENSOR_NOISE, luma.shape)
    luma = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return DrawnFrame(name, Frame(luma, None, 0, 0.0), page.digits)
