"""What others do on the same crops and frames: other interpreters, the tutorials' digit readers, Tesseract.

Each is an optional install and is imported where it is made, in a worker process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.labels import LabeledDigit
from runtime.backends import Classifier
from runtime.bundle import Bundle
from runtime.errors import BackendError
from runtime.preprocess import preprocess
from runtime.values import Box, Frame, Image, Prediction, Reading

Call: TypeAlias = Callable[[Image], npt.NDArray[Any]]
"""One crop, uint8 (1, 28, 28), to its logits, (1, labels)."""

WINDOW, OFFSET = 31, 10
"""Of the adaptive threshold, in pixels and gray levels. With the smaller windows of most tutorials, it reads worse."""

SMALLEST_HEIGHT = 10
"""Of an outline that the tutorials' readers take for a digit, in pixels."""


def tutorial_reader(classifier: Classifier) -> Callable[[Frame], tuple[Reading, ...]]:
    """Blur, adaptive Gaussian threshold, external contours, each cut out and classified; sure by half is read.

    The polarity is guessed, as such programs do, from the frame: ink is what there is less of. The cut-outs pass
    through the runtime's own ``preprocess``; what the classifier takes for no digit is not read.
    """

    def read(frame: Frame) -> tuple[Reading, ...]:
        ink = _adaptive_ink(frame.luma)
        boxes = _outlines(ink)
        crops = [preprocess(ink[box.y : box.bottom, box.x : box.right])[0] for box in boxes]
        if not crops:
            return ()
        readings = []
        for box, probabilities in zip(boxes, classifier.probabilities(np.stack(crops)), strict=True):
            best = int(probabilities.argmax())
            label, confidence = classifier.labels[best], float(probabilities[best])
            if label.isdigit() and confidence >= 0.5:
                readings.append(Reading(box, label, confidence, Prediction(probabilities)))
        return tuple(readings)

    return read


def plain_chain(call: Call, labels: tuple[str, ...]) -> Callable[[Image], list[LabeledDigit]]:
    """The shortest way from a picture to digits: gray, blur, Otsu, outlines, each squeezed to 28×28 and invoked.

    The likeliest label is read, however unsure; nothing is tracked, grouped or doubted.
    """

    def read(picture: Image) -> list[LabeledDigit]:
        soft = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (5, 5), 0)
        _, ink = cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
        found = []
        for box in _outlines(ink):
            crop = cv2.resize(ink[box.y : box.bottom, box.x : box.right], (28, 28), interpolation=cv2.INTER_AREA)
            label = labels[int(call(crop[None]).argmax())]
            if label.isdigit():
                found.append(LabeledDigit(label, box))
        return found

    return read


def tesseract(picture: Image) -> list[LabeledDigit]:
    """Tesseract's digits in a picture, uint8 (H, W, 3): sparse text, digits alone allowed.

    Raises:
        BackendError: it is not installed, or failed.
    """
    program = shutil.which("tesseract")
    if program is None:
        raise BackendError("tesseract is not installed; apt install tesseract-ocr")
    options = ("--psm", "11", "-c", "tessedit_char_whitelist=0123456789", "makebox")
    coded = cv2.imencode(".bmp", picture)[1].tobytes()
    done = subprocess.run([program, "stdin", "stdout", *options], input=coded, capture_output=True, check=False)
    if done.returncode:
        raise BackendError(f"tesseract failed: {done.stderr.decode(errors='replace').strip().splitlines()[-1:]}")
    found = []
    for line in done.stdout.decode().splitlines():
        label, left, bottom, right, top, _ = line.split(" ")
        if label.isdigit():  # y counts from the bottom
            x, y = int(left), len(picture) - int(top)
            box = Box(x, y, max(int(right) - x, 1), max(int(top) - int(bottom), 1))
            found.append(LabeledDigit(label, box))
    return found


def opencv_dnn(bundle: Bundle, threads: int) -> Mapping[str, Call]:
    """OpenCV's own network module, on the float32 ONNX file."""
    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(_onnx_file(bundle), np.uint8))
    shape = _onnx_shape(bundle)

    def call(crop: Image) -> npt.NDArray[Any]:
        net.setInput(crop.reshape(shape).astype(np.float32))
        answer: npt.NDArray[Any] = net.forward()
        return answer

    return {"float32": call}


def openvino(bundle: Bundle, threads: int) -> Mapping[str, Call]:
    """OpenVINO's CPU device, compiled for latency, on the float32 ONNX file."""
    core = _package("openvino", "pip install openvino").Core()
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    options["INFERENCE_PRECISION_HINT"] = "f32"  # else it takes bfloat16 where the CPU multiplies that faster
    request = core.compile_model(core.read_model(_onnx_file(bundle)), "CPU", options).create_infer_request()
    shape = _onnx_shape(bundle)

    def call(crop: Image) -> npt.NDArray[Any]:
        request.infer([crop.reshape(shape).astype(np.float32)], share_inputs=True)
        answer: npt.NDArray[Any] = request.get_output_tensor(0).data.copy()
        return answer

    return {"float32": call}


def ncnn(bundle: Bundle, threads: int) -> Mapping[str, Call]:
    """ncnn, on what its converter pnnx makes of the float32 ONNX file."""
    package = _package("ncnn", "pip install ncnn pnnx")
    converter = shutil.which("pnnx", path=str(Path(sys.executable).parent))
    if converter is None:
        raise BackendError("ncnn's converter pnnx is not installed; pip install pnnx")
    net = package.Net()
    net.opt.num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(_onnx_file(bundle))
        done = subprocess.run([converter, model.name], cwd=folder, capture_output=True, check=False)
        if done.returncode or not model.with_suffix(".ncnn.param").is_file():
            raise BackendError(f"pnnx {done.returncode}: cannot convert the float32 ONNX file for ncnn")
        net.load_param(str(model.with_suffix(".ncnn.param")))
        net.load_model(str(model.with_suffix(".ncnn.bin")))
    shape = _onnx_shape(bundle)

    def call(crop: Image) -> npt.NDArray[Any]:
        pixels = crop.reshape(shape).astype(np.float32)
        with net.create_extractor() as extractor:
            extractor.input("in0", package.Mat(pixels, batch_index=0).clone())
            answer: npt.NDArray[Any] = extractor.extract("out0")[1].numpy(batch_index=0).copy()
        return answer

    return {"float32": call}


def tensorflow(bundle: Bundle, threads: int) -> Mapping[str, Call]:
    """The Keras model that the bundle was made from: ``tf.function``, the same compiled by XLA, and Keras's predict."""
    path = bundle.folder / "model.keras"
    if not path.is_file():
        raise BackendError(f"there is no {path.name} beside the bundle; wheels leave it out, the repository has it")
    package = _package("tensorflow", 'pip install "edge-digits[train]"')
    package.config.threading.set_intra_op_parallelism_threads(threads)
    package.config.threading.set_inter_op_parallelism_threads(1)
    with zipfile.ZipFile(path) as parts:  # its own layers register with Keras when the modules that the file names load
        modules = set(re.findall(r'"module": "([\w.]+)"', parts.read("config.json").decode()))
    for module in modules:
        importlib.import_module(module)
    model = importlib.import_module("keras").models.load_model(path, compile=False)
    shape = tuple(n or 1 for n in model.input_shape)
    spec = [package.TensorSpec(shape, "float32")]

    def compiled(*, xla: bool) -> Call:
        graph = package.function(lambda pixels: model(pixels, training=False), input_signature=spec, jit_compile=xla)
        return lambda crop: np.asarray(graph(crop.reshape(shape).astype(np.float32)).numpy())

    def predict(crop: Image) -> npt.NDArray[Any]:
        answer: npt.NDArray[Any] = model.predict(crop.reshape(shape).astype(np.float32), verbose=0)
        return answer

    return {"tf.function": compiled(xla=False), "tf.function, XLA": compiled(xla=True), "Keras predict": predict}


CROP_PEERS: Mapping[str, Callable[[Bundle, int], Mapping[str, Call]]] = {
    "opencv-dnn": opencv_dnn,
    "openvino": openvino,
    "ncnn": ncnn,
    "tensorflow": tensorflow,
}
"""Other interpreters by name: given a bundle and a number of threads, the calls that they offer."""


def _package(name: str, remedy: str) -> Any:
    if importlib.util.find_spec(name) is None:
        raise BackendError(f"{name} is not installed; {remedy}")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendError(f"{name} cannot be imported: {error}; {remedy}") from error


def _onnx_file(bundle: Bundle) -> bytes:
    return bundle.read(bundle.artifact("onnx", "float32"))


def _onnx_shape(bundle: Bundle) -> tuple[int, ...]:
    return tuple(n or 1 for n in bundle.artifact("onnx", "float32").input.shape)


def _outlines(ink: Image) -> list[Box]:
    contours, _ = cv2.findContours(ink, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = [Box(*cv2.boundingRect(outline)) for outline in contours]
    return [box for box in boxes if box.height >= SMALLEST_HEIGHT and box.width >= 2]


def _adaptive_ink(luma: Image) -> Image:
    soft = cv2.GaussianBlur(luma, (5, 5), 0)
    dark = float(np.median(luma)) > 127
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    return cv2.adaptiveThreshold(soft, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, kind, WINDOW, OFFSET if dark else -OFFSET)
