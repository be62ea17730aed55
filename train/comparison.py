"""What models cost and what they are worth: parameters, work, bytes, latency and accuracy, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from runtime.backends import ArtifactClassifier, make_classifier
from runtime.bundle import Bundle
from runtime.preprocess import FIELD
from runtime.quiet import native_stderr_silent
from train.inputs import keras_model
from train.plots import BLUE, ORANGE, QUIET, svg

_CALLS, _WARM_UP = 1_000, 100


@dataclass(frozen=True, slots=True)
class Work:
    """What a digit costs, whatever runs it.

    Attributes:
        parameters: of the network.
        multiply_accumulates: of convolutions and dense layers, a digit.
        weight_bytes: of the weights in int8.
    """

    parameters: int
    multiply_accumulates: int
    weight_bytes: int


def work_of(bundle: Bundle) -> Work:
    """Count a bundle's network, from its Keras file.

    Raises:
        BundleError: the bundle holds none.
        DataError: it is damaged.
    """
    path = keras_model(str(bundle.folder))
    from train.quiet import load_tensorflow

    load_tensorflow()
    from train.networks import load_model, multiply_accumulates, weight_bytes

    model = load_model(path)
    return Work(model.count_params(), multiply_accumulates(model), weight_bytes(model))


def artifact_rows(known: Sequence[tuple[Bundle, Work]]) -> list[list[str]]:
    """A row for each artifact of each bundle; latency is measured."""
    rows = [
        [
            "artifact",
            "MNIST test (95 %)",
            "parameters",
            "million MAC",
            "int8 weights",
            "file",
            "latency, µs",
        ]
    ]
    for (bundle, work), name in zip(known, _names(known), strict=True):
        for artifact in bundle.manifest.artifacts:
            with native_stderr_silent():  # LiteRT announces its delegate
                classifier = make_classifier(bundle, artifact)
            rows.append(
                [
                    f"{name} {artifact.name}",
                    _accuracy(artifact.metrics),
                    f"{work.parameters:,}",
                    f"{work.multiply_accumulates / 1e6:.2f}",
                    f"{work.weight_bytes / 1000:.1f} kB",
                    f"{artifact.bytes / 1000:.1f} kB",
                    f"{median_microseconds(classifier):.1f}",
                ]
            )
    return rows


def _names(known: Sequence[tuple[Bundle, Work]]) -> list[str]:
    """Names of bundles; of two with one name, where they are."""
    names = [bundle.manifest.name for bundle, _ in known]
    return [
        "/".join(bundle.folder.resolve().parts[-2:]) if names.count(name) > 1 else name
        for (bundle, _), name in zip(known, names, strict=True)
    ]


def median_microseconds(classifier: ArtifactClassifier) -> float:
    """The median time of one digit, one thread."""
    crop = np.random.default_rng(0).integers(0, 256, (1, FIELD, FIELD), dtype=np.uint8)
    times = []
    for _ in range(_WARM_UP + _CALLS):
        started = perf_counter()
        classifier.logits(crop)
        times.append(perf_counter() - started)
    return 1e6 * float(np.median(times[_WARM_UP:]))


def comparison_plot(known: Sequence[tuple[Bundle, Work]]) -> str:
    """Errors against bytes of the weights, a point for each bundle's int8 file."""

    def draw(axes: Axes) -> None:
        for (bundle, work), name in zip(known, _names(known), strict=True):
            artifact = next((each for each in bundle.manifest.artifacts if each.precision == "int8"), None)
            metric = artifact.metrics.get("mnist_test") if artifact else None
            if not metric:
                continue
            low, high = (100 * (1 - end) for end in reversed(metric["interval95"]))
            x, y = work.weight_bytes / 1000, 100 * (1 - metric["accuracy"])
            axes.plot([x, x], [low, high], color=QUIET, linewidth=1.2)
            axes.plot([x], [y], "o", color=BLUE)
            axes.annotate(name, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("int8 weights, kB")
        axes.set_ylabel("errors, % (line: 95 %)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.margins(x=0.15)  # the last point's name takes room
        axes.grid()

    return svg("comparison", draw, 3.2)


def curve_plots(epochs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Training curves: caption to SVG."""
    numbers = range(1, len(epochs) + 1)

    def draw_loss(axes: Axes) -> None:
        axes.plot(numbers, [each["loss"] for each in epochs], color=ORANGE, label="varied training pictures")
        axes.plot(numbers, [each["validation_loss"] for each in epochs], color=BLUE, label="validation digits")
        axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy, nats")
        axes.grid()
        axes.legend(frameon=False, fontsize=8)

    def draw_errors(axes: Axes) -> None:
        errors = [100 * (1 - each["validation_accuracy"]) for each in epochs]
        axes.plot(numbers, [100 * (1 - each["accuracy"]) for each in epochs], color=ORANGE, label="training")
        axes.plot(numbers, errors, color=BLUE, label="validation")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("epoch")
        axes.set_ylabel("errors, %")
        axes.grid()
        axes.legend(frameon=False, fontsize=8)

    return {"Loss": svg("loss-curve", draw_loss, 2.8), "Errors": svg("error-curve", draw_errors, 2.8)}


def _accuracy(metrics: Any) -> str:
    metric = metrics.get("mnist_test")
    if not metric:
        return "–"
    low, high = metric["interval95"]
    return f"{100 * metric['accuracy']:.2f} % ({100 * low:.2f}–{100 * high:.2f} %)"
