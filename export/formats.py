"""The files that an export can make, by the names of their artifacts. Importing this loads no converter."""

from __future__ import annotations

from runtime.errors import UsageError

FORMATS = {
    "litert-int8": "TFLite, weights and activations int8, in and out too",
    "litert-dynamic": "TFLite, weights int8, activations quantized as they come, no calibration",
    "litert-float16": "TFLite, weights float16, arithmetic float32",
    "litert-float32": "TFLite, not quantized",
    "onnx-float32": "ONNX, not quantized, one image at a time",
    "onnx-float32-batch": "ONNX, not quantized, any number of images at once",
    "onnx-int8": "ONNX, QDQ: weights int8, activations uint8",
}
"""What can be made: artifact name, which is backend and precision, and what it is."""

DEFAULT_FORMATS = ("litert-int8", "litert-float32", "onnx-float32", "onnx-int8")
"""What a bundle ships: one quantized and one exact file for each interpreter."""


def parse_formats(text: str) -> tuple[str, ...]:
    """Names from a list with commas, or ``all``, in the order of ``FORMATS``.

    Raises:
        UsageError: one of them is unknown, or there is none.
    """
    if text.strip() == "all":
        return tuple(FORMATS)
    asked = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(asked - set(FORMATS))
    if unknown or not asked:
        what = f"no format {unknown[0]!r}" if unknown else "no format named"
        raise UsageError(f"{what}; --formats takes all, or a list such as litert-int8,onnx-float32 of {_names()}")
    return tuple(name for name in FORMATS if name in asked)


def _names() -> str:
    return ", ".join(FORMATS)
