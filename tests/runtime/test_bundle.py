from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.backends import load_classifier
from runtime.bundle import MANIFEST, Golden, Manifest, load_bundle, shipped_models, write_manifest
from runtime.errors import BundleError
from runtime.preprocess import PREPROCESS_VERSION

ARTIFACTS = ["litert-int8", "litert-float32", "onnx-float32", "onnx-int8"]

Spoil = Callable[[bytes], bytes]
SPOILS: dict[str, Spoil] = {
    "first byte flipped": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "third byte flipped": lambda content: content[:2] + bytes([content[2] ^ 1]) + content[3:],
    "last byte flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "two bytes gone": lambda content: content[:-2],
    "byte added": lambda content: content + b"\0",
    "emptied": lambda content: b"",
}


def stored_manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The content with a seal that fits: SHA-256 of its JSON, keys sorted, no spaces, without the seal itself."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return rest | {"sha256": hashlib.sha256(canonical.encode()).hexdigest()}


def store(folder: Path, content: dict[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(content), encoding="utf-8")


def store_golden(folder: Path, golden: bytes) -> None:
    """Write other golden vectors, and a manifest that vouches for them."""
    content = stored_manifest(folder)
    (folder / content["golden"]).write_bytes(golden)
    store(folder, sealed(content | {"golden_sha256": hashlib.sha256(golden).hexdigest()}))


def means_the_same(manifest: bytes, intact: bytes) -> bool:
    try:
        return bool(json.loads(manifest.decode()) == json.loads(intact))
    except ValueError:  # not UTF-8, or not JSON
        return False


def file_of(folder: Path, artifact: str) -> Path:
    (name,) = (entry["file"] for entry in stored_manifest(folder)["artifacts"] if entry["name"] == artifact)
    return folder / name


def load(folder: Path, artifact: str) -> None:
    backend, precision = artifact.split("-")
    load_classifier(folder, backend=backend, precision=precision)


def test_the_shipped_bundle_has_each_backend_in_both_precisions() -> None:
    bundle = load_bundle()
    assert sorted(artifact.name for artifact in bundle.manifest.artifacts) == sorted(ARTIFACTS)
    assert bundle.manifest.labels[:10] == tuple("0123456789")
    assert bundle.manifest.preprocess_version == PREPROCESS_VERSION
    for artifact in bundle.manifest.artifacts:
        assert artifact.name == f"{artifact.backend}-{artifact.precision}"
        assert len(bundle.read(artifact)) == artifact.bytes
        assert 0 < artifact.unsure <= artifact.accept < 1
        assert artifact.temperature > 0


def test_the_golden_vectors_make_each_artifact_give_nearly_every_answer() -> None:
    bundle = load_bundle()
    golden = bundle.golden()
    assert (golden.inputs.dtype, golden.inputs.shape[1:]) == (np.uint8, (28, 28))
    for artifact in ARTIFACTS:
        answers = golden.expected(artifact)
        assert answers
        for logits in answers:
            assert logits.shape == (len(golden.inputs), len(bundle.manifest.labels))
            # Vectors that are all alike would not notice a broken output.
            assert len(set(logits.argmax(axis=1).tolist())) >= 9


def test_expected_answers_are_those_of_the_artifact_and_its_references_alone() -> None:
    a, b, c = (np.full((1, 2), value, np.float32) for value in (1, 2, 3))
    golden = Golden(np.zeros((1, 28, 28), np.uint8), {"x-int8": a, "x-int8@reference": b, "x-int8x": c})
    assert [float(logits[0, 0]) for logits in golden.expected("x-int8")] == [1, 2]
    assert golden.expected("x") == []


def test_a_whole_copy_is_as_good_as_the_bundle(bundle_copy: Path) -> None:
    for artifact in ARTIFACTS:
        load(bundle_copy, artifact)


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=list(SPOILS))
@pytest.mark.parametrize("artifact", ARTIFACTS)
def test_an_altered_artifact_is_refused_by_name(bundle_copy: Path, artifact: str, spoil: Spoil) -> None:
    path = file_of(bundle_copy, artifact)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleError, match=f"{path.name} was altered.*expected"):
        load(bundle_copy, artifact)


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=list(SPOILS))
def test_altered_golden_vectors_are_refused_by_name(bundle_copy: Path, spoil: Spoil) -> None:
    path = bundle_copy / stored_manifest(bundle_copy)["golden"]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleError, match=f"{path.name} was altered"):
        load(bundle_copy, "litert-int8")


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=list(SPOILS))
def test_an_altered_manifest_is_refused_by_name(bundle_copy: Path, spoil: Spoil) -> None:
    path = bundle_copy / MANIFEST
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleError, match=MANIFEST):
        load_bundle(bundle_copy)


@pytest.mark.parametrize("name", [*ARTIFACTS, "golden"])
def test_a_missing_file_is_named_and_so_is_the_remedy(bundle_copy: Path, name: str) -> None:
    path = bundle_copy / stored_manifest(bundle_copy)["golden"] if name == "golden" else file_of(bundle_copy, name)
    path.unlink()
    with pytest.raises(BundleError, match=rf"cannot read .*{path.name} .*restore the bundle"):
        load(bundle_copy, ARTIFACTS[0] if name == "golden" else name)


def test_one_broken_artifact_leaves_the_others_usable(bundle_copy: Path) -> None:
    file_of(bundle_copy, "onnx-int8").unlink()
    load(bundle_copy, "litert-int8")


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_changed_byte_of_a_manifest_passes_with_another_meaning(
    bundle_copy: Path, position: int, change: int
) -> None:
    path = bundle_copy / MANIFEST
    intact = (shipped_models()["edge"] / MANIFEST).read_bytes()
    position %= len(intact)
    path.write_bytes(intact[:position] + bytes([intact[position] ^ change]) + intact[position + 1 :])
    if means_the_same(path.read_bytes(), intact):  # another space, or a last digit beyond a float's precision
        assert load_bundle(bundle_copy).manifest == load_bundle().manifest
    else:
        with pytest.raises(BundleError, match=MANIFEST):
            load_bundle(bundle_copy)


Edit = Callable[[dict[str, Any]], None]


def set_value(*keys: str | int, value: Any) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        assert place[keys[-1]] != value
        place[keys[-1]] = value

    return edit


def remove(*keys: str | int) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return edit


def swap_labels(content: dict[str, Any]) -> None:
    labels = content["labels"]
    labels[3], labels[5] = labels[5], labels[3]


@pytest.mark.parametrize(
    "edit",
    [
        swap_labels,
        set_value("artifacts", 0, "accept", value=0.01),
        set_value("artifacts", 0, "temperature", value=3.0),
        set_value("artifacts", 0, "sha256", value="0" * 64),
        set_value("artifacts", 0, "metrics", value={}),
        set_value("golden_sha256", value="0" * 64),
        set_value("preprocess_version", value=PREPROCESS_VERSION + 1),
        set_value("provenance", value={}),
        remove("artifacts", 1),
    ],
    ids=lambda edit: edit.__qualname__.split(".")[0],
)
def test_an_edited_manifest_does_not_fit_its_seal(bundle_copy: Path, edit: Edit) -> None:
    content = stored_manifest(bundle_copy)
    edit(content)
    store(bundle_copy, content)
    with pytest.raises(BundleError, match=f"{MANIFEST} was altered"):
        load_bundle(bundle_copy)


def test_the_seal_covers_meaning_not_layout(bundle_copy: Path) -> None:
    content = stored_manifest(bundle_copy)
    reordered = dict(reversed(content.items()))
    (bundle_copy / MANIFEST).write_text(json.dumps(reordered, indent=7), encoding="utf-8")
    assert load_bundle(bundle_copy).manifest == load_bundle().manifest


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (set_value("preprocess_version", value=PREPROCESS_VERSION + 1), "preprocessing version .*train and export"),
        (set_value("format", value=2), "format 2, expected 1"),
        (remove("format"), "format None, expected 1"),
        (remove("labels"), "not a complete manifest .*labels"),
        (remove("artifacts"), "not a complete manifest .*artifacts"),
        (remove("golden"), "not a complete manifest .*golden"),
        (remove("artifacts", 0, "temperature"), "not a complete manifest .*temperature"),
        (remove("artifacts", 2, "input"), "not a complete manifest .*input"),
        (remove("artifacts", 2, "output", "shape"), "not a complete manifest .*shape"),
        (set_value("artifacts", value=3), "not a complete manifest"),
        (set_value("artifacts", value=[3]), "not a complete manifest"),
        (set_value("labels", value=None), "not a complete manifest"),
        (set_value("artifacts", 1, "input", "shape", value=[1, 32, 32, 1]), "takes .*32.*expected .*28"),
        (set_value("artifacts", 1, "output", "shape", value=[1, 5]), "answers .*5.*expected"),
        (set_value("artifacts", 1, "input", "shape", value=[]), "not a complete manifest"),
        (set_value("artifacts", 1, "input", "shape", value=[2, 28, 28, 1]), "takes .*2, 28.*expected .*1, 28"),
        (set_value("artifacts", 1, "input", "shape", value=[None, 28, 28, 1]), "answers .*1, 11.*expected .*None, 11"),
        (set_value("labels", value=["0", "1"]), "answers .*expected .*2"),
    ],
)
def test_a_sealed_manifest_that_does_not_fit_this_version_is_refused_with_the_reason(
    bundle_copy: Path, edit: Edit, complaint: str
) -> None:
    content = stored_manifest(bundle_copy)
    edit(content)
    store(bundle_copy, sealed(content))
    with pytest.raises(BundleError, match=complaint):
        load_bundle(bundle_copy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '"text"',
        "null",
        "{}",
        '{"sha256": "x"}',
        '{"format": 1, "sha256": "\\ud800", "a": "\\ud800"}',
    ],
)
def test_a_file_that_is_no_manifest_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=MANIFEST):
        load_bundle(tmp_path)


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = load_bundle().manifest
    write_manifest(tmp_path, manifest)
    assert load_bundle(tmp_path).manifest == manifest
    assert stored_manifest(tmp_path) == sealed(stored_manifest(tmp_path))


def test_what_a_manifest_says_in_other_alphabets_survives(tmp_path: Path) -> None:
    manifest = load_bundle().manifest
    provenance = {"author": "Ødegård", "машина": ["π", 1.5, None]}
    noted = Manifest(**{name: getattr(manifest, name) for name in Manifest.__slots__} | {"provenance": provenance})
    write_manifest(tmp_path, noted)
    assert load_bundle(tmp_path).manifest.provenance == provenance


@pytest.mark.parametrize("artifact", ARTIFACTS)
@pytest.mark.parametrize(
    "what",
    ["logits a step and a half off", "two answers swapped", "another input", "no inputs", "no answers", "no number"],
)
def test_altered_golden_vectors_are_refused_even_with_a_seal_that_fits(
    bundle_copy: Path, artifact: str, what: str
) -> None:
    bundle = load_bundle(bundle_copy)
    golden = bundle.golden()
    logits = {name: values.copy() for name, values in golden.logits.items()}
    own = {name for name in logits if name.split("@")[0] == artifact}
    inputs = golden.inputs.copy()
    if what == "logits a step and a half off":
        # Where all that count as right agree: elsewhere, half a step further may be right by the other.
        agreed = np.ptp([logits[name] for name in own], axis=0) == 0
        place = tuple(np.argwhere(agreed)[0])
        for name in own:
            # Distinct answers of a quantized model are whole steps apart; a float model's step is its tolerance.
            values = np.unique(logits[name])
            step = np.diff(values).min() if "int8" in artifact else 1e-4 * np.abs(values).max()
            logits[name][place] -= 1.5 * step
    elif what == "two answers swapped":
        for name in own:
            logits[name][[0, 1]] = logits[name][[1, 0]]
    elif what == "another input":
        inputs[0] = inputs[1]
    elif what == "no inputs":
        inputs, logits = inputs[:0], {name: values[:0] for name, values in logits.items()}
    elif what == "no answers":
        logits = {name: values for name, values in logits.items() if name not in own}
    else:
        for name in own:
            logits[name][0, 0] = np.nan
    buffer = io.BytesIO()
    np.savez(buffer, inputs=inputs, **logits)  # type: ignore[arg-type]
    store_golden(bundle_copy, buffer.getvalue())
    with pytest.raises(BundleError, match="golden"):
        load(bundle_copy, artifact)


@pytest.mark.parametrize("what", ["no archive", "no zip", "no array called inputs", "float inputs", "fewer labels"])
def test_a_golden_file_of_another_kind_is_refused_even_with_a_seal_that_fits(bundle_copy: Path, what: str) -> None:
    golden = load_bundle(bundle_copy).golden()
    arrays: dict[str, Any] = {"inputs": golden.inputs, **golden.logits}
    buffer = io.BytesIO()
    if what == "no archive":
        np.save(buffer, golden.inputs)
    elif what == "no zip":
        buffer.write(b"PK\x03\x04 and then nothing")
    else:
        if what == "no array called inputs":
            arrays["pixels"] = arrays.pop("inputs")
        elif what == "float inputs":
            arrays["inputs"] = arrays["inputs"] / 255
        else:
            arrays = {name: array if name == "inputs" else array[:, :5] for name, array in arrays.items()}
        np.savez(buffer, **arrays)
    store_golden(bundle_copy, buffer.getvalue())
    with pytest.raises(BundleError, match=f"{stored_manifest(bundle_copy)['golden']} does not hold golden vectors"):
        load(bundle_copy, "litert-int8")


def test_an_unknown_model_is_refused_with_the_names_of_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no model egde: shipped are .*edge"):
        load_bundle("egde")
    with pytest.raises(BundleError, match=f"{tmp_path} holds no {MANIFEST}"):
        load_bundle(tmp_path)


def test_an_unknown_precision_is_refused_with_those_there_are() -> None:
    with pytest.raises(BundleError, match=r"no int4 artifact for litert; it has .*--backend onnx --precision float32"):
        load_bundle().artifact("litert", "int4")


def test_a_folder_in_the_current_directory_never_shadows_a_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / MANIFEST).write_text("a trap", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_bundle("edge").folder == shipped_models()["edge"]
    with pytest.raises(BundleError, match="not a manifest"):  # asked for as a folder, it is that folder
        load_bundle("./edge")


def test_a_bundle_is_loaded_from_any_folder_by_its_path(
    bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = Path(shutil.move(bundle_copy, tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    for model in (moved, str(moved), "elsewhere"):
        assert load_bundle(model).manifest == load_bundle().manifest
