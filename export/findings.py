"""What ``verify`` asks and what it finds: values that the report shows and knows nothing of how they were made."""

from __future__ import annotations

from dataclasses import dataclass

from export.layers import LayerError
from export.limits import LimitSet
from export.parity import Parity, Spread
from export.repairs import Repair
from export.replay import Replay
from export.samples import InputSet
from runtime.bundle import Bundle
from runtime.values import Image


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """An artifact against the float model on one input set.

    Attributes:
        images: name of the set.
        parity: labels, accuracy, bound and breaches.
        logits: largest difference of each image's logits.
        steps: the same in quantization steps; None where the logits are not quantized.
        probability: largest difference of each image's probabilities.
        not_finite: images with a logit that is no number.
    """

    images: str
    parity: Parity
    logits: Spread | None
    steps: Spread | None
    probability: Spread | None
    not_finite: int


@dataclass(frozen=True, slots=True, eq=False)
class KernelComparison:
    """The same network by two interpreters, or by two sets of kernels.

    Attributes:
        name: what was run.
        against: what it should answer like.
        count: images.
        flips: images with another label.
        logits: largest difference of each image's logits.
        steps: the same in quantization steps; None where the logits are not quantized.
        breaches: a line for each limit that is broken.
    """

    name: str
    against: str
    count: int
    flips: int
    logits: Spread | None
    steps: Spread | None
    breaches: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """An image that some artifact labels otherwise than the float model.

    Attributes:
        images: name of the set.
        index: of the image in it.
        pixels: uint8 (28, 28).
        truth: what it is.
        reference: label and confidence of the float model.
        answers: label and confidence of each artifact, by name.
    """

    images: str
    index: int
    pixels: Image
    truth: str
    reference: tuple[str, float]
    answers: dict[str, tuple[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """All that was found out about a bundle.

    Attributes:
        bundle: which.
        reference: what the artifacts were compared with: ``keras`` or ``onnx``.
        limits: what they were held to.
        sets: what they were asked.
        comparisons: each artifact on each set.
        kernels: other interpreters and kernels.
        flips: each image that an artifact labels otherwise, of every set.
        replays: each artifact on a camera's frames.
        layers: the error of the int8 LiteRT file by layer; empty where the bundle has not both files.
        repairs: what each layer of the int8 ONNX file, kept in float, would change; empty also where no ``onnx`` is.
        breaches: a line for each limit that is broken; empty where the bundle may ship.
        causes: for artifacts that broke one, a line that says what may be wrong, where a known fault would do it.
    """

    bundle: Bundle
    reference: str
    limits: LimitSet
    sets: tuple[InputSet, ...]
    comparisons: tuple[Comparison, ...]
    kernels: tuple[KernelComparison, ...]
    flips: tuple[Flip, ...]
    replays: tuple[Replay, ...]
    layers: tuple[LayerError, ...]
    repairs: tuple[Repair, ...]
    breaches: tuple[str, ...]
    causes: tuple[str, ...]
