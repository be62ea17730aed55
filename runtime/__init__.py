"""The device side: frames in, readings out; NumPy, OpenCV and one interpreter, never TensorFlow.

A frame's way: ``sources`` → ``detect`` (with ``preprocess``) → ``backends`` (from a ``bundle``) → ``recognizer``
(with ``track`` and ``numbers``) → ``annotate`` → ``sinks``. What passes between them is in ``values``; ``errors`` holds
what can go wrong. The commands are ``python -m runtime.camera`` and ``python -m runtime.image``.

Importing this package loads no interpreter and opens nothing; its names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.backends import Classifier, load_classifier
    from runtime.capture import SourceSettings
    from runtime.errors import (
        BackendError,
        BundleError,
        DataError,
        EdgeDigitsError,
        SinkError,
        SourceError,
        UsageError,
    )
    from runtime.recognizer import Recognizer, RecognizerSettings
    from runtime.sources import FrameSource, open_source
    from runtime.values import Box, Crop, Frame, Number, Prediction, Reading, Result

_HOME = {
    "backends": ("Classifier", "load_classifier"),
    "capture": ("SourceSettings",),
    "errors": (
        "BackendError",
        "BundleError",
        "DataError",
        "EdgeDigitsError",
        "SinkError",
        "SourceError",
        "UsageError",
    ),
    "recognizer": ("Recognizer", "RecognizerSettings"),
    "sources": ("FrameSource", "open_source"),
    "values": ("Box", "Crop", "Frame", "Number", "Prediction", "Reading", "Result"),
}

__all__ = [
    "BackendError",
    "Box",
    "BundleError",
    "Classifier",
    "Crop",
    "DataError",
    "EdgeDigitsError",
    "Frame",
    "FrameSource",
    "Number",
    "Prediction",
    "Reading",
    "Recognizer",
    "RecognizerSettings",
    "Result",
    "SinkError",
    "SourceError",
    "SourceSettings",
    "UsageError",
    "load_classifier",
    "open_source",
]


def __getattr__(name: str) -> object:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"runtime.{module}"), name)
    raise AttributeError(f"module 'runtime' has no attribute {name!r}")
