"""What training's commands can be asked about: labeled 28×28 pictures, and models that answer them.

Pictures come from MNIST, a folder with a subfolder for each class, a pair of idx files, or an .npz archive. Models are
artifacts of a bundle, in the runtime's own classifier, or what ``python -m train`` left.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from runtime.backends import check_golden, make_classifier
from runtime.bundle import MANIFEST, load_bundle, shipped_models
from runtime.detect import DetectSettings, detect
from runtime.errors import BundleError, DataError, SourceError, UsageError
from runtime.pictures import picture_paths, read_picture
from runtime.preprocess import FIELD
from runtime.quiet import native_stderr_silent
from runtime.values import Image
from train.data import LABELS, load_mnist, read_idx

SPLITS = ("test", "validation", "train")
"""The parts of MNIST, by name."""

Floats = npt.NDArray[np.float32]

ACCEPT, UNSURE = 0.5, 0.35
"""Confidence from which a digit is read, and from which ink is shown as a possible digit, unless a bundle says else."""


@dataclass(frozen=True, slots=True, eq=False)
class LabeledImages:
    """Pictures of single digits with their truth.

    Attributes:
        name: where they are from.
        images: uint8 (n, 28, 28), bright ink on black.
        labels: uint8 (n,), 0–9, or 10 for what is no digit.
        origins: what each is called, for a person who wants to look it up.
    """

    name: str
    images: Image
    labels: Image
    origins: tuple[str, ...]

    def first(self, count: int | None) -> LabeledImages:
        """The first ``count`` of them; None for all."""
        return LabeledImages(self.name, self.images[:count], self.labels[:count], self.origins[:count])


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Something that answers pictures.

    Attributes:
        name: what to call it.
        labels: meaning of each output.
        logits: uint8 (n, 28, 28) -> float32 (n, labels).
        temperature: what logits are divided by before softmax.
        none_prior: what is added to the logit of ``none`` where what is no digit may occur.
        accept: confidence from which a digit counts as read.
    """

    name: str
    labels: tuple[str, ...]
    logits: Callable[[Image], Floats]
    temperature: float = 1.0
    none_prior: float = 0.0
    accept: float = ACCEPT

    def probabilities(self, logits: Floats, *, camera: bool) -> Floats:
        """Softmax, for a world of digits or, with ``camera``, one in which what is no digit occurs."""
        prior = [self.none_prior if camera and label == "none" else 0.0 for label in self.labels]
        scaled = (logits + np.array(prior, np.float32)) / np.float32(self.temperature)
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def load_images(text: str, data: Path | None = None) -> LabeledImages:
    """Labeled pictures by name or path.

    Args:
        text: ``test``, ``validation`` or ``train`` of MNIST; a folder with subfolders ``0`` to ``9`` and perhaps
            ``none``; an idx file of images whose labels lie beside it; an .npz archive of images and labels.
        data: MNIST's folder, for the names.

    Raises:
        DataError: it is missing, damaged or of another form.
    """
    if text in SPLITS:
        mnist = load_mnist(data)
        images, labels = getattr(mnist, f"{text}_images"), getattr(mnist, f"{text}_labels")
        return LabeledImages(f"MNIST {text}", images, labels, tuple(f"{text} {i}" for i in range(len(labels))))
    path = Path(text)
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        raise DataError(
            f"{text} is neither {', '.join(SPLITS)} nor a folder or file; "
            "name a folder with subfolders 0 to 9, an idx file of images, or an .npz archive"
        )
    images, labels = _from_archive(path) if path.suffix == ".npz" else _from_idx(path)
    if images.ndim != 3 or images.shape[1:] != (FIELD, FIELD) or images.dtype != np.uint8 or not len(images):
        raise DataError(f"the images of {path} are {images.dtype} {images.shape}; expected uint8 (n, 28, 28)")
    if labels.shape != (len(images),) or not np.isin(labels, range(len(LABELS))).all():
        raise DataError(
            f"the labels of {path} are not {len(images)} numbers from 0 to 10 (none); they are {labels.dtype} "
            f"{labels.shape}"
        )
    return LabeledImages(
        "/".join(path.with_suffix("").parts[-2:]),
        images,
        labels.astype(np.uint8),
        tuple(f"{path.name} {i}" for i in range(len(labels))),
    )


def place(picture: Image) -> Image:
    """A picture of one digit as the model wants it: uint8 gray (h, w) or BGR (h, w, 3) -> (28, 28), bright on black.

    One of 28×28 pixels is taken as it is, turned bright on black; from any other the runtime's detector cuts the
    largest candidate. Where it finds none, the answer is black.
    """
    gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    edge = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    paper = int(np.median(edge))
    if gray.shape == (FIELD, FIELD):
        return gray if paper < 128 else cv2.bitwise_not(gray)
    margin = max(gray.shape) // 4
    framed = cv2.copyMakeBorder(gray, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=paper)
    crops = detect(framed, DetectSettings(max_height=1.0)).crops
    if not crops:
        return np.zeros((FIELD, FIELD), np.uint8)
    return max(crops, key=lambda crop: (crop.parts == crop.whole, crop.box.area)).pixels


def open_model(text: str, artifact: str = "litert-int8") -> Model:
    """A model by name or path.

    Args:
        text: a shipped model, a bundle's folder, one of a bundle's files, a folder that ``python -m train`` left, or a
            .keras file.
        artifact: which of a bundle's, by its manifest name.

    Raises:
        BundleError: there is no such model, or it is damaged.
        UsageError: the bundle has no such artifact.
        BackendError: what runs it is not installed.
        DataError: the Keras file is damaged.
    """
    path = Path(text)
    if path.suffix == ".keras" or ((path / "model.keras").is_file() and not (path / MANIFEST).is_file()):
        return _keras(path if path.suffix == ".keras" else path / "model.keras")
    if path.is_file():
        bundle = load_bundle(path.parent)
        chosen = next((each for each in bundle.manifest.artifacts if each.file == path.name), None)
        if chosen is None:
            raise BundleError(f"{path} is no artifact of the bundle {path.parent}; name one that its manifest lists")
    else:
        if text not in shipped_models() and not path.is_dir():
            known = ", ".join(shipped_models()) or "none"
            raise BundleError(f"no model {text}: neither shipped ({known}) nor a bundle, a run or a .keras file")
        bundle = load_bundle(path if path.is_dir() else text)
        chosen = next((each for each in bundle.manifest.artifacts if each.name == artifact), None)
        if chosen is None:
            names = ", ".join(each.name for each in bundle.manifest.artifacts)
            raise UsageError(f"--artifact is {artifact}; {bundle.manifest.name} has {names}")
    with native_stderr_silent():  # LiteRT announces its delegate
        classifier = make_classifier(bundle, chosen)
        check_golden(classifier, bundle.golden())
    name = f"{bundle.manifest.name} {chosen.name}"
    return Model(name, classifier.labels, classifier.logits, chosen.temperature, chosen.none_prior, chosen.accept)


def keras_model(text: str) -> Path:
    """The Keras file of a model by name or path: of a bundle, a run, or itself.

    Raises:
        BundleError: there is none.
    """
    path = Path(text)
    folder = path if path.is_dir() else shipped_models().get(text, path)
    found = path if path.suffix == ".keras" else folder / "model.keras"
    if not found.is_file():
        raise BundleError(f"no {found}; name a bundle or a run that holds its Keras model, or a .keras file")
    return found


def _keras(path: Path) -> Model:
    from train.quiet import load_tensorflow

    load_tensorflow()
    from train.networks import load_model, logits_of

    network = load_model(path)

    def logits(images: Image) -> Floats:
        return logits_of(network, images)

    labels = LABELS[: network.output_shape[-1]]
    name = f"{path.parent.name} {path.name}"
    if path.with_name(MANIFEST).is_file():
        (first, *_) = load_bundle(path.parent).manifest.artifacts
        return Model(name, labels, logits, first.temperature, first.none_prior, first.accept)
    history = path.with_name("history.json")
    margin = 0.0
    if history.is_file():
        margin = float(json.loads(history.read_text(encoding="utf-8"))["settings"].get("none_margin", 0.0))
    return Model(name, labels, logits, none_prior=margin)


def _from_folder(folder: Path) -> LabeledImages:
    images, labels, origins = [], [], []
    for label, name in enumerate(LABELS):
        if not (folder / name).is_dir():
            continue
        try:
            for path in picture_paths(folder / name):
                images.append(place(read_picture(path)))
                labels.append(label)
                origins.append(f"{name}/{path.name}")
        except SourceError as error:
            raise DataError(f"{error}; {folder} should hold pictures in subfolders 0 to 9 and none") from error
    if not images:
        raise DataError(f"{folder} holds no subfolder 0 to 9 or none with pictures in it")
    return LabeledImages(folder.name, np.stack(images), np.array(labels, np.uint8), tuple(origins))


def _from_idx(path: Path) -> tuple[Image, Image]:
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1"))
    if beside == path:
        raise DataError(f"{path} is no idx file of images by its name; expected …-images-idx3-ubyte, gzipped or not")
    return read_idx(path), read_idx(beside)


def _from_archive(path: Path) -> tuple[Image, Image]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = dict(arrays)
    except (OSError, ValueError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {' '.join(str(error).split())[:160]}") from error
    images = next((held[key] for key in ("images", "x", "x28") if key in held), None)
    labels = next((held[key] for key in ("labels", "y") if key in held), None)
    if images is None or labels is None:
        raise DataError(f"{path} holds {', '.join(held) or 'nothing'}; expected arrays images and labels (or x and y)")
    return images, labels
