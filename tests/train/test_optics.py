from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from train.conditions import Conditions, draw_conditions
from train.optics import blurred, light_field, photograph


@pytest.fixture
def plain() -> Conditions:
    """Even light, a sharp lens, a silent sensor."""
    drawn = draw_conditions("train", "clean", 480, np.random.default_rng(0))
    return replace(drawn, light="even", blur="sharp", noise=0.0, exposure=1.0, contrast=0.0)


def edge() -> np.ndarray:
    scene = np.full((120, 160, 3), 220, np.float32)
    scene[:, 80:] = 40
    return scene


def test_a_picture_is_of_whole_gray_levels_and_keeps_what_is_dark_dark(plain: Conditions) -> None:
    picture = photograph(edge(), plain, np.random.default_rng(1))
    assert picture.dtype == np.uint8
    assert picture.shape == (120, 160, 3)
    assert picture[:, 20:60].mean() > picture[:, 100:140].mean() + 100


@pytest.mark.parametrize("kind", ["defocus", "motion-blur"])
def test_blur_keeps_the_light_and_softens_the_edge(kind: str, plain: Conditions) -> None:
    sharp = blurred(edge(), plain, np.random.default_rng(2))
    soft = blurred(edge(), replace(plain, blur=kind, reach=5.0), np.random.default_rng(4))  # type: ignore[arg-type]
    assert soft.mean() == pytest.approx(sharp.mean(), rel=0.01)
    assert np.abs(np.diff(soft[60, :, 0])).max() < 0.7 * np.abs(np.diff(sharp[60, :, 0])).max()


def test_noise_is_as_strong_as_asked_for(plain: Conditions) -> None:
    flat = np.full((240, 320, 3), 255, np.float32)
    flat *= 0.5
    noisy = replace(plain, noise=6.0)
    deviations = [
        photograph(flat.copy(), noisy, np.random.default_rng(seed))[80:160, 100:220].astype(float).mean(axis=2).std()
        for seed in range(6)
    ]
    # √(0.35 + 0.65 · 0.5) of it at half light; sharpening, by chance, doubles it.
    assert 3.5 < min(deviations) < 6.5


def test_a_hard_shadow_has_an_edge_and_a_gradient_none(plain: Conditions) -> None:
    steepest = {}
    for kind in ("gradient", "hard-shadow"):
        conditions = replace(plain, light=kind, contrast=0.5)
        fields = [light_field(conditions, (320, 240), np.random.default_rng(seed)) for seed in range(8)]
        steepest[kind] = max(float(np.abs(np.diff(field, axis=1)).max()) for field in fields)
    assert steepest["hard-shadow"] > 5 * steepest["gradient"]
