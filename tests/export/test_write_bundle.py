from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from export.formats import FORMATS
from export.limits import NONE_SHARE, LimitSet, load_limits
from export.parity import Parities
from export.samples import (
    GOLDEN_COUNT,
    calibration_set,
    calibration_subsets,
    gate_set,
    golden_inputs,
    none_set,
)
from export.write_bundle import ParityError, export_bundle, replace_folder
from runtime.backends import load_classifier
from runtime.bundle import MANIFEST, load_bundle
from runtime.errors import DataError, EdgeDigitsError, SinkError, UsageError
from runtime.preprocess import INK_LEVEL
from runtime.values import Image
from train.data import LABELS, Mnist
from train.networks import load_model

GATE = 300
TRAINING = {"settings": {"seed": 0, "none_margin": 4.0}, "last_epoch": {"loss": 1.5}}
ARTIFACTS = [tuple(name.split("-", 1)) for name in FORMATS]
FILES = {
    "some-int8.tflite",
    "some-dynamic.tflite",
    "some-float16.tflite",
    "some-float32.tflite",
    "some-float32.onnx",
    "some-float32-batch.onnx",
    "some-int8.onnx",
    "golden.npz",
    "model.keras",
    "manifest.json",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def message(call: Callable[[], object], kind: type[EdgeDigitsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def manifest(exported: tuple[Path, Parities]) -> dict[str, Any]:
    return dict(json.loads((exported[0] / MANIFEST).read_text()))


class TestAnExportedBundle:
    def test_it_has_every_file_and_leaves_nothing_beside_it(self, exported: tuple[Path, Parities]) -> None:
        folder, _ = exported
        assert set(contents(folder)) == FILES
        assert [path.name for path in folder.parent.iterdir()] == ["some"]

    def test_its_manifest_vouches_for_every_file(
        self, exported: tuple[Path, Parities], manifest: dict[str, Any]
    ) -> None:
        folder, _ = exported
        bundle = load_bundle(folder)
        assert bundle.manifest.name == "some"
        assert bundle.manifest.labels == LABELS
        found = {name: hashlib.sha256(content).hexdigest() for name, content in contents(folder).items()}
        vouched = {artifact["file"]: artifact["sha256"] for artifact in manifest["artifacts"]}
        vouched[manifest["golden"]] = manifest["golden_sha256"]
        vouched[manifest["provenance"]["float_model"]["file"]] = manifest["provenance"]["float_model"]["sha256"]
        assert vouched == {name: found[name] for name in FILES - {MANIFEST}}
        sizes = {artifact["file"]: artifact["bytes"] for artifact in manifest["artifacts"]}
        assert sizes == {file: (folder / file).stat().st_size for file in sizes}

    @pytest.mark.parametrize(("backend", "precision"), ARTIFACTS)
    def test_each_artifact_loads_and_reads_digits(
        self, exported: tuple[Path, Parities], drawn: Mnist, backend: str, precision: str
    ) -> None:
        folder, _ = exported
        classifier = load_classifier(folder, backend=backend, precision=precision)  # asks the golden vectors
        right = classifier.logits(drawn.test_images).argmax(axis=1) == drawn.test_labels
        metric = classifier.artifact.metrics["mnist_test"]
        assert metric["accuracy"] == pytest.approx(right.mean(), abs=1e-6)
        assert metric["n"] == len(drawn.test_labels)
        # Drawn digits are easy; an artifact with its pixels or labels wrong falls to the tenth that guessing gives.
        assert right.mean() > 0.9

    def test_parity_is_of_the_whole_gate_set_and_on_record(
        self, exported: tuple[Path, Parities], manifest: dict[str, Any]
    ) -> None:
        _, parities = exported
        assert list(parities) == ["gate", "none"]
        for name, key, count in (("gate", "parity", GATE), ("none", "parity_none", GATE // NONE_SHARE)):
            assert [parity.artifact for parity in parities[name]] == ["-".join(pair) for pair in ARTIFACTS]
            assert {parity.count for parity in parities[name]} == {count}
            for parity, record in zip(parities[name], manifest["provenance"][key], strict=True):
                assert record["artifact"] == parity.artifact
                assert record["disagreement"] == parity.disagreement
            assert [parity.disagreement for parity in parities[name] if "float32" in parity.artifact] == [0, 0, 0]

    def test_its_figures_are_those_of_its_artifacts_on_the_gate(
        self, exported: tuple[Path, Parities], drawn: Mnist
    ) -> None:
        folder, parities = exported
        gate = gate_set(drawn, GATE)
        for parity, (backend, precision) in zip(parities["gate"], ARTIFACTS, strict=True):
            classifier = load_classifier(folder, backend=backend, precision=precision)
            accuracy = float((classifier.logits(gate.images).argmax(axis=1) == gate.labels).mean())
            assert accuracy == parity.accuracy
            assert classifier.artifact.metrics["gate"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)

    def test_its_temperature_makes_confidence_fit_accuracy(self, exported: tuple[Path, Parities], drawn: Mnist) -> None:
        gate = gate_set(drawn, GATE)

        def cross_entropy(temperature: float) -> float:
            logits = classifier.logits(gate.images).astype(np.float64) / temperature
            return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(GATE), gate.labels]).mean())

        for backend, precision in ARTIFACTS:
            classifier = load_classifier(exported[0], backend=backend, precision=precision)
            best = classifier.artifact.temperature
            assert np.exp(-2) <= best <= np.exp(2)
            assert cross_entropy(best) <= min(cross_entropy(best * 0.98), cross_entropy(best * 1.02))

    def test_it_says_where_it_comes_from(self, manifest: dict[str, Any], drawn: Mnist) -> None:
        provenance = manifest["provenance"]
        assert provenance["training"] == TRAINING
        assert provenance["data"] == drawn.checksums
        assert provenance["calibration"]["sha256"] == hashlib.sha256(calibration_set(drawn).tobytes()).hexdigest()
        dependence = provenance["calibration"]["dependence"]
        assert (dependence["calibration_count"], dependence["count"]) == (500, GATE)
        assert provenance["limits_version"] == load_limits().version
        assert set(provenance["packages"]) >= {"tensorflow", "keras", "onnxruntime", "numpy"}

    def test_a_second_export_replaces_it_and_keeps_its_card(
        self,
        exported: tuple[Path, Parities],
        trained: keras.Model,
        drawn: Mnist,
        tmp_path: Path,
        trial_limits: LimitSet,
    ) -> None:
        folder = tmp_path / "some"
        folder.mkdir()
        (folder / "README.md").write_text("my card")
        (folder / MANIFEST).write_text("an older bundle")
        (folder / "some-int16.tflite").write_bytes(b"an artifact of older days")
        export_bundle(trained, drawn, folder, TRAINING, gate_count=GATE, limits=trial_limits, formats=tuple(FORMATS))
        new, first = contents(folder), contents(exported[0])
        assert new.pop("README.md") == b"my card"
        assert [path.name for path in tmp_path.iterdir()] == ["some"]
        # The same model: the same bundle, byte for byte, its manifest and Keras's archive too.
        assert set(new) == FILES
        assert [name for name in FILES if new[name] != first[name]] == []

    def test_its_float_model_holds_no_hour_and_answers_as_the_trained_one(
        self, exported: tuple[Path, Parities], trained: keras.Model, drawn: Mnist
    ) -> None:
        path = exported[0] / "model.keras"
        with zipfile.ZipFile(path) as archive:
            assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
            assert archive.testzip() is None
            assert set(json.loads(archive.read("metadata.json"))) == {"keras_version"}
        images = drawn.test_images[..., None]
        np.testing.assert_array_equal(load_model(path).predict_on_batch(images), trained.predict_on_batch(images))


class TestARefusedExport:
    def test_a_model_that_int8_breaks_leaves_the_old_bundle_as_it_was(
        self,
        exported: tuple[Path, Parities],
        unquantizable: keras.Model,
        drawn: Mnist,
        trial_limits: LimitSet,
    ) -> None:
        folder, _ = exported
        before = contents(folder)
        with pytest.raises(ParityError) as caught:
            export_bundle(unquantizable, drawn, folder, TRAINING, gate_count=GATE, limits=trial_limits)
        text = str(caught.value)
        broken = {each.artifact for each in caught.value.parities["gate"] if each.breaches}
        assert broken == {"litert-int8", "onnx-int8"}
        assert "some is left as it was: " in text
        assert "litert-int8: " in text
        assert "float32" not in text
        assert contents(folder) == before
        assert [path.name for path in folder.parent.iterdir()] == ["some"]

    @pytest.mark.parametrize("there", ["a file in it", "a file"])
    def test_a_folder_that_is_no_bundle_is_never_replaced(
        self, trained: keras.Model, drawn: Mnist, tmp_path: Path, there: str
    ) -> None:
        folder = tmp_path / "thesis"
        if there == "a file":
            folder.write_text("years of work")
        else:
            folder.mkdir()
            (folder / "thesis.tex").write_text("years of work")
        before = contents(tmp_path)
        text = message(lambda: export_bundle(trained, drawn, folder, TRAINING, gate_count=GATE), UsageError)
        assert str(folder) in text
        assert contents(tmp_path) == before

    def test_a_model_of_another_shape_is_refused(self, drawn: Mnist, tmp_path: Path) -> None:
        pixels = keras.Input((32, 32, 1))
        other = keras.Model(pixels, keras.layers.Dense(10)(keras.layers.Flatten()(pixels)))
        text = message(lambda: export_bundle(other, drawn, tmp_path / "some", TRAINING, gate_count=GATE), DataError)
        assert "(32, 32, 1)" in text
        assert "(28, 28, 1)" in text

    def test_a_folder_that_cannot_be_made_is_one_line(self, trained: keras.Model, drawn: Mnist, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        folder = tmp_path / "file" / "some"
        assert str(folder) in message(
            lambda: export_bundle(trained, drawn, folder, TRAINING, gate_count=GATE), SinkError
        )


class TestReplaceFolder:
    @pytest.fixture
    def staging(self, tmp_path: Path) -> Path:
        staging = tmp_path / ".staging"
        staging.mkdir()
        return staging

    def test_the_new_takes_the_place_of_the_old(self, tmp_path: Path, staging: Path) -> None:
        (tmp_path / "some").mkdir()
        (tmp_path / "some" / "old").touch()
        (staging / "some").mkdir()
        (staging / "some" / "new").touch()
        replace_folder(tmp_path / "some", staging / "some")
        assert set(contents(tmp_path)) == {"some/new"}
        assert list(staging.iterdir()) == []

    def test_a_rename_that_fails_brings_the_old_one_back(self, tmp_path: Path, staging: Path) -> None:
        (tmp_path / "some").mkdir()
        (tmp_path / "some" / "old").write_text("as it was")
        with pytest.raises(OSError, match="some"):
            replace_folder(tmp_path / "some", staging / "some")  # nothing there to rename
        assert contents(tmp_path) == {"some/old": b"as it was"}
        assert list(staging.iterdir()) == []


class TestSamples:
    def test_the_gate_set_is_of_validation_images_in_turn(self, drawn: Mnist) -> None:
        gate = gate_set(drawn, 450)  # of 200 validation images: twice all and a part
        images, truth = gate.images, gate.labels
        np.testing.assert_array_equal(gate.origins, np.arange(450) % 200)
        assert images.shape == (450, 28, 28)
        np.testing.assert_array_equal(truth, np.concatenate([drawn.validation_labels] * 3)[:450])
        assert images.max(axis=(1, 2)).min() >= INK_LEVEL
        assert (images[:200] != images[200:400]).any(axis=(1, 2)).mean() > 0.99  # varied anew each time

    def test_what_is_not_a_digit_is_all_none_and_each_is_another(self, drawn: Mnist) -> None:
        none = none_set(drawn, 60)
        assert (none.images.shape, none.camera, none.gates) == ((60, 28, 28), True, True)
        assert set(none.labels.tolist()) == {LABELS.index("none")}
        assert len({image.tobytes() for image in none.images}) == len(set(none.origins.tolist())) == 60

    def test_the_sets_are_the_same_in_every_export(self, drawn: Mnist) -> None:
        for make in (gate_set, none_set):
            assert make(drawn, 60).sha256 == make(drawn, 60).sha256
        np.testing.assert_array_equal(calibration_set(drawn, 60), calibration_set(drawn, 60))

    def test_calibration_takes_training_images_only_and_reaches_both_ends_of_gray(self, drawn: Mnist) -> None:
        calibration = calibration_set(drawn, 400)
        training = {image.tobytes() for image in drawn.train_images}
        assert all(image.tobytes() in training for image in calibration[:200])
        assert (calibration.min(), calibration.max()) == (0, 255)

    def test_calibration_subsets_share_no_image_and_fit_what_there_is(self, drawn: Mnist) -> None:
        for count, size in ((200, 200), (1000, 500)):
            first, second = calibration_subsets(drawn, count)
            assert (len(first), len(second)) == (size, size)
            # The first half of each is as it was in the training set, the other half was varied.
            kept = [{image.tobytes() for image in each[: size // 2]} for each in (first, second)]
            assert not kept[0] & kept[1]
        np.testing.assert_array_equal(calibration_subsets(drawn, 60)[1], calibration_subsets(drawn, 60)[1])

    def test_golden_inputs_are_the_clearest_of_all_classes_and_a_blank_and_noise(self) -> None:
        # A model that is surest of the ink's mass: the clearest of a class are then its heaviest.
        def answer(images: Image) -> npt.NDArray[np.float32]:
            mass = images.reshape(len(images), -1).mean(axis=1, dtype=np.float32)
            logits = np.zeros((len(images), 11), np.float32)
            logits[np.arange(len(images)), np.arange(len(images)) % 10] = mass
            return logits

        inputs = golden_inputs(answer)
        assert len({image.tobytes() for image in inputs}) == len(inputs) == GOLDEN_COUNT
        mass = inputs[:-2].reshape(GOLDEN_COUNT - 2, -1).mean(axis=1)
        assert (mass[:4] >= mass[10:]).all()  # 0 to 3 come twice, the clearer one first
        assert not inputs[-2].any()
        assert inputs[-1].std() > 70  # even noise: 255 / √12 = 73.6
