from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.labels import read_labels
from tests.mnist import mnist_folder
from train.data import Mnist
from train.scenes import LABELS, SceneSettings, label_entry, main, render_frame, write_scenes
from train.writer import DigitPool

SMALL = SceneSettings(8, 3, "test", "mixed", (320, 240))


@pytest.fixture(scope="module")
def folder(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "frames"
    write_scenes(out, SMALL, (drawn.test_images, drawn.test_labels), processes=2)
    return out


def test_a_folder_holds_the_frames_and_their_labels(folder: Path) -> None:
    entries = json.loads((folder / LABELS).read_text(encoding="utf-8"))
    assert len(entries) == 8
    assert {path.name for path in folder.iterdir()} == {LABELS, *(entry["file"] for entry in entries)}
    assert Counter(entry["file"].split("-")[0] for entry in entries) == {"clean": 4, "hard": 4}
    for entry in entries:
        assert set(entry) == {"file", "digits", "rows", "boxes", "tags", "ignore", "size", "source"}
        assert entry["size"] == [320, 240]
        assert "".join(entry["rows"]).replace(" ", "") == entry["digits"]
        assert "".join(box[4] for box in entry["boxes"]) == entry["digits"]
        assert ("negative" in entry["tags"]) == (not entry["digits"])
        for x, y, width, height, _ in entry["boxes"]:
            assert 0 <= x < x + width <= 320
            assert 0 <= y < y + height <= 240


def test_the_benchmark_reads_the_folder(folder: Path) -> None:
    pictures = read_labels(folder)
    assert sum(len(picture.numbers) for picture in pictures) > 0
    for picture in pictures:
        assert [i for number in picture.numbers for i in number] == list(range(len(picture.digits)))


def test_the_same_options_give_the_same_bytes_whatever_the_processes(
    folder: Path, drawn: Mnist, tmp_path: Path
) -> None:
    write_scenes(tmp_path / "again", SMALL, (drawn.test_images, drawn.test_labels), processes=1)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_frames_depend_on_seed_split_and_index(drawn: Mnist) -> None:
    pool = DigitPool.of(drawn.test_images, drawn.test_labels)
    pictures = [
        render_frame(index, SceneSettings(2, seed, split, "hard", (160, 120)), pool).picture.tobytes()  # type: ignore[arg-type]
        for index, seed, split in ((0, 1, "train"), (1, 1, "train"), (0, 2, "train"), (0, 1, "test"))
    ]
    assert len(set(pictures)) == 4


def test_a_frame_whose_digits_all_failed_is_a_negative(drawn: Mnist) -> None:
    pool = DigitPool.of(drawn.test_images, drawn.test_labels)
    settings = SceneSettings(40, 5, "test", "clean", (160, 120))
    scenes = [render_frame(index, settings, pool) for index in range(12)]
    (scene, *_) = [scene for scene in scenes if scene.digits]
    bare = type(scene)(scene.picture, (), (), (), scene.conditions)
    entry = label_entry("a.jpg", bare)
    assert "negative" in entry["tags"]
    assert not {"mnist", "strokes", "printed", "spaced", "crowded", "touching"} & set(entry["tags"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "--count is 0; expected 1 or more"),
        (["--processes", "-1"], "--processes is -1; expected 1 or more"),
        (["--seed", "-3"], "--seed is -3; expected 0 or more"),
        (["--size", "64x480"], "--size is 64x480; expected 120 or more each way"),
    ],
)
def test_bad_options_get_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "new"), *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_in_it_is_left_alone(
    drawn: Mnist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.jpg").write_bytes(b"old")
    with pytest.raises(Exception, match="is not empty"):
        write_scenes(tmp_path, SMALL, (drawn.test_images, drawn.test_labels))
    assert [path.name for path in tmp_path.iterdir()] == ["old.jpg"]


def test_the_command_renders_frames_of_mnist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", str(tmp_path / "frames"), "--count", "2", "--size", "160x120", "--processes", "1"]
    assert main([*arguments, "--data", str(mnist_folder())]) == 0
    assert f"{tmp_path / 'frames'}: 2 frames with" in capsys.readouterr().out
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_a_missing_data_set_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "frames"), "--data", str(tmp_path / "absent")]) == 1
    output = capsys.readouterr().err
    assert output.startswith("error: no folder")
    assert output.count("\n") == 1
