from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.candidates import (
    LATENCY,
    Frames,
    choose_artifacts,
    classifier_specs,
    default_artifact,
    load_here,
    peer_specs,
    subject_name,
)
from benchmarks.peers import CROP_PEERS
from benchmarks.subjects import SUBJECTS, Spec
from runtime.backends import INTERPRETERS
from runtime.bundle import Bundle, load_bundle
from runtime.errors import BundleError, UsageError


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def specs(bundle: Bundle, threads: tuple[int, ...], frames: Frames, *, latency: bool) -> list[Spec]:
    artifacts, pythons = choose_artifacts(bundle, ()), {"onnxruntime": "/p"}
    return classifier_specs(bundle, artifacts, threads, latency=latency, frames=frames, pythons=pythons, loads=2)


def test_each_artifact_in_each_interpreter_with_each_number_of_threads_is_a_subject(bundle: Bundle) -> None:
    found = specs(bundle, (1, 4), Frames(), latency=True)
    assert {(spec.artifact, spec.interpreter, spec.threads) for spec in found} == {
        (artifact.name, interpreter, threads)
        for artifact in bundle.manifest.artifacts
        for interpreter in (("onnxruntime",) if artifact.backend == "onnx" else INTERPRETERS)
        for threads in (1, 4)
    }
    assert len({spec.name for spec in found}) == len(found)
    for spec in found:
        assert spec.kind in SUBJECTS
        assert set(LATENCY) <= set(spec.operations)
        assert spec.python == ("/p" if spec.interpreter == "onnxruntime" else "")


def test_the_default_reads_every_frame_and_the_others_one(bundle: Bundle) -> None:
    frames = Frames(default=("a", "b"), each=("a",), others=("a",))
    for spec in specs(bundle, (1, 2), frames, latency=False):
        assert spec.threads == 1  # with more threads no frame is read, and nothing else was asked for
        if spec.name == "edge litert-int8 in litert":
            assert spec.operations == ("pipeline, a", "pipeline, b", "blur + Otsu, a", "blur + adaptive, a")
        else:
            assert spec.operations == ("pipeline, a",)


def test_peers_are_named_as_their_pythons_are(bundle: Bundle) -> None:
    found = peer_specs(bundle, latency=True, frames=("a",), pythons={"ncnn": "/elsewhere"})
    assert [spec.name for spec in found] == [*CROP_PEERS, "Tesseract"]
    assert {spec.name: spec.python for spec in found if spec.python} == {"ncnn": "/elsewhere"}
    assert found[-1].operations == ("Tesseract, a",)
    assert peer_specs(bundle, latency=False, frames=(), pythons={}) == []


def test_artifacts_are_chosen_by_name_in_the_order_of_the_manifest(bundle: Bundle) -> None:
    there = [artifact.name for artifact in bundle.manifest.artifacts]
    chosen = choose_artifacts(bundle, (there[1], there[0]))
    assert [artifact.name for artifact in chosen] == there[:2]


def test_an_unknown_artifact_is_refused_with_those_there_are(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match=r"no artifact int4; it has .*litert-int8"):
        choose_artifacts(bundle, ("int4",))


def test_an_altered_artifact_is_an_error(bundle: Bundle, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    altered = load_bundle(copy)
    path = copy / altered.artifact("litert", "int8").file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="was altered"):
        load_here(altered, altered.artifact("litert", "int8"))


def test_the_default_is_litert_int8_or_else_the_first(bundle: Bundle) -> None:
    artifacts = [replace(a, backend="onnx") for a in bundle.manifest.artifacts]
    assert default_artifact(list(reversed(bundle.manifest.artifacts))) is bundle.artifact("litert", "int8")
    assert default_artifact(artifacts) is artifacts[0]


def test_the_number_of_threads_is_in_the_name_from_two_on() -> None:
    assert subject_name("edge", "a", "litert", 1) == "edge a in litert"
    assert subject_name("edge", "a", "litert", 2) == "edge a in litert, 2 threads"
