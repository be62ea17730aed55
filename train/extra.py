"""Going on with the user's own digits: a trained network learns a folder of pictures without forgetting the others.

Each epoch is made of the user's pictures, varied and repeated, and of MNIST's, drawn ones and what is no digit, as in
training. A third of the user's pictures is held back; before and after are compared on these, on MNIST's validation
digits and on rendered camera frames. Nothing that was there is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from tqdm import tqdm

from runtime.errors import DataError, SinkError
from runtime.recognizer import Recognizer, RecognizerSettings
from runtime.scoring import Score, score_readings
from runtime.values import Frame, Image
from train.augment import AugmentSettings, augment, vary_crops
from train.data import NONE, Mnist
from train.epochs import EpochSettings, gather, make_epoch
from train.fit import save_model, write_json
from train.inputs import Floats, LabeledImages, Model
from train.measures import Share, share
from train.networks import hold_back_none, load_model, logits_of, to_int8_grid
from train.scenes import SceneSettings, render_frame
from train.writer import DigitPool

LEAST = 10
"""Pictures under which there is nothing to learn, and nothing to hold back."""

_FORGOTTEN, _FRAMES_LOST = 0.001, 0.01  # of MNIST's digits, and of F1 on frames, that may be lost


@dataclass(frozen=True, slots=True)
class ExtraSettings:
    """How to go on.

    Attributes:
        epochs: rounds.
        batch: pictures a step.
        learning_rate: AdamW's highest; it falls along a cosine to zero.
        weight_decay: AdamW's, decoupled.
        digits: of MNIST's in each round.
        nones: share of drawn pictures of what is no digit, of those; larger than in training, where what is cut out of
            frames teaches it too.
        extra: of the user's pictures in each round, repeated and varied; a multiple of how many there are at most 60
            times as many.
        step: how far the weights go from what they were to what they became: short of all the way, little is forgotten
            of what was known (M. Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
        held: share of the user's pictures held back, of each class.
        frames: rendered to compare on.
        seed: of everything random.
    """

    epochs: int = 8
    batch: int = 128
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    digits: int = 10_000
    nones: float = 0.4
    extra: int = 2_500
    step: float = 0.7
    held: float = 1 / 3
    frames: int = 60
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """The same pictures asked before and after.

    Attributes:
        name: of the set.
        before: right answers.
        after: likewise.
        gained: right only after.
        lost: right only before.
        p: how likely so uneven a split of both is by chance alone: exact McNemar test.
    """

    name: str
    before: Share
    after: Share
    gained: int
    lost: int
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class ExtraResult:
    """What came of it.

    Attributes:
        name: of the folder.
        trained: pictures learned from.
        own: held-back pictures, compared.
        mnist: MNIST's validation digits, compared.
        frames: digits of rendered frames, before and after.
        held: the held-back pictures.
        answers: index of the answer to each of them, before and after, integer (2, n).
        verdict: whether it is better, in one sentence.
        better: the same.
    """

    name: str
    trained: int
    own: Compared
    mnist: Compared
    frames: tuple[Score, Score]
    held: LabeledImages
    answers: npt.NDArray[np.integer]
    verdict: str
    better: bool


def train_extra(
    base: Model, path: Path, images: LabeledImages, data: Mnist, settings: ExtraSettings, run: Path
) -> ExtraResult:
    """Go on with the user's pictures; leave ``model.keras`` and ``history.json`` in ``run``.

    Args:
        base: the model that it starts from, for its prior and thresholds.
        path: its Keras file.
        images: the user's, labels 0–10.
        data: MNIST; its test digits are not touched.
        settings: how to go on.
        run: folder for the results.

    Raises:
        DataError: there are too few pictures, or the model does not know ``none`` and the pictures do.
        SinkError: ``run`` cannot be written to.
    """
    count = len(images.labels)
    if count < LEAST:
        raise DataError(f"{images.name} holds {count} pictures; {LEAST} or more are needed, better 100")
    if images.labels.max() >= len(base.labels):
        raise DataError(f"{path} knows {len(base.labels)} classes and no none; leave the folder none out")
    keras.utils.set_random_seed(settings.seed)
    rng = np.random.default_rng([settings.seed, 5])
    held = _held_back(images.labels, settings.held, rng)
    own, back = _chosen(images, ~held), _chosen(images, held)
    network = load_model(path)
    hold_back_none(network, -base.none_prior)  # what it was trained as
    old = network.get_weights()
    history: dict[str, Any] = {
        "settings": asdict(settings)
        | {"model": path.parent.name, "none_margin": base.none_prior, "recipe": "extra", "pictures": len(own.labels)},
        "augmentation": asdict(AugmentSettings()),
        "crops": None,
        "epochs": [],
    }
    try:
        run.mkdir(parents=True, exist_ok=True)
        _fit(network, own, data, settings, history)
        pairs = zip(old, network.get_weights(), strict=True)
        network.set_weights([before + settings.step * (after - before) for before, after in pairs])
        to_int8_grid(network)
        hold_back_none(network, base.none_prior)
        save_model(network, run / "model.keras")
        write_json(run / "history.json", history)
    except OSError as error:
        raise SinkError(f"cannot write to {run} ({error.strerror or error}); name another folder") from error
    after = Model(
        f"{base.name} with {images.name}",
        base.labels,
        lambda pictures: logits_of(network, pictures),
        base.temperature,
        base.none_prior,
        base.accept,
    )
    return _compare(base, after, own, back, data, settings)


def _fit(
    network: keras.Model, own: LabeledImages, data: Mnist, settings: ExtraSettings, history: dict[str, Any]
) -> None:
    rng = np.random.default_rng([settings.seed, 6])
    usual = AugmentSettings()
    first = _digits(data, settings, rng)
    # Drawn digits and what is none are the same in every round, MNIST's digits are others.
    knows_none = network.output_shape[-1] > NONE
    epoch = EpochSettings(nones=settings.nones, none_pool=settings.digits)
    epoch = epoch if knows_none else replace(epoch, nones=0.0)
    material = gather(first, epoch, settings.epochs, usual, None, settings.seed)
    drawn = material.digits[0][len(first[0]) :], material.digits[1][len(first[0]) :]
    repeated = min(settings.extra, 60 * len(own.labels))
    steps = -(-(sum(material.counts) + repeated) // settings.batch)
    schedule = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)

    def batches() -> Iterator[tuple[Image, Image]]:
        images, labels = _digits(data, settings, rng)
        both = np.concatenate([images, drawn[0]]), np.concatenate([labels, drawn[1]])
        others, classes = make_epoch(replace(material, digits=both), usual, rng)
        which = np.resize(rng.permutation(len(own.labels)), repeated)
        half = repeated // 2
        varied = [augment(own.images[which[:half]], usual, rng), vary_crops(own.images[which[half:]], rng)]
        pictures = np.concatenate([others, *varied])
        labels = np.concatenate([classes, own.labels[which]])
        order = rng.permutation(len(labels))
        for start in range(0, len(order), settings.batch):
            part = order[start : start + settings.batch]
            yield pictures[part, ..., None], labels[part]

    for _ in tqdm(range(settings.epochs), "learning your digits", unit="round"):
        started = perf_counter()
        done = network.fit(batches(), steps_per_epoch=steps, shuffle=False, verbose=0).history
        figures = {name: float(values[0]) for name, values in done.items()}
        history["epochs"].append(figures | {"seconds": round(perf_counter() - started, 2)})


def _digits(data: Mnist, settings: ExtraSettings, rng: np.random.Generator) -> tuple[Image, Image]:
    chosen = rng.permutation(len(data.train_labels))[: settings.digits]
    return data.train_images[chosen], data.train_labels[chosen]


def _compare(
    base: Model, after: Model, own: LabeledImages, back: LabeledImages, data: Mnist, settings: ExtraSettings
) -> ExtraResult:
    camera = bool((np.concatenate([own.labels, back.labels]) == NONE).any())
    answers = np.stack([_answers(model, back.images, camera) for model in (base, after)])
    compared = _paired("your digits, held back", answers == back.labels)
    validation = np.stack([_answers(model, data.validation_images, False) for model in (base, after)])
    mnist = _paired("MNIST, validation digits", validation == data.validation_labels)
    before, now = _on_frames([base, after], data, settings)
    forgotten = mnist.before.value - mnist.after.value
    worse = []
    if forgotten > _FORGOTTEN:
        worse.append(f"{100 * forgotten:.2f} points of MNIST are forgotten")
    if f1(before) - f1(now) > _FRAMES_LOST:
        worse.append(f"F1 on rendered frames falls from {f1(before):.3f} to {f1(now):.3f}")
    if compared.gained <= compared.lost:
        worse.append("your own digits are read no better")
    better = not worse
    points = 100 * (compared.after.value - compared.before.value)
    sure = "more than chance" if compared.p < 0.05 else "which may be chance: more pictures would tell"
    verdict = (
        f"Better: your held-back digits gain {points:.1f} points (p = {compared.p:.2g}, {sure})."
        if better
        else f"Not better: {'; '.join(worse)}."
    )
    return ExtraResult(own.name, len(own.labels), compared, mnist, (before, now), back, answers, verdict, better)


def f1(score: Score) -> float:
    """Harmonic mean of digits read right, of all and of the readings."""
    readings = score.right + score.wrong + score.invented
    return 2 * score.right / max(score.shown + readings, 1)


class _Reader:
    """A model in the place of the runtime's classifier."""

    def __init__(self, model: Model) -> None:
        self.labels, self.accept, self.unsure = model.labels, model.accept, model.accept / 2
        self.logits = model.logits
        self._model = model

    def probabilities(self, crops: Image) -> Floats:
        return self._model.probabilities(self._model.logits(crops), camera=True)


def _on_frames(models: list[Model], data: Mnist, settings: ExtraSettings) -> list[Score]:
    """Digits of rendered frames, of pens and papers that no training saw, read by each model's pipeline."""
    pool = DigitPool.of(data.validation_images, data.validation_labels)
    scenes = SceneSettings(settings.frames, 7, "test", "mixed")
    readers = [Recognizer(_Reader(model), RecognizerSettings(track=False)) for model in models]
    totals = [Score() for _ in models]
    for index in tqdm(range(settings.frames), "reading rendered frames", unit="frame", delay=1):
        scene = render_frame(index, scenes, pool)
        frame = Frame(cv2.cvtColor(scene.picture, cv2.COLOR_BGR2GRAY), None, index, float(index))
        for i, reader in enumerate(readers):
            readings = [each for each in reader(frame).readings if not _ignored(each.box.center, scene.ignore)]
            totals[i] += score_readings(scene.digits, readings)
    return totals


def _ignored(point: tuple[float, float], boxes: Any) -> bool:
    return any(box.x <= point[0] < box.right and box.y <= point[1] < box.bottom for box in boxes)


def _paired(name: str, right: npt.NDArray[np.bool_]) -> Compared:
    before, after = right
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    count = len(before)
    return Compared(name, share(int(before.sum()), count), share(int(after.sum()), count), gained, lost, p)


def _held_back(labels: Image, part: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which pictures are held back: this share of each class, rounded."""
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        held[own[: round(len(own) * part)]] = True
    if not held.any():
        raise DataError("no class has two pictures or more, so that none can be held back; add some of each")
    return held


def _chosen(images: LabeledImages, which: npt.NDArray[np.bool_]) -> LabeledImages:
    origins = tuple(origin for origin, kept in zip(images.origins, which, strict=True) if kept)
    return LabeledImages(images.name, images.images[which], images.labels[which], origins)


def _answers(model: Model, images: Image, camera: bool) -> npt.NDArray[np.integer]:
    return model.probabilities(model.logits(images), camera=camera).argmax(axis=1)
