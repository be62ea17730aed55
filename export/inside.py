"""What can be told of the quantized files of a bundle by looking into them, beside the float files."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence

from export.layers import LayerError, layer_errors
from export.repairs import Repair, repairs
from runtime.bundle import Bundle
from runtime.values import Image

IMAGES = 1_000
"""Images that errors are measured on; they are means over thousands of values in each."""

log = logging.getLogger(__name__)


def by_layer(bundle: Bundle, names: Sequence[str], images: Image) -> tuple[list[LayerError], list[Repair]]:
    """Errors of the int8 LiteRT file and repairs of the int8 ONNX file, where the bundle holds the float file too.

    Files of other operators than their float file are left out.

    Args:
        bundle: whose files.
        names: of the artifacts to look at.
        images: uint8 (n, 28, 28).
    """
    contents = {each.name: bundle.read(each) for each in bundle.manifest.artifacts if each.name in names}
    errors: list[LayerError] = []
    mended: list[Repair] = []
    try:
        if {"litert-float32", "litert-int8"} <= set(contents):
            errors = layer_errors(contents["litert-float32"], contents["litert-int8"], images)
        if {"onnx-float32", "onnx-int8"} <= set(contents) and importlib.util.find_spec("onnx") is not None:
            mended = repairs(contents["onnx-float32"], contents["onnx-int8"], images)
    except ValueError as error:  # not the same operators: nothing to lay side by side, which is no fault by itself
        log.warning("no comparison layer by layer: %s", error)
    return errors, mended


def weight_breaches(errors: Sequence[LayerError], mended: Sequence[Repair], limit: float) -> list[str]:
    """A line for each layer whose weights are further from the float ones than rounding can leave them.

    Args:
        errors: of the int8 LiteRT file.
        mended: of the int8 ONNX file.
        limit: in quantization steps.
    """
    files: list[tuple[str, Sequence[LayerError | Repair]]] = [("litert-int8", errors), ("onnx-int8", mended)]
    return [
        f"weights: {name}: weights of layer {each.layer} are up to {each.weights:.2f} steps from the float ones, "
        f"limit {limit}: cast, not rounded"
        for name, layers in files
        for each in layers
        if each.weights > limit
    ]
