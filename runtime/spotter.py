"""Tell which of connected ink belongs to which digit, where digits touch each other or something else.

A small fully convolutional network looks at the ink, shrunk or enlarged until its digits are about ``DIGIT`` pixels
tall, and answers for each cell of ``CELL`` by ``CELL`` pixels: whether the middle of a digit is there, that digit's
box, whether the cell's ink is a digit's, and where the middle of that digit lies. Boxes come from the cells at the
middles (as in CenterNet, Zhou et al., 2019); each pixel of ink then goes to the digit whose middle it votes for (as in
Hough forests, Gall and Lempitsky, 2009). OpenCV runs it. ``python -m train.spotter`` makes it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from runtime.boxes import Corners, areas, shared_areas
from runtime.errors import BackendError
from runtime.values import Image

NETWORK = Path(__file__).with_name("spotter.onnx")
"""The network: float32 (1, 1, height, width), 0–1, to float32 (1, 8, height / CELL, width / CELL)."""

DIGIT = 48
"""Height of a digit as the network sees it, about."""

CELL = 4
"""Side of a cell."""

MARGIN = 8
"""Least clear paper around the ink."""

MIDDLE, LEFT, TOP, RIGHT, BOTTOM, OWNED, ACROSS, DOWN = range(8)
"""What the network says of a cell: logit that the middle of a digit is there, distances from the cell's middle to that
digit's sides, logit that its ink is of a digit, and how far off that digit's middle is. Lengths are in ``DIGIT``s."""

_STEP = 16  # of the strip's sides, so that fewer different sizes are asked for
_FOUND, _LIKELY = 0.2, 0.4  # probabilities from which a cell may be, and likely is, the middle of a digit
_OVERLAP = 0.45  # intersection over union from which two boxes are of one digit
_COVERED = 0.7  # share of a box in surer ones from which it is no digit: the 8 that two zeros are, one above the other
_SMALLER, _AS_SURE = 0.8, 0.8  # shares of a box's area and probability: the zeros that such an 8 is made of
_FILLED = 0.75  # share of the ink's box from which a lone digit's box is all of it
_OURS = 0.35  # probability from which ink is a digit's
_FAR = 0.6  # distance from where a pixel's vote falls to its digit's middle, in digit heights


class Scaled(NamedTuple):
    """Ink as the network sees it.

    Attributes:
        pixels: uint8 (height, width), multiples of ``_STEP``; full ink is 255.
        scale: pixels here for one of the ink's, across and down.
        size: width and height of the ink in ``pixels``; it begins ``MARGIN`` from the corner.
    """

    pixels: Image
    scale: tuple[float, float]
    size: tuple[int, int]


def to_strip(strength: Image, digit_height: float) -> Scaled:
    """Scale ink for the network.

    Args:
        strength: uint8 (height, width), 0 where there is no ink.
        digit_height: of the digits that it may hold, about.
    """
    height, width = strength.shape
    scale = DIGIT / digit_height
    size = max(round(width * scale), 4), max(round(height * scale), 4)
    scaled = cv2.resize(strength, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    pixels = np.zeros([-(-(side + 2 * MARGIN) // _STEP) * _STEP for side in size[::-1]], np.uint8)
    full = max(cv2.minMaxLoc(scaled)[1], 1.0)
    pixels[MARGIN : MARGIN + size[1], MARGIN : MARGIN + size[0]] = cv2.convertScaleAbs(scaled, alpha=255 / full)
    return Scaled(pixels, (size[0] / width, size[1] / height), size)


def spot(strength: Image, own: Image, digit_height: float) -> list[npt.NDArray[np.int8]]:
    """Find the digits in connected ink.

    Args:
        strength: uint8 (height, width), how strong the ink is, 0 where there is none.
        own: uint8 (height, width), not 0 where ink is.
        digit_height: of the digits that it may hold, about.

    Returns:
        Ways to share the ink out, the likelier first: for each pixel the number of the digit that its ink belongs to,
        −1 where it belongs to none, int8 (height, width). Empty where there is no digit, or all of it is one.
    """
    strip = to_strip(strength, digit_height)
    answers = _ask(strip.pixels)
    boxes, sure = digit_boxes(answers)
    if len(boxes) == 1 and areas(boxes)[0] >= _FILLED * strip.size[0] * strip.size[1]:
        return []
    likely = (sure >= _LIKELY) & _apart(boxes, sure)
    ways = []
    for chosen in (likely, np.ones_like(likely)) if not likely.all() else (likely,):
        if chosen.any():
            owners = np.full(strength.shape, -1, np.int8)
            owners[own > 0] = _owners(answers, boxes[chosen], own, strip.scale)
            if owners.max() >= 0:
                ways.append(owners)
    return ways


def digit_boxes(answers: npt.NDArray[np.float32]) -> tuple[Corners, npt.NDArray[np.float64]]:
    """Boxes of the digits that may be there, the surest first, and their probabilities.

    Args:
        answers: float32 (8, rows, columns), of the network.

    Returns:
        Float64 (n, 4), left, top, right, bottom, in the strip's pixels; and float64 (n,).
    """
    sure = 1 / (1 + np.exp(-answers[MIDDLE].astype(np.float64)))
    rows, columns = np.nonzero(sure >= _FOUND)
    at = np.stack([columns, rows, columns, rows], 1) * CELL + CELL / 2
    reach = answers[LEFT : BOTTOM + 1, rows, columns].T * DIGIT * (-1, -1, 1, 1)
    corners = np.asarray(at + reach, np.float64)
    sized = np.concatenate([corners[:, :2], np.maximum(corners[:, 2:] - corners[:, :2], 1)], 1)
    sure = sure[rows, columns]
    kept = np.asarray(cv2.dnn.NMSBoxes(sized.tolist(), sure.tolist(), _FOUND, _OVERLAP), int).ravel()[:_MOST]
    return corners[kept], sure[kept]


_MOST = 100
"""Digits in one piece of ink."""


def _apart(boxes: Corners, sure: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which boxes are not made up of smaller ones about as sure, nor lie mostly upon surer ones before them: (n,)."""
    apart = np.ones(len(boxes), bool)
    sizes = np.maximum(areas(boxes), 1.0)
    shares = shared_areas(boxes, boxes) / sizes[:, None]
    for i in range(len(boxes)):
        within = (sizes < _SMALLER * sizes[i]) & (sure >= _AS_SURE * sure[i])
        upon = shares[i, :i][apart[:i]].sum()
        apart[i] = upon < _COVERED and (within.sum() < 2 or shares[i, within].sum() < _COVERED)
    return apart


class Reader:
    """The network, loaded; each thread needs one of its own."""

    def __init__(self, path: Path = NETWORK) -> None:
        """Load it.

        Raises:
            BackendError: the file is missing or broken.
        """
        try:
            self._network = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
        except (OSError, cv2.error) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a network that OpenCV can read"
            raise BackendError(f"{path} is missing or broken ({reason}); install edge-digits again") from error

    def __call__(self, pixels: Image) -> npt.NDArray[np.float32]:
        """What it says of a strip: uint8 (height, width) to float32 (8, height / CELL, width / CELL)."""
        self._network.setInput(cv2.dnn.blobFromImage(pixels, 1 / 255))
        return np.asarray(self._network.forward()[0], np.float32)


_readers = threading.local()
"""Of each thread its own: one network cannot be asked by two at a time."""


def _ask(pixels: Image) -> npt.NDArray[np.float32]:
    if not hasattr(_readers, "reader"):
        _readers.reader = Reader()
    answers: npt.NDArray[np.float32] = _readers.reader(pixels)
    return answers


def _owners(
    answers: npt.NDArray[np.float32], boxes: npt.NDArray[np.float64], own: Image, scale: tuple[float, float]
) -> npt.NDArray[np.int8]:
    """The digit that each pixel's ink belongs to, by its cell's vote; −1 for none.

    Args:
        answers: float32 (8, rows, columns).
        boxes: float64 (n, 4), at least one.
        own: uint8 (height, width), not 0 at the pixels that are asked for.
        scale: pixels of the strip for one of ``own``, across and down.
    """
    # Between the middles of cells votes are interpolated: what parts two digits is no staircase.
    x, y = (
        ((np.arange(length, dtype=np.float32) + 0.5) * step + MARGIN)
        for length, step in zip(own.shape[::-1], scale, strict=True)
    )
    across, down = np.broadcast_arrays(x / CELL - 0.5, (y / CELL - 0.5)[:, None])
    planes = np.ascontiguousarray(answers[OWNED : DOWN + 1].transpose(1, 2, 0))
    spread = cv2.remap(
        planes,
        np.ascontiguousarray(across),
        np.ascontiguousarray(down),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    ys, xs = np.nonzero(own)
    owned, right, below = spread[ys, xs].T
    votes = np.stack([x[xs] + right * DIGIT, y[ys] + below * DIGIT])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    off = np.hypot(*(votes[:, None] - middles.T[..., None]))
    places = np.stack([x[xs], y[ys]])[:, None]
    beyond = np.maximum(boxes[:, :2].T[..., None] - places, places - boxes[:, 2:].T[..., None])
    off = (off + np.maximum(beyond, 0).sum(axis=0)) / (boxes[:, 3] - boxes[:, 1])[:, None]
    nearest = off.argmin(axis=0)
    belongs = (owned >= np.log(_OURS / (1 - _OURS))) & (off[nearest, np.arange(len(nearest))] <= _FAR)
    return np.where(belongs, nearest, -1).astype(np.int8)
