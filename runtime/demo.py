"""The built-in clip: a hand-held camera over handwritten numbers, drawn on the fly, every digit's truth known.

It needs no data set, no network and no file. Ten scenes differ in hand, pen, paper, light and movement; every run
gives the same frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from runtime.pages import PAPERS, Color, DrawnDigit, Page, draw_page
from runtime.strokes import PENS, VARIANTS, Hand, Polyline
from runtime.values import Box, Image

FRAMES_PER_SCENE = 28
_SEED = 1985
_OVERSAMPLE = 1.5  # page pixels per frame pixel
_OVERSIZE = 1.2  # page width per view width: the camera moves about and never sees where the page ends


@dataclass(frozen=True, slots=True)
class Scene:
    """One view of the clip.

    Attributes:
        rows: the numbers on the page.
        height: of the digits in pixels, in a frame of 480 rows.
        pen: a name from ``PENS``.
        paper: a name from ``PAPERS``.
        ink: color of the ink; the paper's own if None.
        light: how it falls.
        styles: names from ``VARIANTS`` that the writer has; chance decides about the other labels.
        sheet: width and height of the paper where it lies on a desk, in frame heights; None where it fills the view.
    """

    rows: tuple[str, ...]
    height: float
    pen: str
    paper: str
    ink: Color | None = None
    light: Literal["window", "shadow", "lamp"] = "window"
    styles: tuple[str, ...] = ()
    sheet: tuple[float, float] | None = None


SCENES = (
    Scene(("407 1985", "26 731"), 72, "gel", "white", None, "window", ("1-flag", "4-closed", "7-plain")),
    Scene(("3516 28", "90 4179"), 70, "ballpoint", "cream", None, "lamp", ("1-european", "7-crossed", "4-open")),
    Scene(("274", "1908"), 88, "chalk", "chalkboard", None, "window", ("1-stick", "7-hook", "4-cup")),
    Scene(
        ("8136 520", "47 9016", "253 74"), 54, "ballpoint", "ruled", None, "shadow", ("1-flag-serif", "4-one-stroke")
    ),
    Scene(("64", "172"), 84, "marker", "sticky", None, "window", ("1-flag", "7-crossed", "2-loop"), (0.72, 0.7)),
    Scene(("3140", "7 5982"), 68, "gel", "card", None, "lamp", ("1-european", "7-hook-crossed"), (1.0, 0.66)),
    Scene(("605 238", "914 73", "38 1056"), 56, "pencil", "squared", None, "shadow", ("4-open", "7-wave", "9-curled")),
    Scene(("4750", "836"), 90, "marker", "white", (36, 32, 176), "window", ("4-crossed-open", "7-crossed")),
    Scene(
        ("1947 2068 35 417", "61 580 4279 8350", "3 9 8 0 2 6 4 5", "702 9153 64 2"),
        *(25, "gel", "cream", (60, 48, 44), "lamp", ("1-flag", "4-closed")),
    ),
    Scene(("15 08", "2369 471"), 72, "chalk", "chalkboard", (150, 226, 244), "shadow", ("1-european", "7-crossed")),
)
FRAME_COUNT = FRAMES_PER_SCENE * len(SCENES)
"""Frames of the whole clip."""


def demo_frames(
    size: tuple[int, int] = (640, 480), scenes: Sequence[Scene] = SCENES
) -> Iterator[tuple[Image, tuple[DrawnDigit, ...]]]:
    """The clip, frame by frame.

    Args:
        size: width and height of the frames in pixels; the digits grow and shrink with it.
        scenes: what to show; the whole clip by default.

    Yields:
        A frame, uint8 BGR (H, W, 3), the receiver's to keep, and the digits in it, each with its box in this frame.
        Within a scene, ``FRAMES_PER_SCENE`` long, the digits come in the same order in every frame.
    """
    grain = _sensor_noise(size, np.random.default_rng(_SEED))
    for index, scene in enumerate(scenes):
        rng = np.random.default_rng((_SEED, index))  # of its own, so that a change to one scene leaves the others
        page = _draw_scene(scene, size, rng)
        light = _light(scene.light, size, rng)
        page_size = (page.pixels.shape[1], page.pixels.shape[0])
        for view in _camera_path(page_size, size, page.outlines, rng):
            frame = cv2.warpPerspective(
                page.pixels, view, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
            cv2.multiply(frame, light, dst=frame, scale=rng.uniform(0.99, 1.01) / 220.0)
            for change, field in ((cv2.add, grain[0]), (cv2.subtract, grain[1])):
                x, y = rng.integers(0, 64, 2)
                change(frame, field[y : y + size[1], x : x + size[0]], dst=frame)
            yield frame, _truth(page, view)


def _draw_scene(scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> Page:
    """The scene's page, larger than the view and sharper than the frame."""
    taken = {style[0] for style in scene.styles}
    hand = Hand.random(rng, [name for name in VARIANTS if name in scene.styles or name[0] not in taken])
    whole = (round(size[0] * _OVERSAMPLE * _OVERSIZE), round(size[1] * _OVERSAMPLE * _OVERSIZE))
    unit = size[1] * _OVERSAMPLE
    sheet = whole if scene.sheet is None else (round(scene.sheet[0] * unit), round(scene.sheet[1] * unit))
    page = draw_page(
        scene.rows,
        sheet,
        rng,
        hand=hand,
        pen=PENS[scene.pen],
        paper=PAPERS[scene.paper],
        ink=scene.ink,
        digit_height=scene.height / 480 * unit,
        tilt=rng.uniform(-1.5, 1.5),
        margin=0.16 if scene.sheet is None else 0.07,
    )
    if scene.sheet is not None:
        page = _on_desk(page, whole, rng)
    soft = cv2.GaussianBlur(page.pixels, (0, 0), rng.uniform(0.6, 1.1))
    return replace(page, pixels=soft)


def _on_desk(page: Page, size: tuple[int, int], rng: np.random.Generator) -> Page:
    """The page in the middle of a wooden desk, with a soft shadow under it."""
    height, width = page.pixels.shape[:2]
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    streaks = cv2.resize(rng.standard_normal((size[1] // 5, 5), np.float32), size, interpolation=cv2.INTER_CUBIC)
    fibers = cv2.resize(rng.standard_normal((size[1] // 2, size[0] // 40), np.float32), size)
    desk = np.array((98, 128, 158), np.float32) * (1.0 + 0.05 * streaks + 0.02 * fibers)[:, :, None]
    drop = size[1] // 70
    shadow = np.zeros((size[1], size[0]), np.float32)
    shadow[top + drop : top + height + drop, left + drop // 2 : left + width + drop] = 0.5
    desk *= 1.0 - cv2.GaussianBlur(shadow, (0, 0), drop)[:, :, None]
    desk[top : top + height, left : left + width] = page.pixels
    digits = (
        replace(digit, box=Box(digit.box.x + left, digit.box.y + top, digit.box.width, digit.box.height))
        for digit in page.digits
    )
    moved = tuple(outline + np.array((left, top), np.float32) for outline in page.outlines)
    pixels = np.clip(desk, 0.0, 255.0, out=desk).astype(np.uint8)
    return replace(page, pixels=pixels, digits=tuple(digits), outlines=moved)


def _light(kind: str, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """How bright each pixel is, uint8 BGR (H, W, 3), 220 for a gain of one; it stays with the camera."""
    y, x = np.mgrid[0:1:120j, 0:1:160j].astype(np.float32) - np.float32(0.5)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    across = x * np.cos(angle) + y * np.sin(angle)
    light = 1.0 - 0.22 * (x**2 + y**2)
    tint = np.array((1.0, 0.99, 0.97), np.float32)
    if kind == "lamp":
        light *= 0.8 + 0.24 * np.exp(-(((x - 0.25 * np.cos(angle)) ** 2 + (y - 0.2 * np.sin(angle)) ** 2) / 0.18))
        tint = np.array((0.88, 0.96, 1.0), np.float32)
    else:
        light *= 0.92 + 0.26 * across
    if kind == "shadow":
        edge = across + 0.08 + 0.03 * np.sin(5.0 * (y * np.cos(angle) - x * np.sin(angle)) + 1.0)
        light *= 1.0 - 0.36 / (1.0 + np.exp(edge / 0.022))
    field = np.clip(220.0 * light[:, :, None] * tint, 0, 255).astype(np.float32)
    return cv2.resize(field, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _sensor_noise(size: tuple[int, int], rng: np.random.Generator) -> tuple[Image, Image]:
    """Noise to add and noise to subtract, uint8 (H + 64, W + 64, 3) each: frames take it from changing places."""
    shape = (size[1] + 64, size[0] + 64)
    fields = []
    for _ in range(2):
        luma = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), 0.6)
        chroma = cv2.GaussianBlur(rng.standard_normal((*shape, 3), np.float32), (0, 0), 1.2)
        fields.append(np.clip(np.rint(4.0 * luma[:, :, None] + 2.5 * chroma + 0.5), 0, 255).astype(np.uint8))
    return fields[0], fields[1]


def _camera_path(
    page_size: tuple[int, int], size: tuple[int, int], outlines: Sequence[Polyline], rng: np.random.Generator
) -> list[npt.NDArray[np.float64]]:
    """For each frame the 3×3 matrix from page to frame pixels: a slow drift with a slightly unsteady hand.

    The camera steps back as far as it takes to keep all of the ink in every frame.
    """
    # x and y of the middle and of the vanishing line in frame heights, log of the zoom, rotation in degrees.
    spread = np.array([0.025, 0.02, 0.05, 0.05, 0.035, 1.2])
    middle = rng.normal(0.0, (0.008, 0.008, 0.04, 0.04, 0.01, 3.0)).clip(-5.0, 5.0)
    drift = spread * rng.choice((-1.0, 1.0), 6) * rng.uniform(0.6, 1.0, 6)
    pace, phase = rng.uniform(1.0, 2.5, 6), rng.uniform(0.0, 2.0 * np.pi, 6)
    time = np.linspace(0.0, 1.0, FRAMES_PER_SCENE)[:, None]
    poses = middle - drift * np.cos(np.pi * time) + 0.12 * spread * np.sin(2.0 * np.pi * pace * time + phase)
    hull = cv2.convexHull(np.concatenate(outlines))
    zoom = 1.0
    while True:
        views = [_view(pose, page_size, size, zoom) for pose in poses]
        seen = np.concatenate([cv2.perspectiveTransform(hull, view)[:, 0] for view in views])
        clear = 0.035 * size[1]
        if seen.min() > clear and bool((seen.max(axis=0) < np.array(size) - clear).all()):
            return views
        zoom *= 0.98


def _view(
    pose: npt.NDArray[np.float64], page_size: tuple[int, int], size: tuple[int, int], zoom: float
) -> npt.NDArray[np.float64]:
    """The matrix from page to frame pixels for one pose of the camera."""
    x, y, keystone_x, keystone_y, log_zoom, degrees = pose
    unit = size[1] * _OVERSAMPLE
    to_middle = np.array([[1 / unit, 0, -page_size[0] / 2 / unit], [0, 1 / unit, -page_size[1] / 2 / unit], [0, 0, 1]])
    turn = zoom * np.exp(log_zoom)
    cosine, sine = turn * np.cos(np.radians(degrees)), turn * np.sin(np.radians(degrees))
    camera = np.array([[cosine, -sine, x], [sine, cosine, y], [keystone_x, keystone_y, 1.0]])
    to_frame = np.array([[size[1], 0, size[0] / 2], [0, size[1], size[1] / 2], [0, 0, 1.0]])
    view: npt.NDArray[np.float64] = to_frame @ camera @ to_middle
    return view


def _truth(page: Page, view: npt.NDArray[np.float64]) -> tuple[DrawnDigit, ...]:
    """The page's digits with tight boxes in the frame."""
    # Outlines run between pixels, whose middles have whole coordinates: half a pixel off, before and after.
    points = cv2.perspectiveTransform(np.concatenate(page.outlines)[:, None] - 0.5, view)[:, 0] + 0.5
    starts = np.cumsum([0, *(len(outline) for outline in page.outlines[:-1])])
    low = np.floor(np.minimum.reduceat(points, starts) + 0.3).astype(int)
    high = np.ceil(np.maximum.reduceat(points, starts) - 0.3).astype(int)
    return tuple(
        replace(digit, box=Box(int(x), int(y), int(right - x), int(bottom - y)))
        for digit, (x, y), (right, bottom) in zip(page.digits, low, high, strict=True)
    )
