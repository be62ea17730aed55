from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from benchmarks.camera import PIPELINE, TUTORIAL, Camera, CameraRun, measure_camera
from benchmarks.camera_tables import camera_section
from benchmarks.labels import DRAWN, read_labels
from benchmarks.matching import PictureScore
from benchmarks.peers import tutorial_reader
from benchmarks.quality import measure_quality
from benchmarks.sheet import draw_sheets
from benchmarks.tables import WIDTH, to_text
from benchmarks.workload import drawn_frames
from runtime.backends import load_classifier
from runtime.pictures import to_frame


@pytest.fixture(scope="module")
def camera() -> Camera:
    """The shipped model on the drawn set."""
    return measure_camera([load_classifier()], {DRAWN: read_labels(DRAWN)}, tutorial=True)


def test_the_drawn_set_is_read(camera: Camera) -> None:
    pipeline, tutorial = camera.runs
    assert (pipeline.reader, tutorial.reader) == (PIPELINE, TUTORIAL)
    assert measure_quality(pipeline.pictures).f1.value > 0.9
    assert measure_quality(pipeline.pictures).f1.value > measure_quality(tutorial.pictures).f1.value


def test_found_right_and_mistakes_agree(camera: Camera) -> None:
    for run in camera.runs:
        for picture in run.pictures:
            kinds = [mistake.kind for mistake in picture.mistakes]
            assert kinds.count("missed") == picture.digits - picture.found
            assert kinds.count("wrong") == picture.found - picture.right
            assert kinds.count("invented") == picture.readings - picture.found


def test_the_tutorials_way_reads_a_plain_page() -> None:
    (_, ten, _) = drawn_frames()
    read = tutorial_reader(load_classifier())(to_frame(ten.picture, 0, 0.0))
    assert len(read) >= 8


def test_a_frame_without_ink_gives_the_tutorial_nothing_to_read() -> None:
    (blank, _, _) = drawn_frames()
    flat = np.full_like(blank.picture, 200)
    assert tutorial_reader(load_classifier())(to_frame(flat, 0, 0.0)) == ()


def test_every_line_of_the_table_fits_the_terminal(camera: Camera) -> None:
    (first, *_) = camera.runs[0].pictures
    long = replace(first, tags=("a-condition-of-a-very-long-name",), digits=12345, found=12345)
    text = to_text([camera_section(Camera((*camera.runs, CameraRun("frames", PIPELINE, "litert-int8", (long,)))))])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "a-condition-of-a…" in text


def test_the_table_has_a_row_for_each_condition(camera: Camera) -> None:
    text = to_text([camera_section(camera)])
    for name in ("all", "drawn", "chalk", "blank"):
        assert sum(line.startswith(f"{name} ") for line in text.splitlines()) == 2
    (blank, *_) = [line for line in text.splitlines() if line.startswith("blank ")]
    assert blank.split()[1:9] == ["2", "0", *"––––––"]


def test_the_sheet_shows_each_mistake_once(camera: Camera) -> None:
    (sheet,) = draw_sheets(camera.runs)
    count = sum(len(picture.mistakes) for run in camera.runs for picture in run.pictures)
    assert count > 0
    assert sheet.shape == (-(-count // 14) * 142, 14 * 112, 3)


def test_more_mistakes_than_a_sheet_holds_fill_another(camera: Camera) -> None:
    run = next(run for run in camera.runs if any(picture.mistakes for picture in run.pictures))
    (picture, *_) = [picture for picture in run.pictures if picture.mistakes]
    many = replace(picture, mistakes=(picture.mistakes[0],) * 900)
    first, second = draw_sheets([replace(run, pictures=(many,))])
    assert first.shape[0] == 60 * 142
    assert second.shape[0] == 5 * 142


def test_a_run_without_mistakes_gives_a_white_sheet(camera: Camera) -> None:
    clean: tuple[PictureScore, ...] = ()
    (sheet,) = draw_sheets([replace(camera.runs[0], pictures=clean)])
    assert (sheet == 255).all()
    assert cv2.imencode(".png", sheet)[0]
