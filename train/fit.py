"""Train one network: AdamW, cosine schedule, averaged weights; an epoch at a time, so that a killed run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import log_softmax
from tqdm import tqdm

from runtime.errors import DataError, SinkError
from runtime.values import Image
from train.augment import AugmentSettings
from train.crops import VALIDATION_CROPS, LabeledCrops
from train.data import NONE, Mnist
from train.distill import Distillation, Teacher, accuracy
from train.epochs import CropPools, EpochSettings, Material, gather, make_epoch
from train.networks import NETWORKS, hold_back_none, load_model, logits_of, to_int8_grid
from train.workers import Workers

GLANCE = 20_000
"""Validation crops that are looked at, at the most, after each epoch but the last."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to train.

    Attributes:
        model: name of the network in ``NETWORKS``.
        epochs: passes over the training digits.
        batch: pictures a step.
        learning_rate: the highest, reached after one epoch of warm-up; then a cosine to zero.
        weight_decay: AdamW's, decoupled.
        average: span of the averaged weights that validation and the saved model use, as a share of all steps.
        epoch: what an epoch is made of.
        none_margin: how far the logit of ``none`` must lead for it to be the answer. In training one in four
            pictures is no digit; the network's answers are to be those for a world of digits, such as MNIST, and the
            runtime adds what it knows of cameras.
        taught: share of a teacher's answers in the loss, 0–1, where there is one.
        softened: temperature at which they are compared.
        limit: use this many training digits only, for a trial; None for all.
        seed: of everything random; the same seed gives the same weights on the same machine.
    """

    model: str = "edge"
    epochs: int = 60
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.05
    epoch: EpochSettings = field(default_factory=EpochSettings)
    none_margin: float = 6.0
    taught: float = 0.5
    softened: float = 2.0
    limit: int | None = None
    seed: int = 0


def fit(
    data: Mnist,
    settings: FitSettings,
    augmentation: AugmentSettings,
    run: Path,
    resume: bool = False,
    crops: CropPools | None = None,
    watch: Callable[[int, Mapping[str, float]], None] | None = None,
    workers: Workers | None = None,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """Train a network and leave ``model.keras``, ``history.json`` and ``validation-crops.npz`` in ``run``.

    The model saved is that of the last epoch, its kernels on the int8 grid: with a rate that ends at zero and averaged
    weights the last is the best but for chance, and what validation says of single epochs differs by chance alone.
    Between whole runs choose by the crops' figures, among those whose ``validation_accuracy`` is within 0.05 points of
    the best.

    Args:
        data: MNIST; the test images are not touched.
        settings: how to train.
        augmentation: how far to vary the pictures.
        run: folder for the results and, while training, ``checkpoint.keras``.
        resume: go on from the checkpoint in ``run``; the result is that of an unbroken run.
        crops: of rendered frames; None to train without.
        watch: is told each epoch's number, from 1, and its figures.
        workers: the processes that train together, this one among them; each is to call this with the same arguments,
            but only the chief's ``run`` is kept.
        teacher: a network to learn from as well.

    Returns:
        The history, as saved: ``settings``, ``augmentation``, ``crops`` (hashes of both pools, or None), ``teacher``
        (its name and hash, or None), and per epoch ``loss``, ``accuracy`` (of the varied pictures),
        ``validation_loss``, ``validation_accuracy`` (averaged weights, MNIST's own pixels; ``none`` is an error),
        ``validation_count``, ``learning_rate`` and ``seconds``; with crops also ``crops_right``, the share of the
        validation crops' digits that a camera would read right, and ``crops_invented``, the share of their ``none``s
        that it would take for digits; the last epoch's are those of all crops, others' of some of them.

    Raises:
        DataError: ``resume`` finds no checkpoint, or one of other settings; a pool of crops lacks digits or ``none``s.
        SinkError: ``run`` cannot be written to.
    """
    keras.utils.set_random_seed(settings.seed)
    tf.config.experimental.enable_op_determinism()
    of_mnist = data.train_images[: settings.limit], data.train_labels[: settings.limit]
    steps = -(-sum(settings.epoch.counts(len(of_mnist[0]), crops is not None)) // settings.batch)
    history: dict[str, Any] = {
        "settings": asdict(settings),
        "augmentation": asdict(augmentation),
        **_material(crops, teacher),
        "epochs": [],
    }
    model = NETWORKS[settings.model](settings.epoch.labels)
    optimizer = _optimizer(settings, steps)
    if workers:
        workers.share(optimizer)
    if teacher:
        model.compile(
            optimizer, Distillation(settings.taught, settings.softened), metrics=[accuracy], jit_compile=False
        )
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    checkpoint = run / "checkpoint.keras"
    if resume:
        history["epochs"] = _restore(model, run, checkpoint, history, steps)
    first = len(history["epochs"])

    try:
        run.mkdir(parents=True, exist_ok=True)
        if crops:
            crops.validation.save(run / VALIDATION_CROPS)
        if first < settings.epochs:
            material = gather(of_mnist, settings.epoch, settings.epochs, augmentation, crops, settings.seed)
            with tqdm(
                total=settings.epochs * steps, initial=first * steps, unit="step", desc=settings.model, mininterval=1
            ) as bar:
                model.fit(
                    _batches(material, settings, augmentation, first, workers, teacher),
                    epochs=settings.epochs,
                    initial_epoch=first,
                    steps_per_epoch=steps,
                    shuffle=False,
                    verbose=0,
                    callbacks=[_Recorder(data, crops, history, run, bar, watch)],
                )
        model.optimizer.finalize_variable_values(model.trainable_variables)  # the averaged weights
        to_int8_grid(model)
        hold_back_none(model, settings.none_margin)
        save_model(keras.models.Model(model.inputs, model.outputs, name=settings.model), run / "model.keras")
        checkpoint.unlink(missing_ok=True)
        if workers:
            workers.wait()
    except OSError as error:
        raise SinkError(
            f"cannot write to {run} ({error.strerror or error}); free it, or name another folder"
        ) from error
    return history


def finished(
    settings: FitSettings,
    augmentation: AugmentSettings,
    crops: CropPools | None,
    run: Path,
    teacher: Teacher | None = None,
) -> dict[str, Any] | None:
    """The history of a run of these settings, on these crops, that has come to its end, or None."""
    try:
        history = dict(json.loads((run / "history.json").read_text(encoding="utf-8")))
        ended = len(history["epochs"]) == settings.epochs and (run / "model.keras").is_file()
        same = history["settings"] | history["augmentation"] == asdict(settings) | asdict(augmentation)
        same = same and all(history.get(name) == value for name, value in _material(crops, teacher).items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return history if ended and same and not (run / "checkpoint.keras").is_file() else None


def _material(crops: CropPools | None, teacher: Teacher | None) -> dict[str, Any]:
    """What a network learns from besides MNIST, by hash."""
    pools = {name: pool.sha256 for name, pool in crops._asdict().items()} if crops else None
    return {"crops": pools, "teacher": teacher.told if teacher else None}


class _Recorder(keras.callbacks.Callback):
    """Moves the bar with each batch; after each epoch validates the averaged weights, saves history and checkpoint."""

    def __init__(
        self,
        data: Mnist,
        crops: CropPools | None,
        history: dict[str, Any],
        run: Path,
        bar: tqdm[Any],
        watch: Callable[[int, Mapping[str, float]], None] | None,
    ) -> None:
        super().__init__()
        self._images, self._labels = data.validation_images, data.validation_labels
        self._crops = crops.validation if crops else None
        self._glance = _some_of(self._crops) if self._crops else None
        self._history, self._run, self._bar, self._watch = history, run, bar, watch
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs
        training = self.model.get_weights()
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        to_int8_grid(self.model)
        crops = self._crops if epoch + 1 == self._history["settings"]["epochs"] else self._glance
        on_crops = _score_crops(self.model, crops) if crops else {}
        hold_back_none(self.model, self._history["settings"]["none_margin"])
        loss, accuracy = score(self.model, self._images, self._labels)
        self.model.set_weights(training)
        self._history["epochs"].append(
            {
                "loss": float(logs["loss"]),
                "accuracy": float(logs["accuracy"]),
                "validation_loss": loss,
                "validation_accuracy": accuracy,
                "validation_count": len(self._labels),
                **on_crops,
                "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
                "seconds": round(perf_counter() - self._started, 2),
            }
        )
        shown = "".join(f", {name.replace('_', ' ')} {value:.2%}" for name, value in on_crops.items())
        self._bar.set_postfix_str(f"loss {logs['loss']:.4f}, validation {accuracy:.2%}{shown}")
        write_json(self._run / "history.json", self._history)
        save_model(self.model, self._run / "checkpoint.keras")
        if self._watch:
            self._watch(epoch + 1, self._history["epochs"][-1])


def score(model: keras.Model, images: Image, labels: Image) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of a model as it stands.

    Args:
        model: answers (n, 28, 28, 1) with logits.
        images: uint8 (n, 28, 28).
        labels: uint8 (n,).
    """
    logits = logits_of(model, images)
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    loss = -log_probabilities[np.arange(len(labels)), labels].mean()
    return float(loss), float((logits.argmax(axis=1) == labels).mean())


def _some_of(crops: LabeledCrops) -> LabeledCrops:
    chosen = slice(None, None, -(-len(crops.labels) // GLANCE))
    return LabeledCrops(crops.images[chosen], crops.labels[chosen], crops.kinds[chosen], crops.frames[chosen])


def _score_crops(model: keras.Model, crops: LabeledCrops) -> dict[str, float]:
    """How a camera would do: digits read right, and ``none``s taken for digits, by a model of unchanged bias."""
    answers, digits = logits_of(model, crops.images).argmax(axis=1), crops.labels != NONE
    right = answers[digits] == crops.labels[digits]
    return {"crops_right": float(right.mean()), "crops_invented": float((answers[~digits] != NONE).mean())}


def _batches(
    material: Material,
    settings: FitSettings,
    augmentation: AugmentSettings,
    first: int,
    workers: Workers | None,
    teacher: Teacher | None,
) -> Iterator[tuple[Image, npt.NDArray[Any]]]:
    """Batches of pictures (b, 28, 28, 1) and classes (b,), or a teacher's targets, epoch after epoch.

    The next epoch is made meanwhile.
    """

    def make(epoch: int) -> tuple[Image, npt.NDArray[Any]]:
        pictures, classes = make_epoch(material, augmentation, np.random.default_rng([settings.seed, 1, epoch]))
        return pictures, teacher.targets(pictures, classes) if teacher else classes

    with ThreadPoolExecutor(1, "augment") as ahead:
        coming = ahead.submit(make, first)
        for epoch in range(first, settings.epochs):
            pictures, targets = coming.result()
            if epoch + 1 < settings.epochs:
                coming = ahead.submit(make, epoch + 1)
            for start in range(0, len(pictures), settings.batch):
                chosen = slice(start, start + settings.batch)
                if workers:
                    chosen = slice(min(start + workers.index, len(pictures) - 1), chosen.stop, workers.count)
                yield pictures[chosen, ..., None], targets[chosen]


def _optimizer(settings: FitSettings, steps: int) -> keras.optimizers.Optimizer:
    warm_up = min(steps, settings.epochs * steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 100,
        settings.epochs * steps - warm_up,
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    span = max(settings.average * settings.epochs * steps, 1)
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=settings.weight_decay,
        use_ema=True,
        ema_momentum=1 - 1 / span,
        ema_overwrite_frequency=None,  # only when ``fit`` ends, and in ``_Recorder`` for validation
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _restore(model: keras.Model, run: Path, checkpoint: Path, history: dict[str, Any], steps: int) -> list[Any]:
    """Bring a new model to where the checkpoint was; returns the history of the epochs that it has behind it."""
    if not checkpoint.is_file():
        raise DataError(f"nothing to resume in {run}: it holds no {checkpoint.name}; start without --resume")
    try:
        saved = json.loads((run / "history.json").read_text())
        begun = saved["settings"] | saved["augmentation"] | {name: saved.get(name) for name in ("crops", "teacher")}
        epochs = list(saved["epochs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run / 'history.json'} is missing or broken ({error}); start without --resume") from error
    material = {name: history[name] for name in ("crops", "teacher")}
    for name, value in (history["settings"] | history["augmentation"] | material).items():
        if begun.get(name) != value:
            raise DataError(
                f"{run} was begun with another {name}: {begun.get(name)}, now {value}; "
                "resume with the same, or start without --resume"
            )
    stopped = load_model(checkpoint)
    # Copied into an optimizer of our own making: Keras does not save which variables are excluded from weight decay.
    model.optimizer.build(model.trainable_variables)
    for variable, value in zip(model.optimizer.variables, stopped.optimizer.variables, strict=True):
        variable.assign(value)
    model.set_weights(stopped.get_weights())
    for layer, old in zip(model.layers, stopped.layers, strict=True):
        if hasattr(layer, "seed_generator"):  # of dropout: no weight, but it decides what comes next
            layer.seed_generator.state.assign(old.seed_generator.state)
    return epochs[: int(model.optimizer.iterations.numpy()) // steps]


def save_model(model: keras.Model, path: Path) -> None:
    """Save so that a kill leaves the old file or the new one, never half."""
    fresh = path.with_name(f"fresh-{path.name}")
    model.save(fresh)
    fresh.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a kill leaves the old file or the new one, never half."""
    fresh = path.with_name(f"fresh-{path.name}")
    fresh.write_text(json.dumps(value, indent=1) + "\n")
    fresh.replace(path)
