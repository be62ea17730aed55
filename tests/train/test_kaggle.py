from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.values import Image
from train.data import Mnist
from train.kaggle import main, read_digits

HEAD = [f"pixel{i}" for i in range(784)]


def write(path: Path, images: Image, labels: Image | None = None) -> Path:
    rows = images.reshape(len(images), -1)
    if labels is not None:
        rows = np.column_stack([labels, rows])
    head = ",".join(HEAD if labels is None else ["label", *HEAD])
    path.write_text(head + "\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.fixture(scope="module")
def files(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("kaggle")
    train = write(folder / "train.csv", drawn.train_images[:240], drawn.train_labels[:240])
    return train, write(folder / "test.csv", drawn.test_images[:50])


def test_the_rows_come_back_as_pictures_and_one_in_twelve_is_held_back(files: tuple[Path, Path], drawn: Mnist) -> None:
    data = read_digits(*files)
    assert (len(data.train_images), len(data.validation_images)) == (220, 20)
    np.testing.assert_array_equal(data.test_images, drawn.test_images[:50])
    both = {image.tobytes(): label for image, label in zip(drawn.train_images, drawn.train_labels, strict=True)}
    for images, labels in ((data.train_images, data.train_labels), (data.validation_images, data.validation_labels)):
        assert [both[image.tobytes()] for image in images] == labels.tolist()


def test_a_bundle_labels_every_row(
    files: tuple[Path, Path], drawn: Mnist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "submission.csv"
    assert main([*map(str, files), "--out", str(out), "--bundle", "edge"]) == 0
    head, *rows = out.read_text().splitlines()
    assert head == "ImageId,Label"
    numbers, labels = zip(*(map(int, row.split(",")) for row in rows), strict=True)
    assert list(numbers) == list(range(1, 51))
    # Drawn loosely by the hands that the shipped network was trained on.
    assert (np.array(labels) == drawn.test_labels[:50]).mean() > 0.9
    assert "50 digits labeled" in capsys.readouterr().out


def test_training_on_the_rows_leaves_a_submission(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "submission.csv"
    assert main([*map(str, files), "--out", str(out), "--epochs", "1", "--run", str(tmp_path / "run")]) == 0
    assert len(out.read_text().splitlines()) == 51
    assert (tmp_path / "run" / "model.keras").is_file()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "columns"),
        ("label,pixel0\n1,2\n3,4\n", "2 columns"),
        ("hello\nworld\nagain\n", "whole numbers"),
        (",".join(["label", *HEAD]) + "\n" + 2 * (",".join(["12"] + ["0"] * 784) + "\n"), "label 12"),
        (",".join(["label", *HEAD]) + "\n" + 2 * (",".join(["1"] + ["256"] * 784) + "\n"), "256"),
        (",".join(["label", *HEAD]) + "\n" + 2 * (",".join(["1"] + ["0.5"] * 784) + "\n"), "whole numbers"),
    ],
)
def test_what_is_not_kaggles_is_one_line(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, complaint: str
) -> None:
    (tmp_path / "odd.csv").write_text(content)
    assert main([str(tmp_path / "odd.csv"), str(files[1]), "--out", str(tmp_path / "out.csv")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "odd.csv" in line
    assert complaint in line


def test_a_place_that_cannot_be_written_is_said_before_anything_is_trained(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*map(str, files), "--out", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
