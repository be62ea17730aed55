from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bare import make_bare
from benchmarks.candidates import LATENCY
from benchmarks.peers import CROP_PEERS
from benchmarks.subjects import STAGES, Spec, Workload, make_subject, make_workload, read_workload
from benchmarks.summary import percentile
from benchmarks.workload import drawn_frames
from runtime.backends import make_classifier
from runtime.bundle import Bundle, load_bundle
from runtime.errors import BackendError

TEN = "pipeline, ten digits 640×480"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="module")
def workload(bundle: Bundle) -> Workload:
    return make_workload(drawn_frames(), bundle)


def spec(bundle: Bundle, *operations: str, **changes: object) -> Spec:
    known = Spec("edge", "classifier", operations, str(bundle.folder), "litert-int8", "litert", loads=2)
    return replace(known, **changes)  # type: ignore[arg-type]


def test_a_workload_comes_back_from_its_file(workload: Workload, tmp_path: Path) -> None:
    workload.save(tmp_path / "workload.npz")
    found = read_workload(tmp_path / "workload.npz")
    assert np.array_equal(found.crops, workload.crops)
    assert found.labels == workload.labels
    assert list(found.frames) == list(workload.frames)
    for name, frame in workload.frames.items():
        assert found.frames[name].digits == frame.digits
        assert np.array_equal(found.frames[name].picture, frame.picture)


def test_a_classifier_offers_its_latencies_and_the_frames_that_are_wanted(bundle: Bundle, workload: Workload) -> None:
    chain = "blur + Otsu, ten digits 640×480"
    subject = make_subject(spec(bundle, TEN, chain), workload)
    assert set(subject.operations) == {*LATENCY, TEN, chain}
    for operation in LATENCY:
        samples = subject.operations[operation](5)
        assert list(samples) == ["total"]
        assert len(samples["total"]) == 5
        assert min(samples["total"]) > 0
    staged = subject.operations[TEN](3)
    assert tuple(staged) == STAGES
    for luma, detect, classify, total in zip(*staged.values(), strict=True):
        assert luma + detect + classify <= total + 3  # each was rounded
    assert [len(subject.facts[key]) for key in ("load_ns", "first_call_ns")] == [2, 2]
    assert subject.facts["kernels"] == "XNNPACK"


def test_what_was_drawn_is_read(bundle: Bundle, workload: Workload) -> None:
    names = ("blank page", "ten digits", "full page")
    operations = [f"pipeline, {name} 640×480" for name in names]
    read = make_subject(spec(bundle, *operations), workload).facts["read"]
    blank, ten, full = (read[operation] for operation in operations)
    assert (blank["digits"], blank["right"], blank["invented"]) == (0, 0, 0)
    assert ten["digits"] == 10
    assert ten["right"] >= 9
    assert full["digits"] == 78
    assert full["right"] >= 70
    for counts in read.values():
        assert counts["right"] + counts["wrong"] + counts["missed"] == counts["digits"]
        assert counts["crops"] >= counts["right"]


def test_more_digits_cost_more(bundle: Bundle, workload: Workload) -> None:
    operations = ("pipeline, blank page 640×480", "pipeline, full page 640×480")
    subject = make_subject(spec(bundle, *operations), workload)
    blank, full = (min(subject.operations[operation](5)["total"]) for operation in operations)
    assert full > 3 * blank


def test_a_slowed_classifier_takes_its_share_longer_in_its_stage_alone(bundle: Bundle, workload: Workload) -> None:
    plain, slowed = (make_subject(spec(bundle, TEN, slower=share), workload).operations for share in (0.0, 2.0))
    ratios: dict[str, list[float]] = {stage: [] for stage in ("detect", "classify")}
    for _ in range(15):  # side by side: whatever else is busy hits both
        one, other = plain[TEN](4), slowed[TEN](4)
        for stage, found in ratios.items():
            found.append(min(other[stage]) / min(one[stage]))
    assert 2.0 < sorted(ratios["classify"])[7] < 4.5
    assert 0.6 < sorted(ratios["detect"])[7] < 1.6
    assert percentile(slowed["probabilities"](200)["total"], 50) > 1.5 * percentile(
        plain["probabilities"](200)["total"], 50
    )


@pytest.mark.parametrize("name", ["litert-int8", "litert-float32", "onnx-int8", "onnx-float32"])
def test_a_bare_interpreter_answers_as_the_classifier_does(bundle: Bundle, workload: Workload, name: str) -> None:
    artifact = next(a for a in bundle.manifest.artifacts if a.name == name)
    interpreter = "litert" if artifact.backend == "litert" else "onnxruntime"
    if importlib.util.find_spec("onnxruntime") is None and artifact.backend == "onnx":
        pytest.skip("onnxruntime is not installed")
    bare = make_bare(artifact, bundle.read(artifact), interpreter, 1)
    logits = make_classifier(bundle, artifact).logits(workload.crops)
    spec = artifact.output
    for crop, expected in zip(workload.crops, logits, strict=True):
        stored = bare.call(crop[None]).astype(np.float32).ravel()
        answer = stored if spec.dtype == "float32" else (stored - spec.zero_point) * spec.scale
        assert np.allclose(answer, expected, atol=1e-5)
    bare.invoke()
    assert bare.kernels == {"litert": "XNNPACK", "onnxruntime": "MLAS"}[interpreter]


def test_opencvs_networks_answer_as_ours(bundle: Bundle, workload: Workload) -> None:
    peer = Spec("opencv-dnn", "peer", (), str(bundle.folder), interpreter="opencv-dnn")
    subject = make_subject(peer, workload)
    assert list(subject.operations) == ["float32"]
    assert len(subject.operations["float32"](3)["total"]) == 3


def test_a_peer_that_answers_otherwise_is_not_timed(
    bundle: Bundle, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: Callable[[np.ndarray], np.ndarray] = lambda crop: np.eye(1, 11)  # noqa: E731
    monkeypatch.setitem(CROP_PEERS, "wrong", lambda bundle, threads: {"always 0": wrong})
    with pytest.raises(BackendError, match=r"always 0 gives only \d+ of \d+ crops the float model's label"):
        make_subject(Spec("wrong", "peer", (), str(bundle.folder), interpreter="wrong"), workload)


@pytest.mark.parametrize("name", ["openvino", "ncnn", "tensorflow"])
def test_a_peer_that_is_not_installed_names_what_installs_it(name: str, bundle: Bundle) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(BackendError, match=rf"{name} is not installed; pip install"):
        CROP_PEERS[name](bundle, 1)


def test_the_reference_work_takes_some_microseconds(workload: Workload) -> None:
    subject = make_subject(Spec("reference", "reference", ()), workload)
    assert 1_000 < percentile(subject.operations["reference"](50)["total"], 50) < 100_000_000
