"""Learn from a larger network's answers beside the labels: distillation (Hinton, Vinyals and Dean, 2015).

The teacher answers the very pictures that the student sees, varied anew in each epoch (Beyer et al., 2022: a good
teacher is patient and consistent).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from runtime.errors import DataError
from runtime.values import Image
from train.networks import hold_back_none, load_model, logits_of


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A trained network to learn from.

    Attributes:
        network: answers (n, 28, 28, 1) with logits, ``none`` as likely as it was in training.
        sha256: of the file that it was read from.
    """

    network: keras.Model
    sha256: str

    @property
    def told(self) -> dict[str, str]:
        """What a history says of it: the ``network``'s name and its file's ``sha256``."""
        return {"network": self.network.name, "sha256": self.sha256}

    def targets(self, pictures: Image, classes: Image) -> npt.NDArray[np.float32]:
        """What ``Distillation`` compares answers with: float32 (n, 1 + labels), the class and the teacher's logits."""
        return np.concatenate([classes[:, None].astype(np.float32), logits_of(self.network, pictures)], axis=1)


def load_teacher(run: Path, labels: int) -> Teacher:
    """Read a finished training's network.

    Args:
        run: its folder, with ``model.keras`` and ``history.json``.
        labels: how many the student knows.

    Raises:
        DataError: a file is missing or broken, or the network knows other labels.
    """
    path = run / "model.keras"
    network = load_model(path)
    if network.output_shape[-1] != labels:
        raise DataError(
            f"{path} knows {network.output_shape[-1]} labels and is to teach {labels}; name one of the same recipe"
        )
    try:
        margin = float(json.loads((run / "history.json").read_text(encoding="utf-8"))["settings"]["none_margin"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{run / 'history.json'} is missing or broken ({error}); train the teacher again") from error
    hold_back_none(network, -margin)
    logits_of(network, np.zeros((1, 28, 28), np.uint8))  # traced here, as other threads only call it
    return Teacher(network, hashlib.sha256(path.read_bytes()).hexdigest())


@keras.saving.register_keras_serializable(package="edge-digits")
class Distillation(keras.losses.Loss):
    """Cross-entropy with the classes, and with a teacher's answers at a higher temperature, each by its share."""

    def __init__(self, share: float, temperature: float, name: str = "distillation") -> None:
        """``share`` is the teacher's, 0–1; ``temperature`` is what both logits are divided by for its part."""
        super().__init__(name=name)
        self.share, self.temperature = share, temperature

    def call(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Loss (n,) of logits (n, labels), for the targets that ``Teacher.targets`` gives."""
        own = keras.losses.sparse_categorical_crossentropy(targets[:, 0], logits, from_logits=True)
        softened = tf.nn.softmax(targets[:, 1:] / self.temperature)
        taught = keras.losses.categorical_crossentropy(softened, logits / self.temperature, from_logits=True)
        # Gradients of softened answers shrink with the square of the temperature.
        return (1 - self.share) * own + self.share * self.temperature**2 * taught

    def get_config(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"share": self.share, "temperature": self.temperature, "name": self.name}


@keras.saving.register_keras_serializable(package="edge-digits")
def accuracy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether the class was answered, (n,), for such targets."""
    return keras.metrics.sparse_categorical_accuracy(targets[:, 0], logits)
