"""Train the network of ``runtime.spotter``: what it is to answer, how far off it is, and the file that OpenCV runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import onnx
import tensorflow as tf
from keras import layers
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm

from runtime.boxes import areas, shared_areas
from runtime.errors import DataError
from runtime.spotter import BOTTOM, CELL, DIGIT, LEFT, MIDDLE, OWNED, digit_boxes
from runtime.values import Image
from train.spotter import SpotterSettings
from train.strips import UNKNOWN, Strip, goes_under, join

_SIDES = (64, 96, 160, 240, 320)
"""Sides of the windows that strips are trained in; of a larger strip a part."""

_AREA = 48 * 64 * 96
"""Pixels in a step."""


class Pair(NamedTuple):
    """Two strips that are to be joined, and the seed to do it with."""

    first: Strip
    second: Strip
    seed: int


Sample: TypeAlias = Strip | Pair


def network(width: int) -> keras.Model:
    """The network, ``width`` channels wide: (n, h, w, 1) 0–1 to (n, h / CELL, w / CELL, 8), of any size in cells."""
    inputs = keras.Input((None, None, 1), name="ink")
    x = inputs
    for filters, stride, reach in (
        (width // 2, 2, 1),
        (width, 2, 1),
        (width, 1, 1),
        (width, 1, 2),
        (width, 1, 4),
        (width, 1, 2),
    ):
        # Padded by hand: the same on both sides, as OpenCV's convolutions are.
        x = layers.ZeroPadding2D(reach)(x)
        x = layers.Conv2D(filters, 3, stride, dilation_rate=reach, use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.98)(x))
    return keras.Model(inputs, layers.Conv2D(BOTTOM + 4, 1, name="answers")(x), name="spotter")


def to_onnx(model: keras.Model, note: str) -> onnx.ModelProto:
    """The network as OpenCV runs it: (1, 1, height, width) to (1, 8, height / CELL, width / CELL), of any size.

    Written node by node: tf2onnx turns dilated convolutions of an unknown width into reshapes that OpenCV cannot do.

    Args:
        model: of ``network``.
        note: how it was made.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    name = "ink"
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    normalizations = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for place, layer in enumerate(convolutions):
        kernel = np.asarray(layer.get_weights()[0], np.float32).transpose(3, 2, 0, 1)
        last = place == len(normalizations)
        if last:
            bias = layer.get_weights()[1]
        else:
            gamma, beta, mean, variance = normalizations[place].get_weights()
            scale = gamma / np.sqrt(variance + normalizations[place].epsilon)
            kernel, bias = kernel * scale[:, None, None, None], beta - mean * scale
        weights += [
            numpy_helper.from_array(np.ascontiguousarray(kernel, np.float32), f"kernel{place}"),
            numpy_helper.from_array(np.asarray(bias, np.float32), f"bias{place}"),
        ]
        (reach,) = set(layer.dilation_rate)
        out = "answers" if last else f"convolved{place}"
        pads = [0 if last else reach] * 4
        nodes.append(
            helper.make_node(
                "Conv",
                [name, f"kernel{place}", f"bias{place}"],
                [out],
                kernel_shape=list(layer.kernel_size),
                strides=list(layer.strides),
                dilations=[reach, reach],
                pads=pads,
            )
        )
        name = out
        if not last:
            name = f"features{place}"
            nodes.append(helper.make_node("Relu", [out], [name]))
    ink = helper.make_tensor_value_info("ink", TensorProto.FLOAT, [1, 1, "height", "width"])
    answers = helper.make_tensor_value_info("answers", TensorProto.FLOAT, [1, BOTTOM + 4, "rows", "columns"])
    graph = helper.make_graph(nodes, "spotter", [ink], [answers], weights)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="edge-digits", doc_string=note
    )
    made.ir_version = 8
    onnx.checker.check_model(made, full_check=True)
    return made


def targets(strip: Strip) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What the network is to answer, and how much each of it counts.

    Returns:
        float32 (rows, columns, 8), as the network answers but with 0 or 1 for logits; and float32 (rows, columns, 4),
        weights of the middle, the box, the owner and the vote.
    """
    rows, columns = strip.owners.shape
    wanted = np.zeros((rows, columns, BOTTOM + 4), np.float32)
    weights = np.zeros((rows, columns, 4), np.float32)
    weights[..., 0] = 1.0
    weights[..., 2] = strip.owners != UNKNOWN
    wanted[..., OWNED] = strip.owners >= 0
    x = np.arange(columns, dtype=np.float32) * CELL + CELL / 2
    y = (np.arange(rows, dtype=np.float32) * CELL + CELL / 2)[:, None]
    nearest = np.full((rows, columns), np.inf, np.float32)
    for number, (box, sure) in enumerate(zip(strip.boxes, strip.sure, strict=True)):
        left, top, right, bottom = box
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        reach = 1.0 if sure else 2.5
        reach_x, reach_y = (reach * max(3.0, 0.12 * side) for side in (right - left, bottom - top))
        off = np.maximum(np.abs(x - middle_x) / reach_x, np.abs(y - middle_y) / reach_y)
        here = (off <= 1) & (off < nearest)
        nearest[here] = off[here]
        if sure:
            sides = np.broadcast_arrays(x - left, y - top, right - x, bottom - y)
            wanted[here, MIDDLE] = 1.0
            wanted[here, LEFT : BOTTOM + 1] = np.stack(sides, -1)[here] / DIGIT
            weights[here, :2] = 1.0
        else:
            weights[here, :2] = 0.0
            wanted[here, MIDDLE] = 0.0
        inked = strip.owners == number
        off_x, off_y = np.broadcast_arrays(middle_x - x, middle_y - y)
        wanted[inked, OWNED + 1 :] = np.stack([off_x, off_y], -1)[inked] / DIGIT
        weights[inked, 3] = 1.0
    return wanted, weights


def loss_of(wanted: tf.Tensor, weights: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
    """Mean loss of a batch: focal for middles (Lin et al., 2017), of overlap for boxes (Yu et al., 2016)."""
    middle = tf.nn.sigmoid_cross_entropy_with_logits(wanted[..., MIDDLE], answers[..., MIDDLE])
    sure = tf.sigmoid(answers[..., MIDDLE])
    off = tf.abs(wanted[..., MIDDLE] - sure)
    found = tf.reduce_sum(wanted[..., MIDDLE] * weights[..., 0]) + 1.0
    total = tf.reduce_sum(weights[..., 0] * off**2 * middle) / found
    box, true = tf.nn.relu(answers[..., LEFT : BOTTOM + 1]), wanted[..., LEFT : BOTTOM + 1]
    shared = tf.minimum(box, true)
    inter = (shared[..., 0] + shared[..., 2]) * (shared[..., 1] + shared[..., 3])
    areas = [(sides[..., 0] + sides[..., 2]) * (sides[..., 1] + sides[..., 3]) for sides in (box, true)]
    overlap = inter / (areas[0] + areas[1] - inter + 1e-6)
    apart = tf.reduce_sum(tf.abs(answers[..., LEFT : BOTTOM + 1] - true), -1)
    total += tf.reduce_sum(weights[..., 1] * (1.0 - overlap + 0.5 * apart)) / found
    owned = tf.nn.sigmoid_cross_entropy_with_logits(wanted[..., OWNED], answers[..., OWNED])
    total += 0.5 * tf.reduce_sum(weights[..., 2] * owned) / (tf.reduce_sum(weights[..., 2]) + 1.0)
    votes = tf.reduce_sum(tf.abs(answers[..., OWNED + 1 :] - wanted[..., OWNED + 1 :]), -1)
    return total + 2.0 * tf.reduce_sum(weights[..., 3] * votes) / (tf.reduce_sum(weights[..., 3]) + 1.0)


def train(
    strips: Sequence[Strip], settings: SpotterSettings, watch: Callable[[int, float], None] | None = None
) -> keras.Model:
    """Train the network.

    Args:
        strips: to learn from.
        settings: how.
        watch: is told each epoch's number, from 1, and its mean loss.

    Raises:
        DataError: no strip that the runtime would ask about has a digit, or no frame has two to join.
    """
    if not any(strip.doubtful and len(strip.boxes) for strip in strips) or not _frames_to_join(strips):
        raise DataError("the frames hold no ink that may be several digits; render more: --frames")
    keras.utils.set_random_seed(settings.seed)
    model = network(settings.width)
    steps = settings.epochs * len(_batches_of(_epoch(strips, settings, 0), np.random.default_rng(0)))
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 100,
        steps - steps // 20,
        warmup_target=settings.learning_rate,
        warmup_steps=steps // 20,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=0.01,
        use_ema=True,
        ema_momentum=1 - 1 / max(0.03 * steps, 1),
        ema_overwrite_frequency=None,
    )
    optimizer.build(model.trainable_variables)

    def step(pixels: tf.Tensor, wanted: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(wanted, weights, model(tf.cast(pixels, tf.float32) / 255.0, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    # Traced once for each size of window: one trace for all of them loses the sizes of dilated convolutions.
    traced: dict[tuple[int, ...], Any] = {}
    with tqdm(total=steps, unit="step", desc="spotter", mininterval=1) as bar:
        for epoch in range(settings.epochs):
            losses = []
            for pixels, wanted, weights in _ahead(strips, settings, epoch):
                run = traced.setdefault(pixels.shape, tf.function(step))
                losses.append(float(run(*(tf.constant(each) for each in (pixels, wanted, weights)))))
                bar.update(1)
            bar.set_postfix_str(f"loss {np.mean(losses):.4f}")
            if watch:
                watch(epoch + 1, float(np.mean(losses)))
    optimizer.finalize_variable_values(model.trainable_variables)
    return model


def _epoch(strips: Sequence[Strip], settings: SpotterSettings, epoch: int) -> list[Sample]:
    """What an epoch is made of: strips, and pairs of strips to be joined, with a seed."""
    rng = np.random.default_rng((settings.seed, epoch))
    held = [strip for strip in strips if strip.doubtful and len(strip.boxes)]
    empty = [strip for strip in strips if strip.doubtful and not len(strip.boxes)]
    frames = _frames_to_join(strips)
    pairs: list[Pair] = []
    for _ in range(round(settings.joined * len(held))):
        own = frames[int(rng.integers(len(frames)))]
        with_digits = [strip for strip in own if len(strip.boxes)]
        first = with_digits[int(rng.integers(len(with_digits)))]
        # Mostly digits to digits; now and then other ink, on either side.
        others = own if rng.random() < _OTHERS else with_digits
        second = others[int(rng.integers(len(others)))]
        if rng.random() < 0.5:
            first, second = second, first
        pairs.append(Pair(first, second, int(rng.integers(2**31))))
    some = rng.permutation(len(empty))[: round(settings.empty * len(empty))].tolist()
    return [*held, *(empty[i] for i in some), *pairs]


def _frames_to_join(strips: Sequence[Strip]) -> list[list[Strip]]:
    """The strips of each frame that has some to join; those of one number, of whichever set, are one frame here."""
    of_frame: dict[int, list[Strip]] = {}
    for strip in strips:
        of_frame.setdefault(strip.frame, []).append(strip)
    return [each for each in of_frame.values() if len(each) > 1 and any(len(strip.boxes) for strip in each)]


_OTHERS = 0.15
"""Share of joined strips whose second may be ink of no digit."""


def _size_of(each: Sample) -> tuple[int, int]:
    """A window's sides that hold it, about."""
    if isinstance(each, Strip):
        height, width = each.pixels.shape
    else:
        (h0, w0), (h1, w1) = each.first.pixels.shape, each.second.pixels.shape
        height, width = (max(h0, h1) + 12, w0 + w1 - 16)
        if goes_under(np.random.default_rng(each.seed)):
            height, width = h0 + h1 - 16, max(w0, w1) + 12
    rows, columns = (next((side for side in _SIDES if side >= length), _SIDES[-1]) for length in (height, width))
    return rows, columns


def _batches_of(epoch: Sequence[Sample], rng: np.random.Generator) -> list[tuple[tuple[int, int], list[Sample]]]:
    """Batches of one window each, in random order; a window's last is filled up with its first."""
    of_size: dict[tuple[int, int], list[Any]] = {}
    for i in rng.permutation(len(epoch)).tolist():
        of_size.setdefault(_size_of(epoch[i]), []).append(epoch[i])
    batches = []
    for size, members in of_size.items():
        count = max(_AREA // (size[0] * size[1]), 2)
        filled = [members[i % len(members)] for i in range(-(-len(members) // count) * count)]
        batches += [(size, filled[i : i + count]) for i in range(0, len(filled), count)]
    return [batches[i] for i in rng.permutation(len(batches)).tolist()]


def _ahead(
    strips: Sequence[Strip], settings: SpotterSettings, epoch: int
) -> Iterator[tuple[Image, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """An epoch's batches, each made while the one before is learned."""
    rng = np.random.default_rng((settings.seed, epoch, 1))
    batches = _batches_of(_epoch(strips, settings, epoch), rng)
    seeds = rng.integers(2**31, size=len(batches)).tolist()
    with ThreadPoolExecutor(1, "strips") as pool:
        coming = [pool.submit(_batch, *batches[i], seeds[i]) for i in range(min(_COMING, len(batches)))]
        for i in range(len(batches)):
            yield coming.pop(0).result()
            if i + _COMING < len(batches):
                coming.append(pool.submit(_batch, *batches[i + _COMING], seeds[i + _COMING]))


_COMING = 8
"""Batches that are made ahead."""


def _batch(
    size: tuple[int, int], members: Sequence[Sample], seed: int
) -> tuple[Image, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Pixels (b, h, w, 1), answers (b, h / CELL, w / CELL, 8) and weights (b, h / CELL, w / CELL, 4)."""
    rng = np.random.default_rng(seed)
    rows, columns = size[0] // CELL, size[1] // CELL
    pixels = np.zeros((len(members), *size, 1), np.uint8)
    wanted = np.zeros((len(members), rows, columns, BOTTOM + 4), np.float32)
    weights = np.zeros((len(members), rows, columns, 4), np.float32)
    for i, each in enumerate(members):
        strip = each if isinstance(each, Strip) else join(each.first, each.second, np.random.default_rng(each.seed))
        answer, weight = targets(strip)
        # A strip larger than the window is seen in part: what it is cut through, nobody can say.
        tall, wide = strip.owners.shape
        y, x = (int(rng.integers(max(there - room, 0) + 1)) for there, room in ((tall, rows), (wide, columns)))
        part = np.s_[y : y + rows, x : x + columns]
        height, width = answer[part].shape[:2]
        seen = strip.pixels[y * CELL : (y + height) * CELL, x * CELL : (x + width) * CELL]
        # Other pens and lights: paler or fuller rims.
        level = (np.arange(256) / 255) ** rng.uniform(0.7, 1.4) * 255
        pixels[i, : height * CELL, : width * CELL, 0] = level.astype(np.uint8)[seen]
        wanted[i, :height, :width], weights[i, :height, :width] = answer[part], weight[part]
        weights[i, height:, :, 0] = weights[i, :, width:, 0] = 1.0
        if tall > rows or wide > columns:
            edge = np.zeros((rows, columns), bool)
            edge[:, :4] |= x > 0
            edge[:, -4:] |= x + columns < wide
            edge[:4] |= y > 0
            edge[-4:] |= y + rows < tall
            weights[i][edge] = 0.0
    return pixels, wanted, weights


def score(ask: Callable[[Image], npt.NDArray[np.float32]], strips: Sequence[Strip]) -> dict[str, float]:
    """How well digits are found.

    Args:
        ask: gives the network's answers, float32 (8, rows, columns), for a strip's pixels, uint8 (height, width).
        strips: with the truth.

    Returns:
        ``found`` and ``tight``: share of digits with a box of an intersection over union of 0.5, of 0.75; ``invented``:
        boxes of no digit, for each digit.
    """
    found = tight = invented = digits = 0
    for strip in strips:
        boxes, _ = digit_boxes(ask(strip.pixels))
        shared = shared_areas(boxes, strip.boxes)
        overlap = shared / np.maximum(areas(boxes)[:, None] + areas(strip.boxes) - shared, 1e-6)
        best = overlap.max(axis=0, initial=0)[strip.sure]
        found, tight, digits = found + int((best >= 0.5).sum()), tight + int((best >= 0.75).sum()), digits + len(best)
        invented += int((overlap.max(axis=1, initial=0) < 0.5).sum())
    return {name: n / max(digits, 1) for name, n in (("found", found), ("tight", tight), ("invented", invented))}
