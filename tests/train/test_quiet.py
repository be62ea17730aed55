from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from train.quiet import quiet

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_written_below_python_is_held_back_while_all_goes_well(capfd: pytest.CaptureFixture[str]) -> None:
    print("before", file=sys.stderr)
    with quiet():
        os.write(2, b"greeting\n")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "before\nafter\n"


def test_what_was_held_back_is_shown_when_something_goes_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    def explain_and_fail() -> None:
        with quiet():
            os.write(2, b"the reason\n")
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        explain_and_fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"


def test_it_leaves_no_file_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with quiet():
        assert len(list(Path("/proc/self/fd").iterdir())) == before + 2
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_tensorflow_loads_with_one_line_and_its_devices_are_left_alone() -> None:
    script = (
        "import os; before = os.environ.get('CUDA_VISIBLE_DEVICES'); "
        "from train.quiet import load_tensorflow; load_tensorflow(); "
        "import keras, tensorflow as tf; from train.networks import edge; import numpy as np; "
        "edge().predict_on_batch(np.zeros((1, 28, 28, 1))); "
        "assert os.environ.get('CUDA_VISIBLE_DEVICES') == before; print(keras.backend.backend())"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}  # as somebody's shell may say
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("tensorflow\n", "loading TensorFlow\n")


@pytest.mark.parametrize(("given", "expected"), [(None, str(max((os.cpu_count() or 1) // 2, 1))), ("7", "7")])
def test_training_leaves_cores_to_the_pictures_unless_the_environment_says_otherwise(
    given: str | None, expected: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_NUM_INTRAOP_THREADS"}
    script = (
        "import os; from train.quiet import load_tensorflow; "
        "load_tensorflow(); before = os.environ.get('TF_NUM_INTRAOP_THREADS'); "
        "load_tensorflow(training=True); print(before, os.environ['TF_NUM_INTRAOP_THREADS'])"
    )
    if given:
        environment["TF_NUM_INTRAOP_THREADS"] = given
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(given), expected]
