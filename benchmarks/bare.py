"""An interpreter without this project around it: what the classifiers are held against."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.backends import INTERPRETERS
from runtime.bundle import Artifact
from runtime.values import Image


@dataclass(frozen=True, slots=True)
class Bare:
    """The shortest way to an answer.

    Attributes:
        invoke: runs the network once more on what was set last; for ONNX Runtime with input and output bound.
        call: one crop, uint8 (1, 28, 28), converted, set, invoked and got: the logits as stored.
        kernels: what computes: ``XNNPACK``, ``TFLite`` (reference and optimized kernels) or ``MLAS``.
    """

    invoke: Callable[[], object]
    call: Callable[[Image], npt.NDArray[Any]]
    kernels: str


def make_bare(artifact: Artifact, content: bytes, interpreter: str, threads: int) -> Bare:
    """The interpreter of an artifact, with the options that the runtime gives it.

    Args:
        artifact: what ``content`` is, with a batch of one.
        content: the file.
        interpreter: ``litert``, ``tflite-runtime`` or ``onnxruntime``.
        threads: of its kernels.
    """
    shape, dtype = tuple(n or 1 for n in artifact.input.shape), np.dtype(artifact.input.dtype)

    def stored(crop: Image) -> npt.NDArray[Any]:
        pixels = crop.reshape(shape)
        return (pixels ^ 0x80).view(np.int8) if dtype == np.int8 else pixels.astype(dtype)

    if artifact.backend == "onnx":
        return _onnx(content, stored, threads)
    package = importlib.import_module(INTERPRETERS[interpreter][0])
    lite = package.Interpreter(model_content=content, num_threads=threads)
    lite.allocate_tensors()
    source, sink = lite.get_input_details()[0]["index"], lite.get_output_details()[0]["index"]

    def call(crop: Image) -> npt.NDArray[Any]:
        lite.set_tensor(source, stored(crop))
        lite.invoke()
        answer: npt.NDArray[Any] = lite.get_tensor(sink)
        return answer

    delegated = any(each["op_name"] == "DELEGATE" for each in lite._get_ops_details())
    return Bare(lite.invoke, call, "XNNPACK" if delegated else "TFLite")


def _onnx(content: bytes, stored: Callable[[Image], npt.NDArray[Any]], threads: int) -> Bare:
    package = importlib.import_module("onnxruntime")
    options = package.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = package.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name, outputs = session.get_inputs()[0].name, [session.get_outputs()[0].name]
    binding = session.io_binding()
    binding.bind_cpu_input(name, stored(np.zeros((1, 28, 28), np.uint8)))
    binding.bind_output(outputs[0])

    def call(crop: Image) -> npt.NDArray[Any]:
        answer: npt.NDArray[Any] = session.run(outputs, {name: stored(crop)})[0]
        return answer

    return Bare(lambda: session.run_with_iobinding(binding), call, "MLAS")
