"""The recipe of the tutorials, to compare with: no augmentation, Adam, five epochs, three tenths set aside.

What it trains knows ten digits and nothing of what is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from runtime.errors import SinkError
from train.data import Mnist
from train.fit import save_model, score, write_json
from train.networks import NETWORKS


@dataclass(frozen=True, slots=True)
class PlainSettings:
    """How the tutorials train.

    Attributes:
        model: name of the network in ``NETWORKS``.
        epochs: passes over the training digits.
        batch: pictures a step.
        learning_rate: Adam's.
        validation_share: of the 60,000 training digits, set aside and never trained on.
        limit: use this many digits only, for a trial; None for all.
        seed: of everything random.
    """

    model: str = "classic"
    epochs: int = 5
    batch: int = 32
    learning_rate: float = 1e-3
    validation_share: float = 0.3
    limit: int | None = None
    seed: int = 0


def fit_plain(
    data: Mnist,
    settings: PlainSettings,
    run: Path,
    watch: Callable[[int, Mapping[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Train a network of ten classes and leave ``model.keras`` and ``history.json`` in ``run``.

    Args:
        data: MNIST; the test images are not touched.
        settings: how to train.
        run: folder for the results.
        watch: is told each epoch's number, from 1, and its figures.

    Returns:
        The history, in the form of ``train.fit.fit``.

    Raises:
        SinkError: ``run`` cannot be written to.
    """
    keras.utils.set_random_seed(settings.seed)
    tf.config.experimental.enable_op_determinism()
    images = np.concatenate([data.train_images, data.validation_images])
    labels = np.concatenate([data.train_labels, data.validation_labels])
    order = np.random.default_rng(settings.seed).permutation(len(labels))[: settings.limit]
    aside = round(len(order) * settings.validation_share)
    kept, held = order[aside:], order[:aside]
    model = NETWORKS[settings.model](10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(settings.learning_rate), loss, metrics=["accuracy"], jit_compile=False)
    history: dict[str, Any] = {"settings": asdict(settings) | {"recipe": "plain"}, "augmentation": {}, "epochs": []}
    try:
        run.mkdir(parents=True, exist_ok=True)
        for epoch in tqdm(range(settings.epochs), settings.model, unit="epoch"):
            started = perf_counter()
            shuffled = np.random.default_rng([settings.seed, epoch]).permutation(kept)
            batches = [shuffled[i : i + settings.batch] for i in range(0, len(shuffled), settings.batch)]
            pictures = ((images[chosen, ..., None], labels[chosen]) for chosen in batches)
            done = model.fit(pictures, steps_per_epoch=len(batches), shuffle=False, verbose=0).history
            validation_loss, accuracy = score(model, images[held], labels[held])
            history["epochs"].append(
                {
                    "loss": float(done["loss"][0]),
                    "accuracy": float(done["accuracy"][0]),
                    "validation_loss": validation_loss,
                    "validation_accuracy": accuracy,
                    "validation_count": len(held),
                    "learning_rate": settings.learning_rate,
                    "seconds": round(perf_counter() - started, 2),
                }
            )
            write_json(run / "history.json", history)
            if watch:
                watch(epoch + 1, history["epochs"][-1])
        save_model(model, run / "model.keras")
    except OSError as error:
        raise SinkError(f"cannot write to {run} ({error.strerror or error}); name another folder") from error
    return history
