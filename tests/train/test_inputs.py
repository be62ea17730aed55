from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.errors import BundleError, DataError, EdgeDigitsError, UsageError
from runtime.pages import draw_page
from runtime.preprocess import FIELD
from train.data import LABELS, Mnist
from train.inputs import keras_model, load_images, open_model, place

ROOT = Path(__file__).resolve().parents[2]


def message(error: type[EdgeDigitsError], text: str) -> str:
    with pytest.raises(error) as caught:
        load_images(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestLabeledImages:
    def test_a_folder_with_a_subfolder_for_each_class_is_read_class_by_class(
        self, drawn: Mnist, tmp_path: Path
    ) -> None:
        for i, name in enumerate(("0", "7", "none")):
            (tmp_path / name).mkdir()
            for j in range(2):
                cv2.imwrite(str(tmp_path / name / f"picture{j}.png"), drawn.test_images[2 * i + j])
        found = load_images(str(tmp_path))
        assert found.labels.tolist() == [0, 0, 7, 7, 10, 10]
        np.testing.assert_array_equal(found.images, drawn.test_images[:6])
        assert found.origins[3] == "7/picture1.png"

    def test_a_pair_of_idx_files_is_read(self, drawn: Mnist, tmp_path: Path) -> None:
        images, labels = drawn.test_images[:5], drawn.test_labels[:5]
        for name, array in (("my-images-idx3-ubyte", images), ("my-labels-idx1-ubyte", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (tmp_path / name).write_bytes(header + array.tobytes())
        found = load_images(str(tmp_path / "my-images-idx3-ubyte"))
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)

    @pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y")])
    def test_an_archive_is_read(self, drawn: Mnist, tmp_path: Path, keys: tuple[str, str]) -> None:
        arrays = dict(zip(keys, (drawn.test_images, drawn.test_labels.astype(np.int64)), strict=True))
        np.savez(tmp_path / "digits.npz", **arrays)  # type: ignore[arg-type]
        found = load_images(str(tmp_path / "digits.npz")).first(7)
        np.testing.assert_array_equal(found.images, drawn.test_images[:7])
        assert found.labels.dtype == np.uint8

    def test_what_is_nothing_of_the_kind_is_one_line(self, tmp_path: Path) -> None:
        assert "neither test" in message(DataError, str(tmp_path / "nowhere"))
        assert "no subfolder" in message(DataError, str(tmp_path))
        (tmp_path / "5").mkdir()
        assert "no pictures" in message(DataError, str(tmp_path))
        (tmp_path / "notes.txt").write_text("hello")
        assert "no idx file" in message(DataError, str(tmp_path / "notes.txt"))
        (tmp_path / "broken.npz").write_bytes(b"PK")
        assert "broken.npz" in message(DataError, str(tmp_path / "broken.npz"))
        np.savez(tmp_path / "odd.npz", a=np.zeros(3))
        assert "holds a;" in message(DataError, str(tmp_path / "odd.npz"))
        np.savez(tmp_path / "wide.npz", x=np.zeros((2, 32, 32), np.uint8), y=np.zeros(2, np.uint8))
        assert "(2, 32, 32)" in message(DataError, str(tmp_path / "wide.npz"))
        np.savez(tmp_path / "letters.npz", x=np.zeros((2, 28, 28), np.uint8), y=np.array(["a", "b"]))
        assert "labels" in message(DataError, str(tmp_path / "letters.npz"))


class TestPlace:
    def test_a_picture_of_the_models_size_is_taken_bright_on_black(self, drawn: Mnist) -> None:
        image = drawn.test_images[3]
        np.testing.assert_array_equal(place(image), image)
        np.testing.assert_array_equal(place(255 - image), image)

    def test_a_photo_of_one_digit_is_cut_by_the_detector(self) -> None:
        page = draw_page(["4"], (320, 240), np.random.default_rng(3))
        box = page.digits[0].box
        tight = page.pixels[box.y - 3 : box.bottom + 3, box.x - 3 : box.right + 3]
        for photo in (page.pixels, tight):
            pixels = place(photo)
            assert pixels.shape == (FIELD, FIELD)
            logits = open_model("edge").logits(pixels[None])
            assert LABELS[int(logits.argmax())] == "4"

    def test_a_blank_photo_holds_nothing(self) -> None:
        assert not place(np.full((60, 40, 3), 220, np.uint8)).any()


class TestOpenModel:
    def test_an_artifact_is_named_by_its_bundle_and_name_or_by_its_file(self, drawn: Mnist) -> None:
        images = drawn.test_images[:5]
        by_name = open_model("edge", "onnx-int8")
        by_file = open_model(str(ROOT / "models" / "edge" / "edge-int8.onnx"))
        assert by_name.name == by_file.name == "edge onnx-int8"
        np.testing.assert_array_equal(by_name.logits(images), by_file.logits(images))

    def test_a_keras_file_answers_as_the_float_artifact(self, drawn: Mnist) -> None:
        images = drawn.test_images[:20]
        keras = open_model(str(ROOT / "models" / "edge" / "model.keras"))
        np.testing.assert_allclose(
            keras.logits(images), open_model("edge", "onnx-float32").logits(images), rtol=0, atol=2e-3
        )

    def test_the_prior_of_none_is_for_cameras_alone(self) -> None:
        model = open_model("edge")
        logits = np.zeros((1, 11), np.float32)
        digits, camera = model.probabilities(logits, camera=False), model.probabilities(logits, camera=True)
        assert digits[0, 10] == pytest.approx(1 / 11)
        assert camera[0, 10] > 0.5

    def test_what_is_no_model_is_one_line_that_says_what_there_is(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"shipped \(edge"):
            open_model("enormous")
        with pytest.raises(UsageError, match="litert-int8"):
            open_model("edge", "litert-int3")
        with pytest.raises(BundleError, match="no artifact"):
            open_model(str(ROOT / "models" / "edge" / "golden.npz"))
        with pytest.raises(BundleError, match=r"model\.keras"):
            keras_model(str(tmp_path))
