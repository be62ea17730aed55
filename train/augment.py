"""Pictures varied as hands, pens and cameras vary them.

Half of MNIST's digits are their own pixels, warped; the other half are enlarged, re-penned and passed through the
runtime's own ``preprocess``, as everything is that the device cuts from a frame. Crops cut from rendered frames have
all of that behind them, and are only varied as a detector is, from one frame to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from tqdm import tqdm

from runtime.cut import MOST_ENLARGED, SMALLEST
from runtime.preprocess import FIELD, preprocess, stroke_width
from runtime.strokes import PENS, VARIANTS, Hand, digit_strokes, draw_ink
from runtime.values import Image
from train.distractors import SIDE, draw_distractor
from train.splits import HELD_OUT

_GRIDS = {side: np.indices((side, side), np.float32) for side in (FIELD, SIDE)}


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How far pictures are varied. Standard deviations are cut off at twice their value.

    Attributes:
        rotation: standard deviation, in degrees.
        shear: standard deviation of the horizontal shear.
        stretch: standard deviation of the logarithm of each axis's scale.
        shift: largest shift of a warped MNIST picture, in pixels of the field.
        bend: standard deviation of the smooth distortion, in pixels of the field; applied to half the pictures.
        through_preprocess: share of pictures that are re-penned and pass through ``preprocess``.
    """

    rotation: float = 7.5
    shear: float = 0.12
    stretch: float = 0.07
    shift: float = 2.0
    bend: float = 0.5
    through_preprocess: float = 0.5

    def scaled(self, share: float) -> AugmentSettings:
        """The same, each by that share of it."""
        return replace(self, **{each.name: share * getattr(self, each.name) for each in fields(self)})


_CROP_VARIATION = AugmentSettings(3.0, 0.05, 0.035, 1.0, 0.3, through_preprocess=0.0)


def augment(images: Image, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """Vary each picture once: uint8 (n, 28, 28) in, the same shape out."""
    out = np.empty_like(images)
    for i, image in enumerate(images):
        if rng.random() < settings.through_preprocess:
            enlarged = _warp(image, SIDE, 0, settings, rng)
            out[i] = preprocess(_as_seen(_repen(enlarged, rng), rng))[0]
        else:
            out[i] = _warp(image, FIELD, settings.shift, settings, rng)
    return out


def vary_crops(images: Image, rng: np.random.Generator) -> Image:
    """Vary crops a little, as a detector's cuts vary from frame to frame, so that a network cannot learn them by heart.

    Args:
        images: uint8 (n, 28, 28), as ``runtime.detect`` cuts them.
        rng: source of all randomness.
    """
    out = augment(images, _CROP_VARIATION, rng)
    floors, gains = rng.uniform(0, 40, len(out)), rng.uniform(1.0, 1.35, len(out))
    for image, floor, gain in zip(out, floors, gains, strict=True):
        cv2.convertScaleAbs(cv2.subtract(image, floor), image, alpha=gain * 255 / (255 - floor))
    return out


def draw_nones(count: int, digits: Image, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """Draw ``count`` pictures of what is not a digit: uint8 (count, 28, 28)."""
    out = np.empty((count, FIELD, FIELD), np.uint8)
    for i in range(count):
        ink = draw_distractor(rng, digits)
        if ink.shape == (SIDE, SIDE):
            ink = _warp(ink, SIDE, 0, settings, rng)
        out[i] = preprocess(_as_seen(ink, rng))[0]
    return out


def draw_digits(count: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Write digits with a pen, each by a writer of its own, loosely: the forms that MNIST's American hands lack.

    Args:
        count: how many.
        rng: source of all randomness.

    Returns:
        uint8 (count, 28, 28) as the device would cut them, and their labels, uint8 (count,), in turn 0–9.
    """
    images = np.empty((count, FIELD, FIELD), np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    variants = set(VARIANTS) - HELD_OUT
    for image, label in tqdm(zip(images, labels, strict=True), "writing digits", count, unit="digit", delay=1):
        hand = replace(Hand.random(rng, variants), looseness=rng.uniform(0.01, 0.03))
        strokes = [path * 64 + 16 for path in digit_strokes(str(label), rng, hand=hand)]
        width, height = (int(side) for side in np.ceil(np.max([path.max(axis=0) for path in strokes], axis=0)) + 16)
        ink = draw_ink(strokes, (width, height), rng, pen=PENS["gel"], width=rng.uniform(3, 10))
        image[:] = preprocess(cv2.convertScaleAbs(ink, alpha=255))[0]
    return images, labels


def _warp(image: Image, side: int, shift: float, settings: AugmentSettings, rng: np.random.Generator) -> Image:
    """Rotate, shear, stretch, shift and bend an image about its middle into a square of ``side`` pixels."""
    angle = np.radians(_normal(rng, settings.rotation))
    shear = _normal(rng, settings.shear)
    stretch_x, stretch_y = np.exp(_normal(rng, settings.stretch)), np.exp(_normal(rng, settings.stretch))
    source = image.shape[0]
    zoom = side / source
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[stretch_x, shear], [0, stretch_y]]) * zoom
    offset = (side - 1) / 2 - linear @ np.full(2, (source - 1) / 2) + rng.uniform(-shift, shift, 2)
    if settings.bend == 0 or rng.random() < 0.5:
        return cv2.warpAffine(image, np.column_stack([linear, offset]), (side, side), flags=cv2.INTER_LINEAR)
    inverse = np.linalg.inv(linear)
    rows, columns = _GRIDS[side]
    map_x = inverse[0, 0] * (columns - offset[0]) + inverse[0, 1] * (rows - offset[1])
    map_y = inverse[1, 0] * (columns - offset[0]) + inverse[1, 1] * (rows - offset[1])
    coarse = rng.normal(0, settings.bend * source / FIELD, (2, 4, 4)).astype(np.float32)
    bend_x, bend_y = (cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC) for grid in coarse)
    return cv2.remap(image, (map_x + bend_x).astype(np.float32), (map_y + bend_y).astype(np.float32), cv2.INTER_LINEAR)


def _repen(ink: Image, rng: np.random.Generator) -> Image:
    """Write the digit with another pen: strokes between a hairline and a marker, on the enlarged canvas."""
    solid = cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1]
    now = stroke_width(solid)
    wanted = now * np.exp(rng.uniform(np.log(0.45), np.log(1.8)))
    change = round(wanted - now)
    if change == 0:
        return ink
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(change) + 1, abs(change) + 1))
    if change > 0:
        return cv2.dilate(solid, kernel)
    thin = cv2.erode(solid, kernel)
    # Eroding breaks a stroke where the pen was light; then the digit keeps the pen it had.
    return thin if cv2.connectedComponents(thin)[0] == cv2.connectedComponents(solid)[0] else ink


def _as_seen(ink: Image, rng: np.random.Generator) -> Image:
    """Bring ink to the size and softness at which a camera may see it."""
    height = np.exp(rng.uniform(np.log(18), np.log(70)))
    scale = height / 70  # a digit is about 70 pixels tall on the canvas
    small = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 0.3 + 1.2 * scale))
    zoom = min(SMALLEST / (height + 3), MOST_ENLARGED)  # the runtime's boxes have a margin
    if zoom > 1:
        small = cv2.resize(small, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    # The detector stretches contrast between a floor and a ceiling of its own: soft ramps and hard steps both occur.
    peak = int(small.max())
    floor, ceiling = peak * rng.uniform(0.1, 0.4), peak * rng.uniform(0.45, 1.0)
    return cv2.convertScaleAbs(cv2.subtract(small, floor), alpha=255 / max(ceiling - floor, 1))  # type: ignore[call-overload]


def _normal(rng: np.random.Generator, deviation: float) -> float:
    return float(np.clip(rng.normal(0, deviation), -2 * deviation, 2 * deviation))
