"""What a network has learned and what it looks at: filters, feature maps, attributions, and a map of its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from runtime.values import Image
from train.inputs import Floats
from train.networks import SpaceToDepth

STEPS = 256
"""Steps of the integral along which gradients are gathered."""

_POSITIVE, _NEGATIVE = np.array([47, 99, 224]), np.array([246, 130, 59])  # BGR: orange, blue


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """How much each pixel speaks for an answer.

    Attributes:
        label: index of the answer.
        values: float64 (28, 28); their sum is the answer's logit less that of a black picture.
        gap: what the sum of ``values`` lacks of that difference, as a share of it: how coarse the integral is.
    """

    label: int
    values: Floats
    gap: float


def first_filters(model: keras.Model) -> Floats:
    """The kernels of the first convolution as they lie on the pixels: float32 (filters, height, width, channels).

    Behind space-to-depth, a kernel of 3×3 positions of 2×2 pixels each is shown as the 6×6 pixels that it covers.
    """
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernels = np.asarray(convolution.get_weights()[0]).transpose(3, 0, 1, 2)
    if any(isinstance(layer, SpaceToDepth) for layer in model.layers):
        count, height, width, channels = kernels.shape
        blocks = kernels.reshape(count, height, width, 2, 2, channels // 4)
        kernels = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(count, 2 * height, 2 * width, channels // 4)
    return kernels


def feature_maps(model: keras.Model, image: Image) -> dict[str, Floats]:
    """What each activation layer makes of a picture, uint8 (28, 28): name to float32 (height, width, channels)."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU | keras.layers.Activation)]
    layers = layers or [
        layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.MaxPooling2D)
    ]
    maps = keras.Model(model.inputs, [layer.output for layer in layers]).predict_on_batch(image[None, ..., None])
    maps = maps if isinstance(maps, list) else [maps]
    shapes = [each[0] for each in maps if each.ndim == 4]
    return {f"{i}: {each.shape[0]}×{each.shape[1]}, {each.shape[2]} maps": each for i, each in enumerate(shapes, 1)}


def integrated_gradients(model: keras.Model, image: Image, label: int, steps: int = STEPS) -> Attribution:
    """Attribute an answer to pixels, against a black picture.

    M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", 2017; midpoint rule.

    Args:
        model: (n, 28, 28, 1) 0–255 -> logits.
        image: uint8 (28, 28).
        label: index of the answer.
        steps: of the integral.
    """
    pixels = image.astype(np.float32)[..., None]
    shares = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    path = tf.constant(shares[:, None, None, None] * pixels)
    with tf.GradientTape() as tape:
        tape.watch(path)
        answers = model(path, training=False)[:, label]
    gradients = np.asarray(tape.gradient(answers, path), np.float64)
    values = (gradients.mean(axis=0) * pixels)[..., 0]
    ends = np.asarray(model.predict_on_batch(np.stack([np.zeros_like(pixels), pixels])))[:, label]
    difference = float(ends[1] - ends[0])
    gap = abs(float(values.sum()) - difference) / max(abs(difference), 1e-6)
    return Attribution(label, values, gap)


def embedding(model: keras.Model, images: Image) -> Floats:
    """What the last layer is given: float32 (n, features), for uint8 (n, 28, 28)."""
    last = model.layers[-1]
    features = keras.Model(model.inputs, last.input)
    return np.concatenate(
        [np.asarray(features.predict_on_batch(images[i : i + 500, ..., None])) for i in range(0, len(images), 500)]
    )


def embedding_map(features: Floats, seed: int = 0) -> Floats:
    """Places on a plane that keep neighbors together: float32 (n, 2), by t-SNE (L. van der Maaten, G. Hinton, 2008)."""
    perplexity = min(30.0, (len(features) - 1) / 3)
    # Where nothing varies there are no principal components, and scikit-learn ends the process over them.
    init = "pca" if np.ptp(features, axis=0).any() else "random"
    with threadpool_limits(1):  # more threads than free cores make it slower by far
        return TSNE(init=init, perplexity=perplexity, random_state=seed).fit_transform(features)


def signed_picture(values: npt.NDArray[Any], largest: float | None = None) -> Image:
    """Values above and below 0 as orange and blue on white: float (h, w) -> uint8 BGR (h, w, 3)."""
    scaled = np.clip(values / max(largest or float(np.abs(values).max()), 1e-12), -1, 1)[..., None]
    color = np.where(scaled > 0, _POSITIVE, _NEGATIVE)
    return (255 + np.abs(scaled) * (color - 255.0)).astype(np.uint8)


def filter_sheet(filters: Floats, columns: int, cell: int = 48) -> Image:
    """Filters (n, h, w, channels) beside each other, channels summed where there are several; uint8 BGR."""
    flat = filters.sum(axis=3)
    largest = float(np.abs(flat).max())
    return _sheet([_enlarged(signed_picture(each, largest), cell) for each in flat], columns, 255)


def map_sheet(maps: Floats, columns: int, cell: int = 56) -> Image:
    """Feature maps (h, w, channels) beside each other, each stretched to its own range; uint8 BGR."""
    cells = []
    for each in np.moveaxis(maps, 2, 0):
        gray = (255 * each / max(float(each.max()), 1e-12)).clip(0, 255).astype(np.uint8)
        cells.append(_enlarged(cv2.applyColorMap(gray, cv2.COLORMAP_VIRIDIS), cell))
    return _sheet(cells, columns, 0)


def overlay(image: Image, attribution: Attribution, side: int = 280) -> Image:
    """Attributions over the outline of the digit: uint8 BGR (side, side, 3)."""
    enlarged = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    values = cv2.resize(attribution.values, (side, side), interpolation=cv2.INTER_LINEAR)
    picture = signed_picture(values, float(np.quantile(np.abs(attribution.values), 0.995)))
    outlines = cv2.findContours((enlarged > 127).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    return cv2.drawContours(picture, outlines, -1, (90, 90, 90), 1, cv2.LINE_AA)


def _enlarged(picture: Image, side: int) -> Image:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_NEAREST)


def _sheet(cells: list[Image], columns: int, background: int) -> Image:
    framed = [cv2.copyMakeBorder(cell, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(128, 128, 128)) for cell in cells]
    while len(framed) % columns:
        framed.append(np.full_like(framed[0], background))
    return np.vstack([np.hstack(framed[i : i + columns]) for i in range(0, len(framed), columns)])
