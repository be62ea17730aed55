from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import values
from runtime.values import Box, Crop, Frame, Number, Prediction, Reading, Result

VALUES = [member for _, member in inspect.getmembers(values, inspect.isclass) if member.__module__ == values.__name__]

boxes = st.builds(
    Box, st.integers(-30, 30), st.integers(-30, 30), st.integers(1, 20), st.integers(1, 20)
)  # small, so that many of them meet


def pixels_of(box: Box) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box.x, box.x + box.width) for y in range(box.y, box.y + box.height)}


def test_the_values_are_the_seven_of_the_design() -> None:
    assert set(VALUES) == {Box, Crop, Frame, Number, Prediction, Reading, Result}


@pytest.mark.parametrize("value", VALUES)
def test_no_field_of_a_value_can_be_set_and_none_added(value: type) -> None:
    instance: object = object.__new__(value)
    for name in [*(field.name for field in dataclasses.fields(value)), "anything_else"]:
        # CPython's frozen classes with slots raise TypeError for names that are not fields.
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            setattr(instance, name, 0)
    assert not hasattr(instance, "__dict__")


@pytest.mark.parametrize("value", [Frame, Crop, Prediction, Reading, Number, Result])
def test_values_that_hold_arrays_compare_by_identity(value: type) -> None:
    # An equality by fields would ask for the truth of an array, and raise.
    assert "__eq__" not in vars(value)


def test_equal_boxes_are_one_in_a_set() -> None:
    assert len({Box(1, 2, 3, 4), Box(1, 2, 3, 4), Box(2, 2, 3, 4)}) == 2


@given(boxes)
def test_a_box_is_the_half_open_rectangle_of_its_pixels(box: Box) -> None:
    pixels = pixels_of(box)
    assert box.area == len(pixels)
    assert (box.right, box.bottom) == (max(x for x, _ in pixels) + 1, max(y for _, y in pixels) + 1)
    # A pixel's middle is half a pixel in.
    assert box.center[0] == np.mean([x for x, _ in pixels]) + 0.5
    assert box.center[1] == np.mean([y for _, y in pixels]) + 0.5


@given(boxes, boxes)
def test_intersection_and_iou_count_the_pixels_that_both_hold(a: Box, b: Box) -> None:
    both, either = pixels_of(a) & pixels_of(b), pixels_of(a) | pixels_of(b)
    assert a.intersection_area(b) == b.intersection_area(a) == len(both)
    assert a.iou(b) == len(both) / len(either)


@given(boxes, boxes)
def test_a_union_is_the_smallest_box_that_holds_both(a: Box, b: Box) -> None:
    either = pixels_of(a) | pixels_of(b)
    left, top = min(x for x, _ in either), min(y for _, y in either)
    width = max(x for x, _ in either) + 1 - left
    height = max(y for _, y in either) + 1 - top
    assert a.union(b) == b.union(a) == Box(left, top, width, height)


def test_boxes_without_any_pixel_do_not_overlap() -> None:
    assert Box(3, 3, 0, 0).iou(Box(3, 3, 0, 0)) == 0


def test_a_box_is_x_y_width_height_in_json() -> None:
    assert Box(1, 2, 3, 4).as_list() == [1, 2, 3, 4]
