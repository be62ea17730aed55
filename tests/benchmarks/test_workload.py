from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.workload import SIZES, DrawnFrame, drawn_frames, pixels_sha256, real_crops


@pytest.fixture(scope="module")
def frames() -> tuple[DrawnFrame, ...]:
    return drawn_frames()


def test_the_frames_are_a_blank_page_ten_digits_and_a_full_page(frames: tuple[DrawnFrame, ...]) -> None:
    blank, ten, full = frames
    assert [frame.page for frame in frames] == ["blank page", "ten digits", "full page"]
    assert [frame.name for frame in frames] == [f"{frame.page} 640×480" for frame in frames]
    assert len(blank.digits) == 0
    assert sorted(digit.label for digit in ten.digits) == list("0123456789")
    assert len(full.digits) >= 60
    assert {digit.label for digit in full.digits} == set("0123456789")
    for drawn in frames:
        assert drawn.picture.shape == (480, 640, 3)
        assert drawn.picture.dtype == np.uint8


@pytest.mark.parametrize("size", SIZES)
def test_the_truth_lies_inside_the_frame_on_ink_in_every_size(size: tuple[int, int]) -> None:
    for drawn in drawn_frames([size])[1:]:
        luma = cv2.cvtColor(drawn.picture, cv2.COLOR_BGR2GRAY)
        assert luma.shape == (size[1], size[0])
        paper = float(np.median(luma))
        for digit in drawn.digits:
            box = digit.box
            assert 0 <= box.x < box.right <= size[0]
            assert 0 <= box.y < box.bottom <= size[1]
            assert luma[box.y : box.bottom, box.x : box.right].min() < 0.7 * paper


def test_every_run_has_the_same(frames: tuple[DrawnFrame, ...]) -> None:
    for one, other in zip(frames, drawn_frames(), strict=True):
        assert pixels_sha256(one.picture) == pixels_sha256(other.picture)
        assert one.digits == other.digits


def test_the_crops_are_what_the_model_is_fed_with_on_a_device() -> None:
    crops = real_crops()
    assert crops.dtype == np.uint8
    assert crops.shape[1:] == (28, 28)
    assert len(crops) > 100
    # Bright ink on black, whatever the paper was: the corners are empty and something in the field is full ink.
    assert int(crops[:, :2, :2].max()) == 0
    assert int(crops.reshape(len(crops), -1).max(axis=1).min()) > 200


def test_a_fingerprint_tells_pixels_apart() -> None:
    pixels = np.zeros((4, 4), np.uint8)
    other = pixels.copy()
    other[3, 3] = 1
    assert pixels_sha256(pixels) != pixels_sha256(other)
    assert pixels_sha256(pixels[:, ::2]) == pixels_sha256(pixels[:, ::2].copy())
