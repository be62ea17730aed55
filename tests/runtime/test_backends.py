from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.backends import BATCH, FLOAT_TOLERANCE, ArtifactClassifier, check_golden, load_classifier, make_classifier
from runtime.bundle import Artifact, Golden, TensorSpec, load_bundle
from runtime.errors import BundleError, UsageError
from runtime.values import Image

RUNS = [
    pytest.param(
        backend,
        precision,
        interpreter,
        id="-".join(filter(None, (backend, precision, interpreter))),
        marks=pytest.mark.skipif(
            interpreter == "tflite-runtime" and importlib.util.find_spec("tflite_runtime") is None,
            reason="tflite-runtime is not installed: `make test-tflite` has it",
        ),
    )
    for backend, precision, interpreter in [
        ("litert", "int8", None),
        ("litert", "int8", "litert"),
        ("litert", "int8", "tflite-runtime"),
        ("litert", "float32", None),
        ("litert", "float32", "tflite-runtime"),
        ("onnx", "float32", None),
        ("onnx", "int8", None),
    ]
]
each_run = pytest.mark.parametrize(("backend", "precision", "interpreter"), RUNS)

Load = Callable[[str, str, str | None], ArtifactClassifier]


@pytest.fixture(scope="module")
def load() -> Load:
    """The classifier of a run, made once."""
    made: dict[tuple[str, str, str | None], ArtifactClassifier] = {}

    def classifier(backend: str, precision: str, interpreter: str | None) -> ArtifactClassifier:
        key = backend, precision, interpreter
        if key not in made:
            made[key] = load_classifier(backend=backend, precision=precision, interpreter=interpreter)
        return made[key]

    return classifier


def crops(count: int, seed: int = 0) -> Image:
    """Anything but digits: every level occurs, so that a shifted or scaled input shows."""
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)


FLOAT = TensorSpec((1, 28, 28, 1), "float32")
INT8 = TensorSpec((1, 28, 28, 1), "int8", 1.0, -128)
LOGITS = TensorSpec((1, 3), "float32")
ZEROS = np.zeros(3, np.float32)


class Echo(ArtifactClassifier):
    """Keeps what it is fed, and answers with ``answers`` in turn."""

    def __init__(
        self,
        answers: Sequence[npt.NDArray[Any]],
        *,
        input_spec: TensorSpec = FLOAT,
        output_spec: TensorSpec = LOGITS,
        temperature: float = 1.0,
    ) -> None:
        artifact = Artifact("echo", "echo.x", "", 0, "litert", "x", input_spec, output_spec, temperature, 0.6, 0.3)
        super().__init__(("0", "1", "none"), artifact)
        self.fed: list[npt.NDArray[Any]] = []
        self._answers = answers

    def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        self.fed.append(pixels)
        return self._answers[(len(self.fed) - 1) % len(self._answers)]


@each_run
def test_each_shipped_artifact_answers_its_golden_vectors(
    load: Load, backend: str, precision: str, interpreter: str | None
) -> None:
    classifier, bundle = load(backend, precision, interpreter), load_bundle()
    golden = bundle.golden()
    logits = classifier.logits(golden.inputs)
    assert (logits.dtype, logits.shape) == (np.float32, (len(golden.inputs), len(classifier.labels)))
    assert classifier.labels == bundle.manifest.labels

    # One step of the int8 output; a float's tolerance is relative to the largest logit.
    def near(expected: npt.NDArray[np.float32]) -> bool:
        step = classifier.artifact.output.scale or 1e-4 * float(np.abs(expected).max())
        same = (logits.argmax(axis=1) == expected.argmax(axis=1)).all()
        return bool(same and np.abs(logits - expected).max() <= 1.001 * step)

    assert any(near(expected) for expected in golden.expected(classifier.artifact.name))


@each_run
def test_an_answer_belongs_to_the_caller(load: Load, backend: str, precision: str, interpreter: str | None) -> None:
    classifier = load(backend, precision, interpreter)
    first = classifier.logits(crops(3, seed=1))
    kept = first.copy()
    other = classifier.logits(crops(3, seed=2))
    assert not np.array_equal(other, kept)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # and may be written to
    np.testing.assert_array_equal(classifier.logits(crops(3, seed=1)), kept)


@each_run
def test_an_answer_does_not_depend_on_the_crops_beside_it(
    load: Load, backend: str, precision: str, interpreter: str | None
) -> None:
    classifier, many = load(backend, precision, interpreter), crops(5)
    one_by_one = [classifier.logits(many[i : i + 1])[0] for i in reversed(range(5))][::-1]
    np.testing.assert_array_equal(classifier.logits(many), one_by_one)


@each_run
def test_no_crops_give_no_answers(load: Load, backend: str, precision: str, interpreter: str | None) -> None:
    classifier = load(backend, precision, interpreter)
    for answer in (classifier.logits(crops(0)), classifier.probabilities(crops(0))):
        assert (answer.dtype, answer.shape) == (np.float32, (0, len(classifier.labels)))


@each_run
def test_crops_may_be_any_view_and_are_left_as_they_are(
    load: Load, backend: str, precision: str, interpreter: str | None
) -> None:
    classifier, many = load(backend, precision, interpreter), crops(4)
    before = many.copy()
    view = np.asfortranarray(many)[::-1]
    view.flags.writeable = False
    np.testing.assert_array_equal(classifier.logits(view), classifier.logits(many)[::-1])
    np.testing.assert_array_equal(many, before)


@each_run
def test_probabilities_are_the_softmax_of_logits_with_the_prior_over_temperature(
    load: Load, backend: str, precision: str, interpreter: str | None
) -> None:
    classifier, many = load(backend, precision, interpreter), crops(8)
    probabilities = classifier.probabilities(many)
    raised = classifier.logits(many).astype(np.float64)
    raised[:, classifier.labels.index("none")] += classifier.artifact.none_prior
    exact = np.exp(raised / classifier.artifact.temperature)
    exact /= exact.sum(axis=1, keepdims=True)
    assert probabilities.dtype == np.float32
    # Logits of some tens have float32 errors of 2⁻²⁴ · 32 in the exponent; exp and division add a few units more.
    np.testing.assert_allclose(probabilities, exact, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=len(classifier.labels) * 2**-24 * 2)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((1, 28, 28), np.float32),
        np.zeros((1, 28, 28), np.int8),
        np.zeros((28, 28), np.uint8),
        np.zeros((1, 28, 28, 1), np.uint8),
        np.zeros((1, 32, 32), np.uint8),
        np.zeros((0,), np.uint8),
    ],
    ids=lambda bad: f"{bad.dtype}{bad.shape}",
)
@each_run
def test_crops_of_another_kind_are_refused_with_what_was_found(
    load: Load, backend: str, precision: str, interpreter: str | None, bad: Image
) -> None:
    found = f"{bad.dtype} {bad.shape}".replace("(", r"\(").replace(")", r"\)")
    classifier = load(backend, precision, interpreter)
    for ask in (classifier.logits, classifier.probabilities):
        with pytest.raises(UsageError, match=rf"{found}; expected uint8 \(n, 28, 28\)"):
            ask(bad)


@pytest.mark.parametrize("interpreter", [None, pytest.param("tflite-runtime", marks=RUNS[2].marks)])
def test_both_backends_compute_the_same_float_model(load: Load, interpreter: str | None) -> None:
    golden = load_bundle().golden().inputs
    many = np.concatenate([golden, crops(16)])
    litert, onnx = (
        load(backend, "float32", i).logits(many) for backend, i in (("litert", interpreter), ("onnx", None))
    )
    assert np.abs(litert - onnx).max() <= 1e-4 * max(float(np.abs(onnx).max()), 1)
    np.testing.assert_array_equal(litert.argmax(axis=1)[: len(golden)], onnx.argmax(axis=1)[: len(golden)])


def test_more_threads_compute_the_same(load: Load) -> None:
    for backend in ("litert", "onnx"):
        two = load_classifier(backend=backend, precision="float32", threads=2)
        one = load(backend, "float32", None)
        np.testing.assert_allclose(two.logits(crops(4)), one.logits(crops(4)), atol=1e-4)


def test_an_int8_input_is_exactly_pixel_minus_128() -> None:
    every_level = np.resize(np.arange(256, dtype=np.uint8), (2, 28, 28))
    classifier = Echo([ZEROS], input_spec=INT8)
    classifier.logits(every_level)
    for fed, crop in zip(classifier.fed, every_level, strict=True):
        assert (fed.dtype, fed.shape) == (np.int8, (1, 28, 28, 1))
        np.testing.assert_array_equal(fed[0, :, :, 0].astype(int), crop.astype(int) - 128)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (1, 1, 28, 28)])
def test_any_other_input_is_the_pixel_itself_in_the_artifacts_layout(dtype: str, shape: tuple[int, ...]) -> None:
    classifier = Echo([ZEROS], input_spec=TensorSpec(shape, dtype))
    classifier.logits(crops(1))
    (fed,) = classifier.fed
    assert (fed.dtype, fed.shape) == (np.dtype(dtype), shape)
    np.testing.assert_array_equal(fed.reshape(28, 28), crops(1)[0])


@pytest.mark.parametrize("count", [0, 1, BATCH, 2 * BATCH + 3])
def test_an_artifact_with_a_free_batch_is_given_many_crops_at_once_and_each_once(count: int) -> None:
    class Means(Echo):
        def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
            self.fed.append(pixels)
            return np.repeat(pixels.mean(axis=(1, 2)), 3, axis=1)

    free = TensorSpec((None, 28, 28, 1), "float32"), TensorSpec((None, 3), "float32")
    classifier, many = Means([], input_spec=free[0], output_spec=free[1]), crops(count)
    logits = classifier.logits(many)
    assert [len(pixels) for pixels in classifier.fed] == [BATCH] * (count // BATCH) + [count % BATCH] * (
        count % BATCH > 0
    )
    np.testing.assert_allclose(logits[:, 2], many.mean(axis=(1, 2)), rtol=1e-5)


def test_an_int8_answer_is_scaled_back_without_wrapping() -> None:
    stored = np.array([-128, 4, 127], np.int8)
    classifier = Echo([stored], output_spec=TensorSpec((1, 3), "int8", 0.25, 4))
    np.testing.assert_array_equal(classifier.logits(crops(1)), [[-132 * 0.25, 0, 123 * 0.25]])


def test_each_row_answers_its_own_crop_though_the_interpreter_reuses_its_buffer() -> None:
    buffer = np.zeros(3, np.float32)

    class Reusing(Echo):
        def _invoke(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
            buffer[:] = pixels.mean()
            return buffer

    levels = np.array([3, 200, 77], np.uint8)
    logits = Reusing([]).logits(np.ones((3, 28, 28), np.uint8) * levels[:, None, None])
    np.testing.assert_array_equal(logits, np.repeat(levels[:, None], 3, axis=1))


@given(
    npst.arrays(np.float32, (4, 3), elements=st.floats(-500, 500, width=32)),
    st.floats(0.25, 4),
)
@settings(max_examples=50)
def test_probabilities_are_finite_and_sum_to_1_for_any_logits(
    logits: npt.NDArray[np.float32], temperature: float
) -> None:
    probabilities = Echo(list(logits), temperature=temperature).probabilities(crops(4))
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    # In the order of the logits.
    assert (np.take_along_axis(probabilities, logits.argsort(axis=1), axis=1)[:, -1] == probabilities.max(axis=1)).all()


STEP = 0.25
QUANTIZED = TensorSpec((1, 3), "int8", STEP, 0)


def check(answers: list[list[int]], expected: dict[str, list[list[int]]], output: TensorSpec = QUANTIZED) -> None:
    """Check stored int8 answers against golden ones, both in steps."""
    classifier = Echo([np.array(row, np.int8) for row in answers], output_spec=output)
    golden = {name: np.array(rows, np.float32) * STEP for name, rows in expected.items()}
    check_golden(classifier, Golden(crops(len(answers)), golden))


def test_a_quantized_answer_one_step_off_passes() -> None:
    check([[40, 9, -3], [0, 50, 1]], {"echo": [[39, 10, -3], [1, 49, 1]]})


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ([[40, 9, -3], [0, 50, 3]], "0 of 2 golden labels differ, logits by up to 2.0 quantization steps"),
        ([[40, 9, -3], [50, 0, 1]], "1 of 2 golden labels differ"),
        ([[10, 9, -3], [0, 50, 1]], "0 of 2 .*30.0 quantization steps"),
    ],
    ids=["two steps", "another label", "far off with the same label"],
)
def test_a_quantized_answer_further_off_is_refused_with_how_far(answers: list[list[int]], complaint: str) -> None:
    with pytest.raises(BundleError, match=f"echo does not answer as it did at export: {complaint}"):
        check(answers, {"echo": [[40, 9, -3], [0, 50, 1]]})


def test_a_label_that_flips_by_one_step_is_refused() -> None:
    with pytest.raises(BundleError, match=r"1 of 1 golden labels differ, logits by up to 1\.0"):
        check([[9, 10, 0]], {"echo": [[10, 9, 0]]})


def test_an_answer_like_the_reference_kernels_passes_too_but_not_half_like_each() -> None:
    expected = {"echo": [[40, 9, -3], [0, 50, 1]], "echo@reference": [[44, 9, -3], [0, 54, 1]]}
    check([[40, 9, -3], [0, 50, 1]], expected)
    check([[44, 9, -3], [0, 54, 1]], expected)
    with pytest.raises(BundleError, match=r"4\.0 quantization steps"):
        check([[40, 9, -3], [0, 54, 1]], expected)


@pytest.mark.parametrize(("off", "passes"), [(0.9, True), (1.1, False)])
def test_a_float_answer_may_be_a_ten_thousandth_of_the_largest_off(off: float, passes: bool) -> None:
    assert FLOAT_TOLERANCE == 1e-4
    expected = np.array([[5.0, -20.0, 1.0]], np.float32)
    answer = expected[0] + np.array([0, 0, off * 20 * 1e-4], np.float32)
    classifier, golden = Echo([answer]), Golden(crops(1), {"echo": expected})
    if passes:
        check_golden(classifier, golden)
    else:
        with pytest.raises(BundleError, match="echo does not answer"):
            check_golden(classifier, golden)


def test_an_answer_that_is_no_number_is_refused() -> None:
    with pytest.raises(BundleError, match="echo does not answer"):
        check_golden(
            Echo([np.full(3, np.nan, np.float32)]), Golden(crops(1), {"echo": np.eye(3, dtype=np.float32)[:1]})
        )


def test_golden_vectors_of_other_artifacts_do_not_count() -> None:
    with pytest.raises(BundleError, match="say nothing of echo"):
        check([[1, 2, 3]], {"echo-int8": [[1, 2, 3]]})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"backend": "tensorrt"}, "backend is tensorrt; expected one of litert, onnx"),
        ({"interpreter": "tflite"}, "interpreter is tflite; expected one of litert, tflite-runtime"),
        ({"backend": "onnx", "interpreter": "litert"}, "interpreter litert goes with backend litert, not onnx"),
        ({"threads": 0}, "threads is 0; expected 1 or more"),
        ({"threads": -1}, "threads is -1; expected 1 or more"),
        ({"threads": 257}, "threads is 257; expected at most 256"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_those_that_can(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        load_classifier(**options)


def test_a_precision_that_was_not_shipped_is_refused_with_those_that_were() -> None:
    with pytest.raises(BundleError, match=r"no float16 artifact for litert; it has .*litert --precision int8"):
        load_classifier(precision="float16")


@pytest.mark.parametrize(
    ("backend", "precision", "side", "change"),
    [
        ("litert", "int8", "output", {"scale": 0.5}),
        ("litert", "int8", "output", {"zero_point": 90}),
        ("litert", "int8", "input", {"dtype": "uint8"}),
        ("litert", "float32", "input", {"shape": (1, 1, 28, 28)}),
        ("onnx", "float32", "input", {"shape": (1, 1, 28, 28)}),
        ("onnx", "int8", "output", {"dtype": "int8"}),
    ],
)
def test_a_manifest_that_describes_another_model_is_refused(
    backend: str, precision: str, side: str, change: dict[str, Any]
) -> None:
    bundle = load_bundle()
    artifact = bundle.artifact(backend, precision)
    fields = {name: getattr(artifact, name) for name in Artifact.__slots__}
    spec = {name: getattr(fields[side], name) for name in TensorSpec.__slots__}
    described = Artifact(**fields | {side: TensorSpec(**spec | change)})
    with pytest.raises(BundleError, match=f"{artifact.name}: the {side} is .*, the manifest says"):
        make_classifier(bundle, described)


@pytest.mark.parametrize(
    ("missing", "options", "message"),
    [
        ("ai_edge_litert", "", "litert is not installed; pip install ai-edge-litert"),
        (
            "tflite_runtime",
            "interpreter='tflite-runtime'",
            'tflite-runtime is not installed; pip install "edge-digits[tflite-runtime]" (Python 3.11, NumPy 1)',
        ),
        ("onnxruntime", "backend='onnx'", 'onnxruntime is not installed; pip install "edge-digits[onnx]"'),
    ],
)
def test_a_missing_interpreter_is_an_error_that_names_the_command_and_nothing_stands_in(
    missing: str, options: str, message: str
) -> None:
    script = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"  # as where it was never installed: importing it raises ImportError
        "from runtime import BackendError, load_classifier\n"
        "try:\n"
        f"    load_classifier({options})\n"
        "except BackendError as error:\n"
        "    print(error)\n"
        "print({'ai_edge_litert', 'tflite_runtime', 'onnxruntime'} & {k for k, v in sys.modules.items() if v})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"{message}\nset()\n"
    assert done.returncode == 0


def test_an_interpreter_that_cannot_be_imported_is_an_error_with_its_reason(tmp_path: Any) -> None:
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert" / "__init__.py").touch()
    (tmp_path / "ai_edge_litert" / "interpreter.py").write_text(
        "raise ImportError('libsomething.so: cannot open shared object file\\nand more lines')\n"
    )
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from runtime.backends import load_classifier\n"
        "from runtime.errors import run_command\n"
        "sys.exit(run_command(load_classifier))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: litert cannot run litert-int8: libsomething.so: cannot open shared object file; "
        "reinstall it: pip install ai-edge-litert\n"
    )
