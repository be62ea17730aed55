from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Literal

import keras
import numpy as np
import pytest
import tensorflow as tf

from train.crops import LabeledCrops
from train.data import Mnist
from train.epochs import CropPools
from train.fit import fit
from train.networks import NETWORKS
from train.recipes import recipe

LIMIT, EPOCHS = 15_000, 4


def bare_speed(model: str, labels: int, batch: int, steps: int = 150) -> float:
    """Pictures a second of ``train_step`` alone, fed with the same pictures."""
    network = NETWORKS[model](labels)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.AdamW(1e-3, use_ema=True), loss, metrics=["accuracy"], jit_compile=False)
    pictures = tf.random.uniform((batch, 28, 28, 1), 0, 255, tf.int32, seed=0)
    batches = tf.cast(pictures, tf.uint8), tf.random.uniform((batch,), 0, 10, tf.int32, seed=1)
    step = tf.function(network.train_step)
    for _ in range(20):
        step(batches)
    started = perf_counter()
    for _ in range(steps):
        step(batches)
    return steps * batch / (perf_counter() - started)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "digits"])
def test_training_keeps_most_of_the_speed_of_its_steps_alone(
    kind: Literal["full", "digits"], mnist: Mnist, tmp_path: Path
) -> None:
    settings, augmentation = recipe(kind, "edge")
    settings = replace(settings, epochs=EPOCHS, limit=LIMIT, epoch=replace(settings.epoch, none_pool=500))
    # Any pictures will do for crops: what counts is that they are there, to be chosen from and varied.
    some = mnist.train_images[-6000:], np.repeat(np.array([3, 10], np.uint8), 3000)
    pool = LabeledCrops(*some, (some[1] == 10).astype(np.uint8), np.arange(6000, dtype=np.int32))
    crops = CropPools(pool, pool) if kind == "full" else None
    first = bare_speed("edge", settings.epoch.labels, settings.batch)
    share = len(mnist.validation_labels) * LIMIT // len(mnist.train_labels)  # as much validation as a whole epoch has
    data = replace(
        mnist,
        validation_images=mnist.validation_images[:share],
        validation_labels=mnist.validation_labels[:share],
    )
    history = fit(data, settings, augmentation, tmp_path, crops=crops)
    bare = (first + bare_speed("edge", settings.epoch.labels, settings.batch)) / 2
    pictures = sum(settings.epoch.counts(LIMIT, crops is not None))
    # The first epoch waits for its pictures and compiles the step.
    kept = pictures / np.median([epoch["seconds"] for epoch in history["epochs"][1:]]) / bare
    print(f"{kind}: {kept:.0%} of {bare:,.0f} pictures a second, validation and checkpoints included")
    assert kept >= 0.85
