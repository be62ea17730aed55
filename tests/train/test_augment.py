from __future__ import annotations

import cv2
import numpy as np
import pytest

from runtime.preprocess import FIELD, INK_LEVEL
from runtime.strokes import VARIANTS
from runtime.values import Image
from train.augment import AugmentSettings, _repen, augment, draw_digits, draw_nones, vary_crops
from train.data import Mnist
from train.distractors import SIDE
from train.splits import HELD_OUT

STILL = AugmentSettings(0, 0, 0, 0, 0, through_preprocess=0)
"""Everything off."""


def generator(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def bar(count: int) -> Image:
    """``count`` pictures of an upright bar in the middle, 4 × 20 pixels."""
    images = np.zeros((count, FIELD, FIELD), np.uint8)
    images[:, 4:24, 12:16] = 255
    return images


def tilt(image: Image) -> float:
    """Degrees from upright of an elongated shape, by its second moments."""
    moments = cv2.moments(image)
    return float(np.degrees(0.5 * np.arctan2(-2 * moments["mu11"], moments["mu02"] - moments["mu20"])))


def center(image: Image) -> tuple[float, float]:
    moments = cv2.moments(image)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]


class TestAugment:
    def test_the_same_state_gives_the_same_bytes_and_another_gives_others(self, drawn: Mnist) -> None:
        images = drawn.train_images[:200]
        once = augment(images, AugmentSettings(), generator())
        np.testing.assert_array_equal(once, augment(images, AugmentSettings(), generator()))
        other = augment(images, AugmentSettings(), generator(4))
        assert (once != other).any(axis=(1, 2)).mean() > 0.99

    def test_shape_and_dtype_stay_and_the_input_is_not_touched(self, drawn: Mnist) -> None:
        images = drawn.train_images[:50].copy()
        pictures = augment(images, AugmentSettings(), generator())
        assert (pictures.shape, pictures.dtype) == (images.shape, np.uint8)
        np.testing.assert_array_equal(images, drawn.train_images[:50])

    @pytest.mark.parametrize("through_preprocess", [0.0, 1.0])
    def test_no_digit_is_lost(self, drawn: Mnist, through_preprocess: float) -> None:
        settings = AugmentSettings(through_preprocess=through_preprocess)
        pictures = augment(drawn.train_images, settings, generator())
        assert pictures.max(axis=(1, 2)).min() >= INK_LEVEL

    def test_with_everything_off_pictures_stay_as_they_are(self, drawn: Mnist) -> None:
        # The map is the identity up to rounding of its offset (1e-15 pixels), far from moving a gray level by one.
        np.testing.assert_array_equal(augment(drawn.train_images, STILL, generator()), drawn.train_images)

    def test_rotation_goes_both_ways_and_no_further_than_twice_its_deviation(self) -> None:
        settings = AugmentSettings(10, 0, 0, 0, 0, through_preprocess=0)
        tilts = np.array([tilt(image) for image in augment(bar(300), settings, generator())])
        # Bilinear blur is alike on both sides of the bar; half a degree is 0.09 pixel at its end.
        assert np.abs(tilts).max() <= 20.5
        # A standard deviation of 10, cut at 2 σ, of 300 draws: its own is 0.3 of a degree or so.
        assert tilts.std() == pytest.approx(9.6, abs=1.5)
        assert abs(tilts.mean()) < 4 * 10 / 300**0.5

    def test_shift_goes_everywhere_within_its_limit(self) -> None:
        settings = AugmentSettings(0, 0, 0, 3, 0, through_preprocess=0)
        centers = np.array([center(image) for image in augment(bar(300), settings, generator())]) - 13.5
        # warpAffine places in 32nds of a pixel.
        assert np.abs(centers).max() <= 3 + 1 / 32
        # Of 300 even draws, one in the outer tenth at each of four sides is missed once in 10^6.
        assert (centers.min(axis=0) < -2.7).all()
        assert (centers.max(axis=0) > 2.7).all()

    def test_a_bend_moves_ink_without_moving_the_whole(self) -> None:
        bent = augment(bar(100), AugmentSettings(0, 0, 0, 0, 1.0, through_preprocess=0), generator())
        changed = (bent != bar(1)).any(axis=(1, 2))
        assert 0.3 < changed.mean() < 0.7  # half the pictures; five deviations of √(0.25 / 100)

    def test_preprocessed_pictures_are_placed_as_the_runtime_places_them(self, drawn: Mnist) -> None:
        settings = AugmentSettings(through_preprocess=1.0)
        for picture in augment(drawn.train_images[:200], settings, generator()):
            x, y = center(picture)
            # The corner is rounded to a whole pixel, and pixel centers are half a pixel off their edges.
            assert max(abs(x - 13.5), abs(y - 13.5)) <= 1.0
            rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
            assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20


class TestRepen:
    def test_strokes_go_from_under_half_to_nearly_twice_their_width(self) -> None:
        canvas = np.zeros((SIDE, SIDE), np.uint8)
        canvas[18:78, 40:56] = 255
        rng = generator()
        widths = [cv2.countNonZero(_repen(canvas, rng)[SIDE // 2]) for _ in range(300)]
        # From 0.45 · 16 = 7.2 to 1.8 · 16 = 28.8 pixels, even in the logarithm; the bar's own estimate is 16.08.
        assert min(widths) == 7
        assert max(widths) == 29
        assert np.median(widths) == pytest.approx(16 * (0.45 * 1.8) ** 0.5, abs=1.5)

    def test_a_stroke_that_would_break_keeps_its_pen(self) -> None:
        dumbbell = np.zeros((SIDE, SIDE), np.uint8)
        dumbbell[30:66, 10:40] = dumbbell[30:66, 56:86] = dumbbell[47:49, 40:56] = 255
        rng = generator()
        results = [_repen(dumbbell, rng) for _ in range(100)]
        assert {cv2.connectedComponents(ink)[0] for ink in results} == {2}  # the paper and one shape
        assert sum(np.array_equal(ink, dumbbell) for ink in results) > 20  # each that was to get thinner


class TestVaryCrops:
    def test_crops_change_a_little_and_keep_their_ink(self, drawn: Mnist) -> None:
        images = drawn.train_images[:200]
        varied = vary_crops(images, generator())
        assert (varied.shape, varied.dtype) == (images.shape, np.uint8)
        assert (varied != images).any(axis=(1, 2)).all()
        before, after = (pixels.astype(float).reshape(200, -1) for pixels in (images, varied))
        likeness = [np.corrcoef(one, other)[0, 1] for one, other in zip(before, after, strict=True)]
        # A shift of a pixel, the most there is, leaves strokes of two or three pixels half where they were.
        assert np.median(likeness) > 0.7
        assert varied.max(axis=(1, 2)).min() >= INK_LEVEL

    def test_the_same_state_gives_the_same_bytes(self, drawn: Mnist) -> None:
        once, again, other = (vary_crops(drawn.train_images[:20], generator(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(once, again)
        assert (once != other).any()


class TestDrawDigits:
    def test_labels_come_in_turn_with_the_models_input(self) -> None:
        images, labels = draw_digits(25, generator())
        np.testing.assert_array_equal(labels, np.arange(25) % 10)
        assert (images.shape, images.dtype, labels.dtype) == ((25, FIELD, FIELD), np.uint8, np.uint8)
        assert images.max(axis=(1, 2)).min() >= INK_LEVEL

    def test_the_same_state_gives_the_same_digits_and_another_gives_others(self) -> None:
        once, again, other = (draw_digits(20, generator(seed))[0] for seed in (5, 5, 6))
        np.testing.assert_array_equal(once, again)
        assert (once != other).any(axis=(1, 2)).all()

    def test_every_label_has_a_way_of_writing_held_out_and_others_left(self) -> None:
        assert set(VARIANTS) >= HELD_OUT
        assert {name[0] for name in HELD_OUT} == {name[0] for name in set(VARIANTS) - HELD_OUT} == set("0123456789")

    def test_none_are_drawn_where_none_are_asked_for(self) -> None:
        images, labels = draw_digits(0, generator())
        assert (images.shape, labels.shape) == ((0, FIELD, FIELD), (0,))


class TestDrawNones:
    def test_the_same_state_gives_the_same_bytes_and_another_gives_others(self, drawn: Mnist) -> None:
        once, again, other = (
            draw_nones(60, drawn.train_images, AugmentSettings(), generator(seed)) for seed in (5, 5, 6)
        )
        np.testing.assert_array_equal(once, again)
        assert (once != other).any(axis=(1, 2)).mean() > 0.9

    def test_each_has_ink_and_the_models_input_shape(self, drawn: Mnist) -> None:
        nones = draw_nones(500, drawn.train_images, AugmentSettings(), generator())
        assert (nones.shape, nones.dtype) == ((500, FIELD, FIELD), np.uint8)
        assert nones.max(axis=(1, 2)).min() >= INK_LEVEL
