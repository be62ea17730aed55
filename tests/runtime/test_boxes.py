from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.boxes import areas, corners_of, shared_areas
from runtime.values import Box

BOXES = st.lists(
    st.builds(Box, st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 60), st.integers(1, 60)), max_size=5
)


@given(BOXES, BOXES)
def test_many_boxes_are_as_each_by_itself(first: list[Box], second: list[Box]) -> None:
    a, b = corners_of(first), corners_of(second)
    assert areas(a).tolist() == [box.area for box in first]
    shared = shared_areas(a, b)
    assert shared.shape == (len(first), len(second))
    assert np.array_equal(shared.ravel(), [one.intersection_area(other) for one in first for other in second])
