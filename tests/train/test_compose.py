from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.values import Box
from train.compose import _truth, render
from train.conditions import Conditions, draw_conditions
from train.data import Mnist
from train.inks import INKS
from train.papers import PAPERS, Stock
from train.sheet import Sheet
from train.writer import DigitPool, Writer

PLAIN = Stock("plain", "train", "plain", (235, 235, 235), grain=0.0)
BLACK = next(ink for ink in INKS if ink.name == "gel-black")


@pytest.fixture(scope="module")
def pool(drawn: Mnist) -> DigitPool:
    return DigitPool.of(drawn.train_images, drawn.train_labels)


def conditions(seed: int = 0, **changes: object) -> Conditions:
    """Black ink on a plain page in good light, nothing but digits."""
    found = draw_conditions("train", "clean", 480, np.random.default_rng(seed))
    simple = replace(
        found,
        empty=False,
        ink=BLACK,
        second=BLACK,
        paper=PLAIN,
        sheet=False,
        height=48.0,
        width=4.0,
        spacing="spaced",
        words=0,
        drawings=0,
        things=0,
        crossed=0,
        show_through=0.0,
        light="even",
        contrast=0.0,
        exposure=1.0,
        blur="sharp",
        noise=0.5,
    )
    return replace(simple, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("writing", ["mnist", "strokes", "printed"])
@pytest.mark.parametrize("turn", [0.0, -20.0, 14.0])
def test_truth_boxes_enclose_the_ink_tightly(writing: str, turn: float, pool: DigitPool) -> None:
    scene = render(
        conditions(writing=writing, turn=turn, keystone=(0.1, -0.08)), (640, 480), pool, np.random.default_rng(5)
    )
    assert len(scene.digits) >= 3
    luma = scene.picture.mean(axis=2)
    ink = luma < 0.6 * np.median(luma)
    covered = np.zeros_like(ink)
    for box in (*(digit.box for digit in scene.digits), *scene.ignore):
        covered[max(box.y - 1, 0) : box.bottom + 1, max(box.x - 1, 0) : box.right + 1] = True
    # Digits cut at the border are neither truth nor ignored; there ink may lie outside of every box.
    inner = np.s_[70:-70, 70:-70]
    assert not (ink & ~covered)[inner].any()
    for digit in scene.digits:
        box = digit.box
        rows, columns = np.nonzero(ink[box.y : box.bottom, box.x : box.right])
        assert rows.min() <= 2
        assert columns.min() <= 2
        assert rows.max() >= box.height - 3
        assert columns.max() >= box.width - 3


def test_the_same_chance_gives_the_same_frame(pool: DigitPool) -> None:
    hard = draw_conditions("test", "hard", 240, np.random.default_rng(6))
    one, two = (render(hard, (320, 240), pool, np.random.default_rng(7)) for _ in range(2))
    other = render(hard, (320, 240), pool, np.random.default_rng(8))
    assert np.array_equal(one.picture, two.picture)
    assert one.digits == two.digits
    assert not np.array_equal(one.picture, other.picture)


def test_an_empty_frame_has_no_digit(pool: DigitPool) -> None:
    empty = conditions(empty=True, words=3, drawings=2, things=1)
    scene = render(empty, (320, 240), pool, np.random.default_rng(9))
    assert scene.digits == scene.ignore == ()
    assert "negative" in scene.conditions.tags()


def test_digits_come_in_reading_order(pool: DigitPool) -> None:
    scene = render(conditions(turn=0.0, keystone=(0.0, 0.0)), (640, 480), pool, np.random.default_rng(10))
    places = [(digit.row, digit.number, digit.box.x) for digit in scene.digits]
    assert places == sorted(places)


def touching_pairs(spacing: str, pool: DigitPool) -> int:
    found = 0
    for seed in range(4):
        wanted = conditions(spacing=spacing, turn=0.0, keystone=(0.0, 0.0), writing="mnist")
        scene = render(wanted, (640, 480), pool, np.random.default_rng(seed))
        for a, b in zip(scene.digits, scene.digits[1:], strict=False):
            found += a.row == b.row and a.number == b.number and a.box.right >= b.box.x
    return found


def test_touching_digits_touch_and_spaced_ones_do_not(pool: DigitPool) -> None:
    assert touching_pairs("spaced", pool) == 0
    assert touching_pairs("touching", pool) >= 4


def sheet_with_a_digit(x: int, label: str = "3") -> Sheet:
    """A page of 200×100 with a solid block as a digit: 20 wide, 40 tall, its left side at ``x``."""
    sheet = Sheet(np.full((100, 200, 3), 230, np.float32))
    sheet.stamp_digit(np.ones((40, 20), np.float32), (x, 30), (20, 20, 20), label, 0, 0)
    return sheet


def truth(sheet: Sheet) -> tuple[list[Box], list[Box]]:
    luma = np.clip(sheet.pixels[:, :, 0], 0, 255).astype(np.uint8)
    digits, ignore, _ = _truth(sheet, np.eye(3), luma, sheet.digit_ink)
    return [digit.box for digit in digits], ignore


@pytest.mark.parametrize(
    ("x", "label", "kind"),
    [
        (50, "3", "digit"),
        (-1, "3", "digit"),  # 95 % in view
        (-5, "3", "ignored"),  # 75 %
        (-12, "3", "none"),  # 40 %: a reading is false
        (-12, "1", "ignored"),  # what is left of a 1 is a 1
    ],
)
def test_a_digit_counts_by_how_much_of_it_is_seen(x: int, label: str, kind: str) -> None:
    digits, ignore = truth(sheet_with_a_digit(x, label))
    assert (len(digits), len(ignore)) == {"digit": (1, 0), "ignored": (0, 1), "none": (0, 0)}[kind]
    if x == 50:
        assert digits == [Box(50, 30, 20, 40)]


def test_a_digit_under_a_thing_does_not_count() -> None:
    sheet = sheet_with_a_digit(50)
    sheet.hidden[30:60] = 255
    assert truth(sheet) == ([], [])


def test_a_digit_that_cannot_be_told_from_its_paper_is_ignored() -> None:
    sheet = sheet_with_a_digit(50)
    sheet.pixels[:] = 230
    sheet.pixels[30:70, 50:70] = 222
    assert [len(found) for found in truth(sheet)] == [0, 1]


def test_what_lies_beyond_the_page_is_left_out() -> None:
    sheet = Sheet(np.full((50, 60, 3), 230, np.float32))
    for corner in ((-100, 0), (100, 10), (10, -90), (10, 200)):
        sheet.stamp(np.ones((20, 20), np.float32), corner, (0, 0, 0))
    assert (sheet.pixels == 230).all()


def test_nothing_is_put_where_something_is(pool: DigitPool) -> None:
    sheet = Sheet(np.full((200, 200, 3), 230, np.float32))
    sheet.take(0, 0, 200, 200)
    before = sheet.pixels.copy()
    busy = conditions(words=3, drawings=5)
    Writer(busy, sheet, pool, np.random.default_rng(11)).scatter((20.0, 20.0, 160.0, 160.0))
    assert np.array_equal(sheet.pixels, before)


def test_every_paper_and_difficulty_renders(pool: DigitPool) -> None:
    rng = np.random.default_rng(12)
    for index, paper in enumerate(PAPERS):
        drawn = draw_conditions(paper.split, "hard" if index % 2 else "clean", 120, rng)
        ink = next(ink for ink in INKS if ink.split == paper.split and ink.polarity == paper.ink)
        scene = render(replace(drawn, paper=paper, ink=ink, second=ink), (160, 120), pool, rng)
        assert scene.picture.shape == (120, 160, 3)
        assert scene.picture.std() > 1
