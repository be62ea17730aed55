"""From a page in good light to a camera's picture: light, lens, sensor."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from runtime.values import Image
from train.conditions import Conditions
from train.papers import Canvas

Field = npt.NDArray[np.float32]


def photograph(scene: Canvas, conditions: Conditions, rng: np.random.Generator) -> Image:
    """What the camera delivers.

    Args:
        scene: float32 BGR (H, W, 3), 0–255, as it would look in even light; overwritten.
        conditions: light, blur, noise.
        rng: where chance comes from.

    Returns:
        uint8 BGR (H, W, 3).
    """
    size = (scene.shape[1], scene.shape[0])
    tint = 1.0 + rng.normal(0.0, 0.035, 3) + rng.normal(0.0, 0.05) * np.array((1, 0, -1))
    scene *= light_field(conditions, size, rng)[:, :, None] * tint.astype(np.float32)
    if conditions.light == "glare":
        scene += _glare(size, rng)[:, :, None]
    np.minimum(scene, 262.0, out=scene)
    scene = blurred(scene, conditions, rng)
    picture = _sensed(scene, conditions.noise, rng)
    if rng.random() < 0.35:  # webcams sharpen, and leave halos
        soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
        picture = cv2.addWeighted(picture, 1.7, soft, -0.7, 0.0)
    return picture


def light_field(conditions: Conditions, size: tuple[int, int], rng: np.random.Generator) -> Field:
    """How much light each pixel gets, float32 (H, W), about 1: gradient, vignette, the edge of a shadow."""
    y, x = np.mgrid[0:1:120j, 0:1:160j].astype(np.float32) - np.float32(0.5)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    light = conditions.exposure * (1.0 - rng.uniform(0.05, 0.3) * (x**2 + y**2))
    strength = conditions.contrast
    if conditions.light in ("gradient", "glare"):
        light = light * (1.0 + strength * across - 0.15 * strength)
    if conditions.light == "dim":
        light = light * (0.8 - 0.45 * strength) * (1.0 + 0.6 * strength * across)
    light = cv2.resize(np.asarray(light, np.float32), size, interpolation=cv2.INTER_LINEAR)
    if conditions.light == "hard-shadow":
        bend = rng.uniform(0.0, 0.08) * np.sin(rng.uniform(3.0, 14.0) * along + rng.uniform(0.0, 6.0))
        edge = across - rng.uniform(-0.25, 0.25) + bend
        if rng.random() < 0.5:  # an arm's or a phone's shadow: a band rather than a half-plane
            edge = np.abs(edge) - rng.uniform(0.08, 0.2)
        edge = cv2.resize(np.asarray(edge, np.float32), size, interpolation=cv2.INTER_CUBIC)
        light *= 1.0 - strength / (1.0 + np.exp(np.clip(edge / rng.uniform(0.003, 0.02), -30, 30)))
    return np.asarray(light, np.float32)


def blurred(scene: Canvas, conditions: Conditions, rng: np.random.Generator) -> Canvas:
    """What the lens and the hand make of it; a sharp lens, too, spreads light over a pixel."""
    if conditions.blur == "defocus":
        radius = max(conditions.reach, 0.6)
        side = 2 * int(np.ceil(radius)) + 1
        rows, columns = np.indices((side, side)) - side // 2
        disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0.0, 1.0)
        scene = np.asarray(cv2.filter2D(scene, -1, disc / disc.sum()), np.float32)
    elif conditions.blur == "motion-blur":
        length = max(2.0 * conditions.reach, 1.5)
        side = 2 * int(np.ceil(length / 2)) + 3
        kernel = np.zeros((side, side), np.float32)
        angle, middle = rng.uniform(0, np.pi), (side - 1) / 2
        step = length / 2 * np.array((np.cos(angle), np.sin(angle)))
        ends = [tuple(int(v) for v in np.rint(16 * (middle + sign * step))) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 4)
        soft = cv2.GaussianBlur(kernel, (0, 0), 0.5)
        scene = np.asarray(cv2.filter2D(scene, -1, soft / soft.sum()), np.float32)
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.45, 0.75)), np.float32)


def _glare(size: tuple[int, int], rng: np.random.Generator) -> Field:
    """A lamp mirrored by the ink and the paper: a bright patch, float32 (H, W), in gray levels."""
    y, x = np.mgrid[0:1:120j, 0:1:160j].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    dx, dy = x - np.float32(rng.uniform(0.1, 0.9)), y - np.float32(rng.uniform(0.1, 0.9))
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    patch = rng.uniform(50, 130) * np.exp(-((u / rng.uniform(0.15, 0.4)) ** 2 + (v / rng.uniform(0.08, 0.2)) ** 2))
    return np.asarray(cv2.resize(patch.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)


def _sensed(scene: Canvas, noise: float, rng: np.random.Generator) -> Image:
    """Photon and readout noise: in luma, and coarser in color; then whole numbers."""
    height, width = scene.shape[:2]
    luma = rng.standard_normal((height, width), np.float32)
    chroma = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32)
    chroma = np.asarray(cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    # Photons make the noise grow with the square root of the light.
    spread = noise * np.sqrt(0.35 + 0.65 * np.clip(scene.mean(axis=2), 0, 255) / 255.0)
    scene += spread[:, :, None] * (luma[:, :, None] + 0.6 * chroma)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)
