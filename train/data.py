"""MNIST: found, verified, split.

The data set is by Yann LeCun, Corinna Cortes and Christopher Burges, made from NIST Special Databases 1 and 3 and
offered under CC BY-SA 3.0. It is never copied into this project.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import DataError
from runtime.values import Image

LABELS = (*"0123456789", "none")
"""The meaning of each label and of each output, in order, and the name of each class's folder."""

NONE = LABELS.index("none")
"""The label of what is not a digit; those of the digits are 0–9."""

VALIDATION_COUNT = 5_000
"""Training images set aside to choose models on; the test set only reports."""

_SPLIT_SEED = 20_110

# name -> (idx file, key in the Keras archive, shape, sha256 of the decoded uint8 array)
_PARTS = {
    "train_images": (
        "train-images-idx3-ubyte",
        "x_train",
        (60_000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        "y_train",
        (60_000,),
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    ),
    "test_images": (
        "t10k-images-idx3-ubyte",
        "x_test",
        (10_000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        "y_test",
        (10_000,),
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Mnist:
    """MNIST, with the validation images taken out of the training images.

    Attributes:
        train_images: uint8 (55000, 28, 28), bright ink on black.
        train_labels: uint8 (55000,), 0–9.
        validation_images: uint8 (5000, 28, 28).
        validation_labels: uint8 (5000,).
        test_images: uint8 (10000, 28, 28).
        test_labels: uint8 (10000,).
        checksums: sha256 of each decoded part, for the record.
    """

    train_images: Image
    train_labels: Image
    validation_images: Image
    validation_labels: Image
    test_images: Image
    test_labels: Image
    checksums: dict[str, str]


def download_with_keras() -> None:
    """Fetch ``mnist.npz`` into Keras's cache."""
    from keras.datasets import mnist

    with contextlib.redirect_stdout(sys.stderr):  # Keras's progress bar
        mnist.load_data()


def load_mnist(data_dir: Path | None = None, *, download: Callable[[], None] = download_with_keras) -> Mnist:
    """Load MNIST and verify every byte of it.

    Looked for in this order: ``data_dir``, ``$MNIST_DIR`` (each a folder with the four idx files, gzipped or not, or
    with Keras's ``mnist.npz``), Keras's cache, Keras's download.

    Args:
        data_dir: the folder to look in, and no other.
        download: fetches ``mnist.npz`` into Keras's cache.

    Raises:
        DataError: a file is missing, truncated or not MNIST's; the message names it.
    """
    folder = data_dir or (Path(os.environ["MNIST_DIR"]) if os.environ.get("MNIST_DIR") else None)
    parts = _from_folder(folder) if folder else _from_keras(download)
    checksums = {}
    for name, (array, origin) in parts.items():
        shape, expected = _PARTS[name][2:]
        found = hashlib.sha256(array.tobytes()).hexdigest()
        if array.shape != shape or found != expected:
            raise DataError(
                f"{origin} is not MNIST's: shape {array.shape}, sha256 {found[:12]}…; "
                f"expected {shape}, {expected[:12]}…; delete it and fetch it again"
            )
        checksums[name] = found
    order = np.random.default_rng(_SPLIT_SEED).permutation(60_000)
    validation, train = np.sort(order[:VALIDATION_COUNT]), np.sort(order[VALIDATION_COUNT:])
    images, labels = parts["train_images"][0], parts["train_labels"][0]
    return Mnist(
        images[train],
        labels[train],
        images[validation],
        labels[validation],
        parts["test_images"][0],
        parts["test_labels"][0],
        checksums,
    )


def read_idx(path: Path) -> Image:
    """Read an idx file of unsigned bytes (the format is described at the end of MNIST's own page), gzipped or not.

    Raises:
        DataError: the file is missing, truncated, or not an idx file of unsigned bytes.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error or 'truncated'}; fetch the file again") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is not an idx file of unsigned bytes; fetch the file again")
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise DataError(f"{path} ends within its header of {header} bytes; fetch the file again")
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4))
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content):,} bytes, expected {expected:,} for shape {shape}; fetch the file again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _from_folder(folder: Path) -> dict[str, tuple[Image, str]]:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; name the folder that holds MNIST's four idx files (or mnist.npz)")
    archive = folder / "mnist.npz"
    if archive.is_file():
        return _from_archive(archive)
    parts = {}
    for name, (stem, *_) in _PARTS.items():
        path = next((p for p in (folder / f"{stem}.gz", folder / stem) if p.is_file()), None)
        if path is None:
            raise DataError(f"no {stem}.gz in {folder}; it should hold MNIST's four idx files (or mnist.npz)")
        parts[name] = (read_idx(path), str(path))
    return parts


def _from_archive(archive: Path) -> dict[str, tuple[Image, str]]:
    try:
        # Opened here, since ``np.load`` leaves a broken archive open.
        with archive.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: (arrays[key], f"{key} in {archive}") for name, (_, key, *_) in _PARTS.items()}
    except (OSError, ValueError, TypeError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {archive}: {_one_line(error)}; delete it and fetch it again") from error


def _from_keras(download: Callable[[], None]) -> dict[str, tuple[Image, str]]:
    cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "mnist.npz"
    if not cached.is_file():
        try:
            download()
        except Exception as error:  # Keras raises bare Exception when a download fails
            raise DataError(
                f"MNIST is not at hand and Keras could not download it ({_one_line(error)}); "
                "put its four idx files in a folder and name it with --data or MNIST_DIR"
            ) from error
    return _from_archive(cached)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
