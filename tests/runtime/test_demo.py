from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest

from runtime.demo import FRAME_COUNT, FRAMES_PER_SCENE, SCENES, demo_frames
from runtime.pages import PAPERS, DrawnDigit
from runtime.strokes import PENS, VARIANTS

SIZE = (640, 480)


@pytest.fixture(scope="module")
def truth() -> list[tuple[DrawnDigit, ...]]:
    return [digits for _, digits in demo_frames(SIZE)]


def test_scenes_name_pens_papers_and_styles_that_exist() -> None:
    for scene in SCENES:
        assert scene.pen in PENS
        assert scene.paper in PAPERS
        assert set(scene.styles) <= set(VARIANTS)


def test_the_clip_is_finite_and_shows_every_label_about_equally_often(truth: list[tuple[DrawnDigit, ...]]) -> None:
    assert len(truth) == FRAME_COUNT
    shown = Counter(digit.label for digits in truth[::FRAMES_PER_SCENE] for digit in digits)
    assert sum(shown.values()) >= 100
    assert set(shown) == set("0123456789")
    assert max(shown.values()) <= 1.5 * min(shown.values())


def test_a_scene_keeps_its_digits_in_order(truth: list[tuple[DrawnDigit, ...]]) -> None:
    for index, digits in enumerate(truth):
        scene = SCENES[index // FRAMES_PER_SCENE]
        assert "".join(digit.label for digit in digits) == "".join(scene.rows).replace(" ", "")


def test_every_digit_is_inside_every_frame_apart_from_the_others_and_of_readable_size(
    truth: list[tuple[DrawnDigit, ...]],
) -> None:
    for digits in truth:
        boxes = [digit.box for digit in digits]
        assert all(box.x >= 4 and box.y >= 4 and box.right <= 636 and box.bottom <= 476 for box in boxes)
        assert all(22 <= box.height <= 115 for box in boxes)
        for index, box in enumerate(boxes):
            # Slanted digits on a turned page: boxes may meet at a corner, the ink never does.
            assert all(box.intersection_area(other) < 0.12 * min(box.area, other.area) for other in boxes[:index])


def test_hard_styles_and_both_polarities_are_shown(truth: list[tuple[DrawnDigit, ...]]) -> None:
    shown = {digit.variant for digits in truth[::FRAMES_PER_SCENE] for digit in digits}
    assert {"1-european", "1-stick", "7-crossed", "4-open"} <= shown
    papers = {scene.paper for scene in SCENES}
    assert {"white", "cream", "ruled", "squared", "sticky", "chalkboard", "card"} <= papers


def test_the_camera_moves_slowly_and_smoothly(truth: list[tuple[DrawnDigit, ...]]) -> None:
    for start in range(0, FRAME_COUNT, FRAMES_PER_SCENE):
        scene = np.array([[digit.box.center for digit in digits] for digits in truth[start : start + FRAMES_PER_SCENE]])
        steps = np.linalg.norm(np.diff(scene, axis=0), axis=2)
        assert steps.max() < 8.0
        assert np.linalg.norm(scene[-1] - scene[0], axis=1).max() > 8.0


def test_boxes_hold_the_ink_tightly() -> None:
    """The same clip in ink of the paper's color differs by the ink alone: noise, light and movement are the same."""
    hidden = [replace(scene, ink=PAPERS[scene.paper].color) for scene in SCENES]
    for index, ((frame, digits), (blank, _)) in enumerate(
        zip(demo_frames(SIZE), demo_frames(SIZE, hidden), strict=True)
    ):
        if index % 9:
            continue
        ink = np.abs(frame.astype(int) - blank).max(axis=2)
        outside = ink.copy()
        for digit in digits:
            box = digit.box
            around = ink[box.y - 4 : box.bottom + 4, box.x - 4 : box.right + 4]
            x, y, width, height = cv2.boundingRect(
                (ink[box.y : box.bottom, box.x : box.right] > 0.4 * around.max()).astype(np.uint8)
            )
            gaps = (x, y, box.width - x - width, box.height - y - height)
            assert max(gaps) <= 3, (index, digit, gaps)
            outside[box.y - 1 : box.bottom + 1, box.x - 1 : box.right + 1] = 0
        assert outside.max() <= 0.4 * ink.max(), index


def test_two_runs_give_the_same_bytes_in_frames_of_their_own() -> None:
    first, second = (list(islice(demo_frames((320, 240)), 30)) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() and s == t for (a, s), (b, t) in zip(first, second, strict=True))
    assert not any(np.shares_memory(first[0][0], frame) for frame, _ in first[1:])


@pytest.mark.parametrize("size", [(320, 240), (800, 448), (240, 320)])
def test_frames_have_the_size_asked_for_and_digits_fit_in(size: tuple[int, int]) -> None:
    for frame, digits in islice(demo_frames(size, SCENES[3:5]), 0, None, 9):
        assert frame.shape == (size[1], size[0], 3)
        assert frame.dtype == np.uint8
        assert all(digit.box.x >= 0 and digit.box.right <= size[0] for digit in digits)
        assert all(digit.box.y >= 0 and digit.box.bottom <= size[1] for digit in digits)
