"""Classifiers: a verified artifact in one of two interpreters, from crops to probabilities.

Both interpreters are called one crop at a time: batching gains a few percent only, and a batch fixed at one removes
operators from the graph. An artifact made for any number of crops is given up to ``BATCH`` at once.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from runtime.bundle import Artifact, Bundle, Golden, TensorSpec, load_bundle
from runtime.errors import BackendError, BundleError, UsageError
from runtime.preprocess import FIELD
from runtime.values import Image

INTERPRETERS = {
    "litert": ("ai_edge_litert.interpreter", "pip install ai-edge-litert"),
    "tflite-runtime": (
        "tflite_runtime.interpreter",
        'pip install "edge-digits[tflite-runtime]" (Python 3.11, NumPy 1)',
    ),
}
"""Interpreters of the ``litert`` backend: module and how to install it."""

BATCH = 64
"""Crops that an artifact with a free batch is given at once."""

FLOAT_TOLERANCE = 1e-4
"""How far a float artifact may be from its golden logits, as a share of the largest of them."""

DYNAMIC_TOLERANCE = 1e-2
"""The same for precision ``dynamic``, whose activations are quantized as they come: where one lies between two steps,
each interpreter's kernels decide for themselves (XNNPACK's and TFLite's own were up to 3.4e-3 apart)."""


MAX_THREADS = 256
"""Most threads that may be asked for; LiteRT ends the whole process where the system gives it no more."""


class Classifier(Protocol):
    """Answers crops with logits over ``labels``.

    Attributes:
        labels: meaning of each output.
        accept: confidence from which a digit is read.
        unsure: confidence from which ink is shown as a possible digit.
    """

    labels: tuple[str, ...]
    accept: float
    unsure: float

    def logits(self, crops: Image) -> npt.NDArray[np.float32]:
        """Answer crops, uint8 (n, 28, 28) bright on black, with float32 (n, labels) owned by the caller."""

    def probabilities(self, crops: Image) -> npt.NDArray[np.float32]:
        """Answer crops, uint8 (n, 28, 28), with float32 (n, labels), each row summing to 1."""


class ArtifactClassifier(ABC):
    """What the classifiers of both backends share.

    Attributes:
        labels: meaning of each output.
        artifact: what runs.
        accept: confidence from which a digit is read.
        unsure: confidence from which ink is shown as a possible digit.
    """

    def __init__(self, labels: tuple[str, ...], artifact: Artifact) -> None:
        self.labels = labels
        self.artifact = artifact
        self.accept, self.unsure = artifact.accept, artifact.unsure
        self._prior = np.array([artifact.none_prior if label == "none" else 0 for label in labels], np.float32)

    def logits(self, crops: Image) -> npt.NDArray[np.float32]:
        """Answer crops with logits.

        Args:
            crops: uint8 (n, 28, 28), bright ink on black; n may be 0.

        Returns:
            float32 (n, labels), owned by the caller.

        Raises:
            UsageError: another dtype or shape.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (FIELD, FIELD):
            raise UsageError(f"crops are {crops.dtype} {crops.shape}; expected uint8 (n, {FIELD}, {FIELD})")
        out = np.empty((len(crops), len(self.labels)), np.float32)
        free, *pixel_shape = self.artifact.input.shape
        shaped = crops.reshape(len(crops), *pixel_shape)
        # int8 input is pixel − 128: flipping the top bit of the byte is just that.
        stored = (
            (shaped ^ 0x80).view(np.int8)
            if self.artifact.input.dtype == "int8"
            else shaped.astype(self.artifact.input.dtype)
        )
        batch = free or BATCH
        for i in range(0, len(crops), batch):
            out[i : i + batch] = self._invoke(stored[i : i + batch])
        spec = self.artifact.output
        if spec.dtype != "float32":
            out -= spec.zero_point
            out *= spec.scale
        return out

    def probabilities(self, crops: Image) -> npt.NDArray[np.float32]:
        """Answer crops with what a camera's ink may be.

        Args:
            crops: uint8 (n, 28, 28), bright ink on black; n may be 0.

        Returns:
            float32 (n, labels): softmax(logits / temperature), the logit of ``none`` raised by ``none_prior`` first.
        """
        return self.confidences(self.logits(crops))

    def confidences(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The probabilities, float32 (n, labels), that stand for logits of this artifact; see ``probabilities``."""
        logits = logits + self._prior
        logits /= np.float32(self.artifact.temperature)
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        np.exp(logits, out=logits)
        return logits / logits.sum(axis=1, keepdims=True)

    @abstractmethod
    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run one batch of crops, in the artifact's input shape and dtype.

        Returns:
            The answer as stored, (batch, labels), where the batch is 1 also (labels,); valid until the next call.
        """


class LiteRtClassifier(ArtifactClassifier):
    """A .tflite artifact in LiteRT or, by name, in its predecessor tflite-runtime."""

    def __init__(
        self,
        labels: tuple[str, ...],
        artifact: Artifact,
        content: bytes,
        *,
        threads: int = 1,
        interpreter: str = "litert",
        delegate: bool = True,
    ) -> None:
        """Make the interpreter.

        Args:
            labels: meaning of each output.
            artifact: what ``content`` is.
            content: the .tflite file.
            threads: for the interpreter's kernels.
            interpreter: a key of ``INTERPRETERS``.
            delegate: use XNNPACK's kernels where the interpreter has them; else TFLite's reference kernels.

        Raises:
            BackendError: the interpreter is not installed or cannot run.
            BundleError: the file is not the model that the artifact describes.
        """
        super().__init__(labels, artifact)
        module, install = INTERPRETERS[interpreter]
        if importlib.util.find_spec(module.split(".")[0]) is None:
            raise BackendError(f"{interpreter} is not installed; {install}")
        options: dict[str, Any] = {"model_content": content, "num_threads": threads}
        try:
            package = importlib.import_module(module)
            if not delegate:
                options["experimental_op_resolver_type"] = package.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            self._interpreter = package.Interpreter(**options)
            self._interpreter.allocate_tensors()
        except (ImportError, AttributeError, SystemError, RuntimeError, ValueError) as error:
            raise BackendError(
                f"{interpreter} cannot run {artifact.name}: {_first_line(error)}; reinstall it: {install}"
            ) from error
        (source,), (sink,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        _compare(artifact, "input", artifact.input, _litert_spec(source))
        _compare(artifact, "output", artifact.output, _litert_spec(sink))
        self._input, self._output = source["index"], sink["index"]

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        answer: npt.NDArray[Any] = self._interpreter.get_tensor(self._output)
        return answer


class OnnxClassifier(ArtifactClassifier):
    """An .onnx artifact in ONNX Runtime, on the CPU and without spin-waiting (which burns a core between frames)."""

    def __init__(self, labels: tuple[str, ...], artifact: Artifact, content: bytes, *, threads: int = 1) -> None:
        """Make the session.

        Args:
            labels: meaning of each output.
            artifact: what ``content`` is.
            content: the .onnx file.
            threads: for the session's kernels.

        Raises:
            BackendError: ONNX Runtime is not installed or cannot run.
            BundleError: the file is not the model that the artifact describes.
        """
        super().__init__(labels, artifact)
        install = 'pip install "edge-digits[onnx]"'
        if importlib.util.find_spec("onnxruntime") is None:
            raise BackendError(f"onnxruntime is not installed; {install}")
        try:
            package = importlib.import_module("onnxruntime")
            options = package.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = package.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors derive from Exception alone
            raise BackendError(
                f"onnxruntime cannot run {artifact.name}: {_first_line(error)}; reinstall it: {install}"
            ) from error
        (source,), (sink,) = self._session.get_inputs(), self._session.get_outputs()
        for side, spec, found in (("input", artifact.input, source), ("output", artifact.output, sink)):
            dtype = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}.get(
                found.type, found.type
            )
            # ONNX Runtime spells a free dimension as its name.
            shape = tuple(None if isinstance(n, str) else n for n in found.shape)
            _compare(artifact, side, spec, TensorSpec(shape, dtype, spec.scale, spec.zero_point))
        self._input, self._outputs = source.name, [sink.name]

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        answer: npt.NDArray[Any] = self._session.run(self._outputs, {self._input: pixels})[0]
        return answer


BACKENDS = {"litert": LiteRtClassifier, "onnx": OnnxClassifier}
"""Classifier of each backend."""


def load_classifier(
    model: str | Path = "edge",
    *,
    backend: str = "litert",
    precision: str = "int8",
    threads: int = 1,
    interpreter: str | None = None,
) -> ArtifactClassifier:
    """Load an artifact of a bundle and prove it: hashes, shapes, quantization and golden vectors.

    Args:
        model: name of a shipped bundle, or a bundle's folder.
        backend: ``litert`` or ``onnx``.
        precision: of the artifact, such as ``int8``, ``float32`` or, where the bundle has it, ``dynamic``.
        threads: for the interpreter's kernels; one is fastest for a network this small.
        interpreter: ``litert`` or ``tflite-runtime``, for the ``litert`` backend only; None is ``litert``.

    Raises:
        UsageError: an argument is none of the above.
        BundleError: the bundle is missing, altered, or answers its golden vectors otherwise than it should.
        BackendError: the interpreter is not installed or cannot run.
    """
    if backend not in BACKENDS:
        raise UsageError(f"backend is {backend}; expected one of {', '.join(BACKENDS)}")
    if interpreter is not None and backend != "litert":
        raise UsageError(f"interpreter {interpreter} goes with backend litert, not {backend}")
    if interpreter is not None and interpreter not in INTERPRETERS:
        raise UsageError(f"interpreter is {interpreter}; expected one of {', '.join(INTERPRETERS)}")
    if threads < 1:
        raise UsageError(f"threads is {threads}; expected 1 or more")
    if threads > MAX_THREADS:
        raise UsageError(f"threads is {threads}; expected at most {MAX_THREADS}: one is fastest here")
    bundle = load_bundle(model)
    artifact = bundle.artifact(backend, precision)
    classifier = make_classifier(bundle, artifact, threads=threads, interpreter=interpreter or "litert")
    check_golden(classifier, bundle.golden())
    return classifier


def make_classifier(
    bundle: Bundle, artifact: Artifact, *, threads: int = 1, interpreter: str = "litert", delegate: bool = True
) -> ArtifactClassifier:
    """Make the classifier of an artifact, its file verified, its golden vectors not yet asked."""
    labels, content = bundle.manifest.labels, bundle.read(artifact)
    if artifact.backend == "onnx":
        return OnnxClassifier(labels, artifact, content, threads=threads)
    return LiteRtClassifier(labels, artifact, content, threads=threads, interpreter=interpreter, delegate=delegate)


def check_golden(classifier: ArtifactClassifier, golden: Golden) -> None:
    """Ask a classifier the golden inputs.

    A quantized artifact must give the same labels and be at most one quantization step away; a float one within
    ``FLOAT_TOLERANCE``, a dynamic one within ``DYNAMIC_TOLERANCE``.

    Raises:
        BundleError: it answers otherwise: the interpreter's kernels are wrong here, or the bundle is not what it was.
    """
    artifact = classifier.artifact
    answers = golden.expected(artifact.name)
    if not answers:
        raise BundleError(f"the golden vectors say nothing of {artifact.name}; export the bundle again")
    logits = classifier.logits(golden.inputs)
    tolerance = DYNAMIC_TOLERANCE if artifact.precision == "dynamic" else FLOAT_TOLERANCE
    worst = []
    for expected in answers:
        step = artifact.output.scale or tolerance * float(np.abs(expected).max())
        off = float(np.abs(logits - expected).max()) / step
        flips = int((logits.argmax(axis=1) != expected.argmax(axis=1)).sum())
        if off <= 1.001 and flips == 0:
            return
        worst.append((flips, off))
    flips, off = min(worst)
    unit = "quantization steps" if artifact.output.scale else f"times {tolerance:g} of the largest logit"
    raise BundleError(
        f"{artifact.name} does not answer as it did at export: {flips} of {len(logits)} golden labels differ, "
        f"logits by up to {off:.1f} {unit} (at most 1); this interpreter computes wrongly here: try another --backend"
    )


def _litert_spec(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(
        tuple(int(n) for n in details["shape"]), np.dtype(details["dtype"]).name, float(scale), int(zero_point)
    )


def _compare(artifact: Artifact, side: str, expected: TensorSpec, found: TensorSpec) -> None:
    same = (found.shape, found.dtype, found.zero_point) == (expected.shape, expected.dtype, expected.zero_point)
    if not same or not np.isclose(found.scale, expected.scale, rtol=1e-6, atol=0):
        raise BundleError(
            f"{artifact.name}: the {side} is {found}, the manifest says {expected}; export the bundle again"
        )
    if side == "input" and expected.dtype == "int8" and (expected.scale, expected.zero_point) != (1.0, -128):
        raise BundleError(
            f"{artifact.name}: int8 input has scale {expected.scale}, zero point {expected.zero_point}; "
            "expected 1 and -128"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
