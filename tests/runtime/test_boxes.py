from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.boxes import areas, connected, corners_of, shared_areas
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


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=20))
def test_things_are_of_the_group_of_the_least_that_links_lead_to(pairs: list[tuple[int, int]]) -> None:
    linked = np.eye(12, dtype=bool)
    for a, b in pairs:
        linked[a, b] = linked[b, a] = True
    reached = np.linalg.matrix_power(linked.astype(np.int64), 11) > 0
    assert connected(np.array(pairs, np.int64).reshape(-1, 2), 12) == reached.argmax(axis=1).tolist()
