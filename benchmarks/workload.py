"""What is measured on: three committed frames in three sizes, and real crops that the detector cuts out of frames.

``pages`` holds the frames (``tools/draw_frames.py`` drew them), so that every machine reads the same pixels whatever
its OpenCV draws. They are shrunk by area and given a sensor's noise here: on a clean drawing the detector would have
less to do. No data set is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.labels import LabeledDigit, read_labels
from runtime.detect import detect
from runtime.pages import PAPERS, draw_page
from runtime.pictures import read_picture
from runtime.strokes import PENS
from runtime.values import Box, Image

PAGES = Path(__file__).resolve().parent / "pages"
"""The committed frames: 1280×960, a blank page, ten digits and a full page."""

SIZES = ((640, 480), (320, 240), (1280, 960))
"""Width and height of the frames, in pixels; the first is the one that cameras are opened with."""

_SENSOR_NOISE = 2.5  # standard deviation in gray levels: an indoor webcam's


@dataclass(frozen=True, slots=True, eq=False)
class DrawnFrame:
    """A frame to read and the truth about it.

    Attributes:
        page: ``blank page``, ``ten digits`` or ``full page``.
        picture: uint8 BGR (H, W, 3), as a webcam delivers it.
        digits: what is written on it.
    """

    page: str
    picture: Image
    digits: tuple[LabeledDigit, ...]

    @property
    def name(self) -> str:
        """Unique, such as ``ten digits 640×480``."""
        height, width = self.picture.shape[:2]
        return f"{self.page} {width}×{height}"


def drawn_frames(sizes: Sequence[tuple[int, int]] = SIZES[:1]) -> tuple[DrawnFrame, ...]:
    """The three pages in each size.

    Raises:
        DataError: they are not there.
    """
    frames = []
    for size in sizes:
        for number, page in enumerate(read_labels(PAGES), 1):
            picture = read_picture(page.path)
            share = size[0] / picture.shape[1]
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            digits = tuple(LabeledDigit(digit.label, _scaled(digit.box, share)) for digit in page.boxed)
            frames.append(DrawnFrame(page.path.stem.replace("-", " "), _noisy(small, number), digits))
    return tuple(frames)


def real_crops() -> Image:
    """What the runtime's detector cuts out of frames, several pens and papers: uint8 (n, 28, 28), n over 100."""
    others = (
        (("3516 280", "904 1798", "26 4357"), "pencil", "squared", 60.0),
        (("2749", "1908 65"), "marker", "sticky", 84.0),
        (("605 238", "914 773", "380 1056"), "chalk", "chalkboard", 64.0),
    )
    pictures = [frame.picture for frame in drawn_frames()]
    for seed, (rows, pen, paper, height) in enumerate(others, 4):
        rng = np.random.default_rng(seed)
        page = draw_page(rows, SIZES[0], rng, pen=PENS[pen], paper=PAPERS[paper], digit_height=height)
        pictures.append(_noisy(page.pixels, seed))
    lumas = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in pictures]
    return np.stack([crop.pixels for luma in lumas for crop in detect(luma).crops])


def pixels_sha256(pixels: Image) -> str:
    """Fingerprint of pixels, to tell whether two runs measured on the same ones."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _scaled(box: Box, share: float) -> Box:
    x, y, right, bottom = (round(share * edge) for edge in (box.x, box.y, box.right, box.bottom))
    return Box(x, y, max(right - x, 1), max(bottom - y, 1))


def _noisy(picture: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).normal(0.0, _SENSOR_NOISE, (*picture.shape[:2], 1))
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
