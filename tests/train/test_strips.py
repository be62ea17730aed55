from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.spotter import CELL, DIGIT, MARGIN
from train.data import Mnist
from train.scenes import SceneSettings
from train.strips import UNKNOWN, Strip, cut_strips, join


def ring(frame: int = 0) -> Strip:
    """A zero by itself."""
    pixels = np.zeros((64, 48), np.uint8)
    cv2.ellipse(pixels, (24, 32), (12, 20), 0, 0, 360, 255, 5, cv2.LINE_AA)
    inked = cv2.resize(pixels, (12, 16), interpolation=cv2.INTER_AREA) > 20
    owners = np.where(inked, 0, UNKNOWN).astype(np.int16)
    return Strip(pixels, owners, np.array([[10.0, 10.0, 38.0, 54.0]]), np.array([True]), frame, False)


@pytest.fixture(scope="module")
def strips(drawn: Mnist) -> list[Strip]:
    settings = SceneSettings(8, 5, "train", "mixed", spacing="touching")
    return cut_strips([settings], (drawn.train_images, drawn.train_labels), processes=2)


def test_strips_say_whose_ink_each_cell_holds(strips: list[Strip]) -> None:
    with_digits = [strip for strip in strips if len(strip.boxes)]
    assert any(strip.doubtful for strip in with_digits)
    assert any(not strip.doubtful for strip in with_digits)
    assert any(len(strip.boxes) > 1 for strip in with_digits)
    for strip in with_digits:
        assert strip.owners.shape == tuple(side // CELL for side in strip.pixels.shape)
        assert strip.owners.max() < len(strip.boxes) == len(strip.sure)
        for number, box in enumerate(strip.boxes):
            rows, columns = np.nonzero(strip.owners == number)
            left, top, right, bottom = box
            # Cells of a digit's ink lie in its box, but for the ink's soft edge.
            assert ((columns + 1) * CELL >= left - 1.5 * CELL).all()
            assert (columns * CELL <= right + 1.5 * CELL).all()
            assert ((rows + 1) * CELL >= top - 1.5 * CELL).all()
            assert (rows * CELL <= bottom + 1.5 * CELL).all()
        # What somebody owns is ink, or its rim.
        rim = cv2.dilate(strip.pixels, np.ones((3, 3), np.uint8))
        level = cv2.resize(rim, strip.owners.shape[::-1], interpolation=cv2.INTER_AREA)
        assert (level[strip.owners >= 0] > 0).all()


def test_ink_of_one_digit_is_about_as_tall_as_the_network_expects(strips: list[Strip]) -> None:
    heights = [box[3] - box[1] for strip in strips if not strip.doubtful for box in strip.boxes]
    assert heights
    assert DIGIT / 1.6 < min(heights) <= max(heights) < DIGIT * 1.1
    assert all(strip.boxes.min() >= MARGIN - 2 for strip in strips if len(strip.boxes))


def test_the_number_of_processes_changes_nothing(strips: list[Strip], drawn: Mnist) -> None:
    settings = SceneSettings(8, 5, "train", "mixed", spacing="touching")
    alone = cut_strips([settings], (drawn.train_images, drawn.train_labels), processes=1)
    assert len(alone) == len(strips)
    for one, other in zip(alone, strips, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.owners, other.owners)


def test_strips_of_several_sets_are_those_of_each(strips: list[Strip], drawn: Mnist) -> None:
    more = SceneSettings(2, 6, "train", "mixed", spacing="touching")
    settings = SceneSettings(8, 5, "train", "mixed", spacing="touching")
    digits = drawn.train_images, drawn.train_labels
    both, alone = cut_strips([settings, more], digits, processes=2), cut_strips([more], digits, processes=1)
    frames = [strip.frame for strip in (*strips, *alone)]
    assert [strip.frame for strip in both] == frames
    assert alone


@pytest.mark.parametrize("seed", range(12))
def test_joined_strips_touch_and_keep_their_digits(seed: int) -> None:
    made = join(ring(), replace(ring(), frame=3), np.random.default_rng(seed))
    assert made.doubtful
    assert all(side % CELL == 0 for side in made.pixels.shape)
    assert made.boxes.shape == (2, 4)
    _, connected = cv2.connectedComponents((made.pixels > 90).astype(np.uint8))
    first, second = (connected[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])].max() for box in made.boxes)
    assert first == second == 1
    for number in (0, 1):
        rows, columns = np.nonzero(made.owners == number)
        left, top, right, bottom = made.boxes[number]
        assert left - CELL <= (columns * CELL).min() <= (columns * CELL).max() <= right
        assert top - CELL <= (rows * CELL).min() <= (rows * CELL).max() <= bottom
    # Neither hides the other.
    assert min((made.owners == number).sum() for number in (0, 1)) > 0.5 * (ring().owners == 0).sum()


def test_strips_are_joined_to_the_side_and_downward() -> None:
    made = [join(ring(), ring(), np.random.default_rng(seed)).boxes for seed in range(40)]
    below = [boxes[1, 1] - boxes[0, 1] > boxes[1, 0] - boxes[0, 0] for boxes in made]
    assert 2 <= sum(below) <= 20
