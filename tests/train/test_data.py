from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import DataError
from tests.mnist import mnist_folder
from train.data import VALIDATION_COUNT, Mnist, load_mnist, read_idx

Bytes = npt.NDArray[np.uint8]
FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
SMALL = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array: Bytes, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def message(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def raw() -> dict[str, Bytes]:
    """MNIST as it is in its files."""
    folder = mnist_folder()
    if (folder / "mnist.npz").is_file():
        with np.load(folder / "mnist.npz") as arrays:
            return {key: arrays[key] for key in FILES}
    return {
        key: read_idx(next(p for p in (folder / f"{stem}.gz", folder / stem) if p.is_file()))
        for key, stem in FILES.items()
    }


@pytest.fixture(scope="module")
def plain(raw: dict[str, Bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MNIST's four files, not gzipped."""
    folder = tmp_path_factory.mktemp("plain")
    for key, stem in FILES.items():
        (folder / stem).write_bytes(idx(raw[key]))
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No $MNIST_DIR and an empty Keras cache, whose folder is returned."""
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


class TestReadIdx:
    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
    @pytest.mark.parametrize("array", [SMALL, SMALL[0, 0], SMALL[:0]], ids=["images", "labels", "none"])
    def test_an_idx_file_reads_back_as_it_was_written(
        self, tmp_path: Path, array: Bytes, pack: Callable[[bytes], bytes]
    ) -> None:
        (tmp_path / "file").write_bytes(pack(idx(array)))
        read = read_idx(tmp_path / "file")
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, array)

    @pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
    def test_a_file_cut_off_anywhere_is_one_line_that_names_it(
        self, tmp_path: Path, pack: Callable[[bytes], bytes]
    ) -> None:
        whole, path = pack(idx(SMALL)), tmp_path / "cut-file"
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            assert str(path) in message(lambda: read_idx(path)), length

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(idx(SMALL) + b"\0", id="a byte too many"),
            pytest.param(idx(SMALL, kind=0x0D), id="floats"),
            pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(40), id="a picture"),
            pytest.param(b"<html>404</html>", id="an error page"),
            pytest.param(struct.pack(">BBBB3I", 0, 0, 8, 3, *[0xFFFFFFFF] * 3), id="a huge shape"),
            pytest.param(gzip.compress(b"<html>404</html>"), id="a gzipped error page"),
        ],
    )
    def test_what_is_no_whole_idx_file_is_one_line_that_names_it(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "odd-file").write_bytes(content)
        assert "odd-file" in message(lambda: read_idx(tmp_path / "odd-file"))

    def test_a_flipped_byte_in_a_gzipped_file_is_one_line_that_names_it(self, tmp_path: Path) -> None:
        packed = bytearray(gzip.compress(idx(SMALL), mtime=0))
        packed[-6] ^= 1  # of the checksum at the end
        (tmp_path / "flipped").write_bytes(packed)
        assert "flipped" in message(lambda: read_idx(tmp_path / "flipped"))

    @pytest.mark.parametrize("name", ["missing", "."])
    def test_a_missing_file_or_a_folder_is_one_line_that_names_it(self, tmp_path: Path, name: str) -> None:
        assert str(tmp_path / name) in message(lambda: read_idx(tmp_path / name))


class TestWhereMnistIsLookedFor:
    def test_the_named_folder_comes_before_the_environment(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("MNIST_DIR", str(tmp_path / "of-environment"))
        assert "no folder" in message(lambda: load_mnist(tmp_path / "of-option"))
        assert "of-option" in message(lambda: load_mnist(tmp_path / "of-option"))

    def test_the_environment_comes_before_the_cache(
        self, nowhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        nowhere.mkdir(parents=True)
        (nowhere / "mnist.npz").touch()
        monkeypatch.setenv("MNIST_DIR", str(tmp_path / "of-environment"))
        assert "of-environment" in message(load_mnist)

    def test_the_cache_comes_before_the_download(self, nowhere: Path) -> None:
        nowhere.mkdir(parents=True)
        (nowhere / "mnist.npz").touch()
        downloads: list[str] = []
        text = message(lambda: load_mnist(download=lambda: downloads.append("again")))
        assert str(nowhere / "mnist.npz") in text
        assert downloads == []

    def test_the_download_is_read_from_the_cache(self, nowhere: Path, raw: dict[str, Bytes]) -> None:
        def download() -> None:
            nowhere.mkdir(parents=True)
            np.savez(nowhere / "mnist.npz", **raw)  # type: ignore[arg-type]

        np.testing.assert_array_equal(load_mnist(download=download).test_labels, raw["y_test"])

    def test_a_failed_download_is_one_line_that_says_what_to_do(self, nowhere: Path) -> None:
        def download() -> None:
            raise Exception("URL fetch failure:\nno route to host")  # as Keras does

        text = message(lambda: load_mnist(download=download))
        assert "no route to host" in text
        assert "--data" in text


class TestLoadMnist:
    def test_a_folder_without_one_of_the_files_is_one_line_that_names_it(self, tmp_path: Path) -> None:
        for key in ("x_train", "y_train", "x_test"):
            (tmp_path / FILES[key]).write_bytes(idx(SMALL))
        text = message(lambda: load_mnist(tmp_path))
        assert "t10k-labels-idx1-ubyte.gz" in text
        assert str(tmp_path) in text

    def test_other_data_in_idx_files_is_refused(self, tmp_path: Path) -> None:
        for stem in FILES.values():
            (tmp_path / stem).write_bytes(idx(SMALL))
        text = message(lambda: load_mnist(tmp_path))
        assert str(tmp_path / FILES["x_train"]) in text
        assert "(2, 3, 4)" in text
        assert "(60000, 28, 28)" in text

    @pytest.mark.parametrize("key", FILES)
    def test_one_flipped_bit_is_one_line_that_names_the_file(self, plain: Path, tmp_path: Path, key: str) -> None:
        for stem in FILES.values():
            (tmp_path / stem).symlink_to(plain / stem)
        altered = bytearray((plain / FILES[key]).read_bytes())
        altered[len(altered) // 2] ^= 1
        (tmp_path / FILES[key]).unlink()
        (tmp_path / FILES[key]).write_bytes(altered)
        assert str(tmp_path / FILES[key]) in message(lambda: load_mnist(tmp_path))

    def test_plain_files_and_the_keras_archive_hold_the_same(
        self, plain: Path, raw: dict[str, Bytes], mnist: Mnist, tmp_path: Path
    ) -> None:
        np.savez(tmp_path / "mnist.npz", **raw)  # type: ignore[arg-type]
        for other in (load_mnist(plain), load_mnist(tmp_path)):
            np.testing.assert_array_equal(other.train_images, mnist.train_images)
            np.testing.assert_array_equal(other.validation_labels, mnist.validation_labels)
            np.testing.assert_array_equal(other.test_images, mnist.test_images)
            assert other.checksums == mnist.checksums

    @pytest.mark.parametrize(
        "damage",
        [
            pytest.param(lambda whole: whole[: len(whole) // 2], id="truncated"),
            pytest.param(lambda whole: b"", id="empty"),
            pytest.param(lambda whole: b"<html>404</html>", id="an error page"),
            pytest.param(lambda whole: whole[:200] + b"\xff" + whole[201:], id="a flipped byte"),
            pytest.param(lambda whole: whole.replace(b"y_test", b"z_test"), id="a part missing"),
        ],
    )
    def test_a_broken_archive_is_one_line_that_names_it(self, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
        path = tmp_path / "mnist.npz"
        np.savez(path, **dict.fromkeys(FILES, SMALL))  # type: ignore[arg-type]
        path.write_bytes(damage(path.read_bytes()))
        assert str(path) in message(lambda: load_mnist(tmp_path))

    def test_an_archive_that_is_one_array_is_one_line_that_names_it(self, tmp_path: Path) -> None:
        with (tmp_path / "mnist.npz").open("wb") as file:
            np.save(file, SMALL)
        assert str(tmp_path / "mnist.npz") in message(lambda: load_mnist(tmp_path))


class TestSplit:
    def test_validation_and_training_images_together_are_the_training_set(
        self, mnist: Mnist, raw: dict[str, Bytes]
    ) -> None:
        def hashes(images: Bytes, labels: Bytes) -> list[bytes]:
            return [hashlib.sha1(i.tobytes() + bytes([n])).digest() for i, n in zip(images, labels, strict=True)]

        train = hashes(mnist.train_images, mnist.train_labels)
        validation = hashes(mnist.validation_images, mnist.validation_labels)
        assert (len(train), len(validation)) == (60_000 - VALIDATION_COUNT, VALIDATION_COUNT)
        assert sorted(train + validation) == sorted(hashes(raw["x_train"], raw["y_train"]))
        assert not set(train) & set(validation)

    def test_the_validation_images_never_change(self, mnist: Mnist) -> None:
        # Figures of different days compare only if this stays as it is.
        found = hashlib.sha256(mnist.validation_images.tobytes()).hexdigest()
        assert found == "901e559a6bc31a420b7cb915f3b94554aa2a6ceb13206c83e966378fdc63a75d"

    def test_test_images_are_the_test_set(self, mnist: Mnist, raw: dict[str, Bytes]) -> None:
        np.testing.assert_array_equal(mnist.test_images, raw["x_test"])
        np.testing.assert_array_equal(mnist.test_labels, raw["y_test"])

    def test_checksums_are_those_of_the_parts(self, mnist: Mnist, raw: dict[str, Bytes]) -> None:
        assert mnist.checksums == {
            name: hashlib.sha256(raw[key].tobytes()).hexdigest()
            for name, key in (
                ("train_images", "x_train"),
                ("train_labels", "y_train"),
                ("test_images", "x_test"),
                ("test_labels", "y_test"),
            )
        }
