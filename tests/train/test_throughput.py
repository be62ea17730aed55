from __future__ import annotations

import multiprocessing
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
from train.fit import GLANCE, fit
from train.networks import NETWORKS
from train.quiet import load_tensorflow
from train.recipes import recipe

EPOCHS = 3


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


def measure(kind: Literal["full", "digits"], mnist: Mnist, folder: Path) -> float:
    """Speed of whole epochs, as a share of that of their steps alone; in a process that has loaded no TensorFlow."""
    load_tensorflow(training=True)
    settings, augmentation = recipe(kind, "edge")
    settings = replace(settings, epochs=EPOCHS, epoch=replace(settings.epoch, none_pool=500))
    # Any pictures will do for crops: what counts is that they are there, to be chosen from and varied.
    some = mnist.train_images[-GLANCE:], np.repeat(np.array([3, 10], np.uint8), GLANCE // 2)
    pool = LabeledCrops(*some, (some[1] == 10).astype(np.uint8), np.arange(GLANCE, dtype=np.int32))
    crops = CropPools(pool, pool) if kind == "full" else None
    first = bare_speed("edge", settings.epoch.labels, settings.batch)
    history = fit(mnist, settings, augmentation, folder, crops=crops)
    bare = (first + bare_speed("edge", settings.epoch.labels, settings.batch)) / 2
    pictures = sum(settings.epoch.counts(len(mnist.train_labels), crops is not None))
    # The first epoch waits for its pictures and compiles the step.
    kept = pictures / np.median([epoch["seconds"] for epoch in history["epochs"][1:]]) / bare
    print(f"{kind}: {kept:.0%} of {bare:,.0f} pictures a second, validation and checkpoints included", flush=True)
    return float(kept)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "digits"])
def test_training_keeps_most_of_the_speed_of_its_steps_alone(
    kind: Literal["full", "digits"], mnist: Mnist, tmp_path: Path
) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as process:
        assert process.apply(measure, (kind, mnist, tmp_path)) >= 0.85
