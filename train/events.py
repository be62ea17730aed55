"""Figures of each epoch for TensorBoard: ``tensorboard --logdir runs``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf


class EventWriter:
    """Writes the figures of each epoch, so that TensorBoard draws them while training goes on."""

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``, made with the first figures."""
        self._folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    def __call__(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an epoch, counted from 1."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        with self._writer.as_default(step=epoch):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._writer.flush()
