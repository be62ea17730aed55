"""What the package promises as a whole: its names, and what importing and using it loads."""

from __future__ import annotations

import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runtime
from runtime import errors, values
from runtime.backends import ArtifactClassifier, Classifier, LiteRtClassifier, OnnxClassifier

ROOT = Path(runtime.__file__).resolve().parent.parent
MODULES = sorted(module.name for module in pkgutil.iter_modules(runtime.__path__) if not module.name.startswith("_"))

INTERPRETERS = {"ai_edge_litert", "tflite_runtime", "onnxruntime"}
TRAINING = {"tensorflow", "keras", "onnx", "tf2onnx"}


def loaded_by(script: str) -> set[str]:
    """The top-level modules that a fresh Python has after a script."""
    script = f"{script}\nimport json, sys\nprint(json.dumps(sorted(name.split('.')[0] for name in sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def classes_of(module: Any) -> set[str]:
    return {
        name for name, member in inspect.getmembers(module, inspect.isclass) if member.__module__ == module.__name__
    }


def test_importing_the_package_loads_no_interpreter_and_no_opencv() -> None:
    loaded = loaded_by("import runtime")
    assert "runtime" in loaded
    assert not loaded & (INTERPRETERS | TRAINING | {"cv2", "numpy"})


@pytest.mark.parametrize("name", ["Recognizer", "open_source", "load_classifier", "Frame"])
def test_taking_a_name_from_the_package_loads_no_interpreter(name: str) -> None:
    assert not loaded_by(f"from runtime import {name}") & (INTERPRETERS | TRAINING)


def test_importing_every_module_loads_no_interpreter_and_no_training_framework() -> None:
    assert len(MODULES) >= 10
    loaded = loaded_by("\n".join(f"import runtime.{name}" for name in MODULES))
    assert "cv2" in loaded
    assert not loaded & (INTERPRETERS | TRAINING)


@pytest.mark.parametrize(
    ("backend", "own"), [("litert", {"ai_edge_litert"}), ("onnx", {"onnxruntime"})], ids=["litert", "onnx"]
)
def test_reading_a_frame_loads_one_interpreter_and_no_training_framework(backend: str, own: set[str]) -> None:
    loaded = loaded_by(
        "import numpy as np\n"
        "from runtime import Frame, Recognizer, load_classifier\n"
        "luma = np.full((120, 160), 230, np.uint8); luma[30:80, 50:60] = 20\n"
        f"result = Recognizer(load_classifier(backend={backend!r}))(Frame(luma, None, 0, 0.0))\n"
        "assert result.milliseconds['total'] > 0"
    )
    assert loaded & INTERPRETERS == own
    assert not loaded & TRAINING


def test_the_public_names_are_those_of_the_design() -> None:
    design = {"load_classifier", "open_source", "Recognizer"} | classes_of(values) | classes_of(errors)
    # And what their signatures speak of.
    assert set(runtime.__all__) == design | {"Classifier", "FrameSource", "RecognizerSettings", "SourceSettings"}
    assert runtime.__all__ == sorted(runtime.__all__)


@pytest.mark.parametrize("name", runtime.__all__)
def test_each_public_name_is_the_thing_that_its_module_defines(name: str) -> None:
    thing = getattr(runtime, name)
    assert thing.__name__ == name
    assert thing.__module__.startswith("runtime.")
    assert getattr(sys.modules[thing.__module__], name) is thing


def test_any_other_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'runtime' has no attribute 'load_model'"):
        _ = runtime.load_model
    assert not hasattr(runtime, "np")


def test_load_classifier_takes_what_the_design_says() -> None:
    parameters = inspect.signature(runtime.load_classifier).parameters
    promised = {"model": "edge", "backend": "litert", "precision": "int8", "threads": 1}
    assert {name: parameters[name].default for name in promised} == promised
    assert [name for name, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY] == ["model"]


@pytest.mark.parametrize("kind", [LiteRtClassifier, OnnxClassifier])
def test_the_classifiers_of_both_backends_keep_the_protocol(kind: type[ArtifactClassifier]) -> None:
    assert issubclass(kind, ArtifactClassifier)
    for name in ("logits", "probabilities"):
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(Classifier, name))


def test_the_package_works_from_any_folder_even_one_with_traps(tmp_path: Path) -> None:
    (tmp_path / "models" / "edge").mkdir(parents=True)
    (tmp_path / "edge").mkdir()
    for trap in (tmp_path / "models" / "edge", tmp_path / "edge"):
        (trap / "manifest.json").write_text("a trap", encoding="utf-8")
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import numpy as np\n"
        "from runtime import load_classifier\n"
        "print(load_classifier().logits(np.zeros((1, 28, 28), np.uint8)).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == f"(1, {len(runtime.load_classifier().labels)})\n", done.stderr
