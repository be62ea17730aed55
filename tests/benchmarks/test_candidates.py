from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.candidates import choose_artifacts, default_candidate, find_candidates
from runtime.backends import INTERPRETERS
from runtime.bundle import Bundle, load_bundle
from runtime.errors import BundleError, UsageError
from tests.benchmarks.conftest import MakeCandidate


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def test_every_artifact_is_measured_or_skipped_in_every_interpreter(bundle: Bundle) -> None:
    artifacts = choose_artifacts(bundle, ())
    found, skipped = find_candidates(bundle, artifacts, threads=1)
    pairs = {(candidate.artifact.name, candidate.interpreter) for candidate in found}
    left_out = {(name, skip.interpreter) for skip in skipped for name in skip.artifacts}
    assert not pairs & left_out
    assert pairs | left_out == {
        (artifact.name, interpreter)
        for artifact in artifacts
        for interpreter in (("onnxruntime",) if artifact.backend == "onnx" else INTERPRETERS)
    }
    assert len({candidate.name for candidate in found}) == len(found)


@pytest.mark.skipif(importlib.util.find_spec("tflite_runtime") is not None, reason="tflite-runtime is installed")
def test_an_interpreter_that_is_not_installed_is_skipped_once_with_its_remedy(bundle: Bundle) -> None:
    _, skipped = find_candidates(bundle, choose_artifacts(bundle, ("litert-int8", "litert-float32")), threads=1)
    (skip,) = skipped
    assert skip.interpreter == "tflite-runtime"
    assert skip.artifacts == ("litert-int8", "litert-float32")
    assert "pip install" in skip.reason


def test_artifacts_are_chosen_by_name_in_the_order_of_the_manifest(bundle: Bundle) -> None:
    there = [artifact.name for artifact in bundle.manifest.artifacts]
    chosen = choose_artifacts(bundle, (there[1], there[0]))
    assert [artifact.name for artifact in chosen] == there[:2]


def test_an_unknown_artifact_is_refused_with_those_there_are(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match=r"no artifact int4; it has .*litert-int8"):
        choose_artifacts(bundle, ("int4",))


def test_an_altered_artifact_is_an_error_and_not_skipped(bundle: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    altered = load_bundle(copy)
    path = copy / altered.artifact("litert", "int8").file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="was altered"):
        find_candidates(altered, altered.manifest.artifacts, threads=1)


def test_the_default_is_the_first_int8_candidate_or_else_the_first(make_candidate: MakeCandidate) -> None:
    wide, int8, other = make_candidate("wide"), make_candidate("int8"), make_candidate("other")
    wide = replace(wide, artifact=replace(wide.artifact, precision="float32"))
    assert default_candidate([wide, int8, other]) is int8
    assert default_candidate([wide]) is wide
