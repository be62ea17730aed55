from __future__ import annotations

import numpy as np
import pytest

from train.clutter import DRAWINGS, THINGS, Drawing, Thing


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_a_drawing_fills_about_a_unit_and_no_two_are_the_same(drawing: Drawing) -> None:
    rng = np.random.default_rng(1)
    drawn = [np.concatenate(drawing.draw(rng)) for _ in range(20)]
    for points in drawn:
        assert np.isfinite(points).all()
        width, height = np.ptp(points, axis=0)
        assert 0.3 < width < 6.0
        assert height < 1.8
    assert not np.array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_no_drawing_is_as_slim_as_a_one(drawing: Drawing) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        width, height = np.ptp(np.concatenate(drawing.draw(rng)), axis=0)
        assert width > 0.5 * height


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_a_thing_changes_the_picture_where_it_lies(thing: Thing) -> None:
    before = np.full((240, 320, 3), 200, np.float32)
    pixels, hidden = before.copy(), np.zeros((240, 320), np.uint8)
    thing.put(pixels, hidden, np.array((200.0, 130.0)), 30.0, np.random.default_rng(3))
    changed = np.abs(pixels - before).max(axis=2) > 10
    assert changed.any()
    # What is hidden is painted; a stain or a tape hides nothing.
    assert changed[hidden > 0].mean() > 0.5 if hidden.any() else True
    assert changed.mean() < 0.5


def test_a_thing_beyond_the_picture_does_no_harm() -> None:
    for thing in THINGS:
        pixels, hidden = np.full((60, 80, 3), 200, np.float32), np.zeros((60, 80), np.uint8)
        thing.put(pixels, hidden, np.array((-500.0, -500.0)), 20.0, np.random.default_rng(4))
        assert np.isfinite(pixels).all()
