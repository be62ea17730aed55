from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.detect import detect
from runtime.errors import SinkError
from runtime.strokes import PENS, Polyline, digit_strokes, draw_ink
from runtime.values import Image
from train.compose import DigitInk
from train.crops import KINDS, CropSettings, LabeledCrops, label_crop, labeled_crops, sources
from train.data import NONE, Mnist

MOST = 4
SETTINGS = CropSettings(frames=6, seed=3, most=MOST)


@dataclass
class Page:
    """White paper with what is written on it, and where the ink of each digit is."""

    ink: Image = field(default_factory=lambda: np.zeros((240, 480), np.uint8))
    inks: list[DigitInk] = field(default_factory=list)

    def write(self, label: str, x: int, y: int = 60, height: int = 100) -> None:
        """A digit whose ink begins at ``x``."""
        strokes = [path * height for path in digit_strokes(label, np.random.default_rng(4))]
        left = min(float(path[:, 0].min()) for path in strokes)
        shift = np.array((x - left, y), np.float32)
        own = self.draw([path + shift for path in strokes])
        places = np.argwhere(own > 127)[:, ::-1].astype(np.float32) + np.float32(0.5)
        self.inks.append(DigitInk(label, "whole", places, 1.0))

    def draw(self, strokes: list[Polyline]) -> Image:
        size = self.ink.shape[1], self.ink.shape[0]
        own = (255 * draw_ink(strokes, size, np.random.default_rng(5), pen=PENS["gel"], width=9)).astype(np.uint8)
        np.maximum(self.ink, own, out=self.ink)
        return own

    def labels(self) -> list[tuple[int, str] | None]:
        """What the detector's crops are, from left to right."""
        luma = (235 - 0.8 * self.ink).astype(np.uint8)
        crops = sorted(detect(luma).crops, key=lambda crop: (crop.box.x, crop.box.width))
        return [label_crop(crop, self.inks) for crop in crops]


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.mark.parametrize("label", "0123456789")
def test_a_digit_by_itself_is_that_digit(page: Page, label: str) -> None:
    page.write(label, 100)
    assert (int(label), "digit") in page.labels()


@pytest.mark.parametrize("height", [16, 30, 170])
def test_its_size_does_not_matter(page: Page, height: int) -> None:
    page.write("3", 100, 20, height)
    assert page.labels() == [(3, "digit")]


def test_neighbors_do_not_matter(page: Page) -> None:
    for i, label in enumerate("628"):
        page.write(label, 60 + 120 * i)
    assert [label for label in page.labels() if label and label[1] == "digit"] == [
        (6, "digit"),
        (2, "digit"),
        (8, "digit"),
    ]


def test_two_digits_in_one_crop_are_none(page: Page) -> None:
    page.write("3", 100)
    page.write("6", 146)
    cv2.line(page.ink, (130, 110), (170, 110), 255, 9)
    assert (NONE, "joined") in page.labels()
    assert (3, "digit") not in page.labels()


def test_part_of_a_digit_is_none(page: Page) -> None:
    page.write("3", 100)
    page.ink[:115] = 0
    assert set(page.labels()) == {(NONE, "part")}


@pytest.mark.parametrize("kept", [0.7, 0.75])
def test_most_of_a_digit_is_left_out(page: Page, kept: float) -> None:
    page.write("2", 100)
    rows = np.sort(page.inks[0].places[:, 1])
    page.ink[: int(rows[round((1 - kept) * len(rows))])] = 0
    labels = page.labels()
    assert None in labels
    assert set(labels) <= {None, (NONE, "part")}


def test_half_a_1_is_left_out_since_it_is_a_1_still(page: Page) -> None:
    page.write("1", 100)
    page.ink[:110] = 0
    assert set(page.labels()) == {None}


def test_ink_of_no_digit_is_none_but_an_upright_bar_is_left_out(page: Page) -> None:
    page.draw([np.array([(60, 60), (140, 150)], np.float32), np.array([(140, 60), (60, 150)], np.float32)])
    page.draw([np.array([(300, 60), (290, 150)], np.float32)])
    assert {(NONE, "ink"), None} == set(page.labels())
    assert page.labels()[-1] is None


def test_a_digit_with_much_other_ink_is_left_out(page: Page) -> None:
    page.write("5", 100)
    cv2.rectangle(page.ink, (96, 40), (170, 164), 255, 7)
    cv2.line(page.ink, (100, 160), (130, 120), 255, 7)
    assert (5, "digit") not in page.labels()


@pytest.mark.parametrize(("state", "expected"), [("doubtful", None), ("cut", None)])
def test_a_digit_that_nobody_can_read_is_left_out(page: Page, state: str, expected: None) -> None:
    page.write("5", 100)
    page.inks[0] = replace(page.inks[0], state=state)  # type: ignore[arg-type]
    assert page.labels() == [expected]


def test_what_is_seen_of_a_cut_digit_is_none(page: Page) -> None:
    page.write("5", 100)
    left = page.inks[0].places[:, 0] < np.median(page.inks[0].places[:, 0])
    page.ink[:, int(np.median(page.inks[0].places[:, 0])) :] = 0
    page.inks[0] = DigitInk("5", "cut", page.inks[0].places[left], float(left.mean()))
    labels = page.labels()
    assert labels
    assert set(labels) <= {(NONE, "part"), None}


@pytest.fixture(scope="module")
def digits(drawn: Mnist) -> tuple[Image, Image]:
    return drawn.train_images, drawn.train_labels


@pytest.fixture(scope="module")
def crops(digits: tuple[Image, Image]) -> LabeledCrops:
    return labeled_crops(SETTINGS, digits, processes=2)


def test_they_hold_digits_and_others(crops: LabeledCrops) -> None:
    count = len(crops.labels)
    assert (crops.images.shape, crops.images.dtype) == ((count, 28, 28), np.uint8)
    assert crops.images.max(axis=(1, 2)).min() > 0
    np.testing.assert_array_equal(crops.labels == NONE, crops.kinds != KINDS.index("digit"))
    assert len(crops.digits[0]) + len(crops.nones) == count
    assert len(set(crops.digits[1].tolist())) == 10


def test_no_frame_gives_more_than_its_share_of_a_kind_of_none(crops: LabeledCrops) -> None:
    for frame in range(SETTINGS.frames):
        kinds = np.bincount(crops.kinds[crops.frames == frame], minlength=len(KINDS))
        assert kinds[1:].max() <= MOST


def test_they_do_not_depend_on_how_many_processes_render(crops: LabeledCrops, digits: tuple[Image, Image]) -> None:
    assert labeled_crops(SETTINGS, digits, processes=1).sha256 == crops.sha256


def test_they_are_kept_and_taken_from_there(crops: LabeledCrops, digits: tuple[Image, Image], tmp_path: Path) -> None:
    one = replace(SETTINGS, frames=1)
    made = labeled_crops(one, digits, tmp_path)
    (path,) = tmp_path.iterdir()
    assert LabeledCrops.load(path).sha256 == made.sha256
    crops.save(path)
    assert labeled_crops(one, digits, tmp_path).sha256 == crops.sha256  # not rendered again
    labeled_crops(replace(one, seed=4), digits, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_broken_file_is_made_anew(digits: tuple[Image, Image], tmp_path: Path) -> None:
    one = replace(SETTINGS, frames=1)
    made = labeled_crops(one, digits, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert labeled_crops(one, digits, tmp_path).sha256 == made.sha256
    assert LabeledCrops.load(path).sha256 == made.sha256


def test_a_place_that_cannot_be_written_is_one_line(crops: LabeledCrops, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot write .*file"):
        crops.save(tmp_path / "file" / "crops.npz")


def test_sources_are_all_that_is_imported_from_this_project_and_no_more() -> None:
    names = {"/".join(path.parts[-2:]) for path in sources("runtime.detect", "train.compose")}
    assert {"runtime/preprocess.py", "runtime/values.py", "train/writer.py", "train/splits.py"} <= names
    assert not names & {"runtime/recognizer.py", "train/fit.py", "train/networks.py"}
