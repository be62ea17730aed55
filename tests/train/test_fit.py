from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from scipy.stats import binom

from runtime.errors import DataError, EdgeDigitsError, SinkError
from tests.crops import drawn_crops
from train.augment import AugmentSettings
from train.crops import VALIDATION_CROPS, LabeledCrops
from train.data import NONE, Mnist
from train.epochs import CropPools, EpochSettings
from train.fit import FitSettings, finished, fit, score
from train.networks import load_model, to_int8_grid

ROOT = Path(__file__).resolve().parents[2]
EPOCH = EpochSettings(drawn=0.1, nones=0.2, crops=0.1, crop_nones=0.05, none_pool=60)
SETTINGS = FitSettings(epochs=4, batch=32, average=0.3, epoch=EPOCH, none_margin=2.0, limit=400)
AUGMENTATION = AugmentSettings()
STEPS = 19  # of 32 pictures: 400 digits, 40 drawn, 80 of what is no digit, 40 and 20 crops: 4 are left for the last


class Run(NamedTuple):
    """A finished training."""

    folder: Path
    history: dict[str, Any]

    @property
    def weights(self) -> list[np.ndarray]:
        return list(load_model(self.folder / "model.keras").get_weights())


@pytest.fixture(scope="module")
def unbroken(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("unbroken")
    return Run(folder, fit(drawn, SETTINGS, AUGMENTATION, folder, crops=drawn_crops()))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same training in another process, killed after its first epoch or a little later."""
    folder = tmp_path_factory.mktemp("killed")
    script = (
        "from pathlib import Path; from tests.crops import drawn_crops; from tests.mnist import drawn_digits; "
        "from train.augment import AugmentSettings; from train.epochs import EpochSettings; "
        "from train.fit import FitSettings, fit; "
        f"fit(drawn_digits(), {SETTINGS!r}, {AUGMENTATION!r}, Path({str(folder)!r}), crops=drawn_crops())"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        patience = time.monotonic() + 120
        while not (folder / "checkpoint.keras").exists() and process.poll() is None and time.monotonic() < patience:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        remarks = process.stderr.read() if process.stderr else ""
    assert process.returncode == -signal.SIGKILL, remarks
    assert not (folder / "model.keras").exists()
    return folder


def assert_same(weights: list[np.ndarray], others: list[np.ndarray]) -> None:
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(one, other)


def message(call: Callable[[], object], kind: type[EdgeDigitsError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestAnUnbrokenRun:
    def test_it_leaves_the_model_and_its_history_and_nothing_else(self, unbroken: Run) -> None:
        assert {path.name for path in unbroken.folder.iterdir()} == {"model.keras", "history.json", VALIDATION_CROPS}

    def test_it_is_finished_for_the_same_settings_and_crops_alone(self, unbroken: Run) -> None:
        assert finished(SETTINGS, AUGMENTATION, drawn_crops(), unbroken.folder) == unbroken.history
        assert finished(SETTINGS, AUGMENTATION, None, unbroken.folder) is None
        assert finished(replace(SETTINGS, seed=1), AUGMENTATION, drawn_crops(), unbroken.folder) is None

    def test_its_history_is_complete_and_on_disk(self, unbroken: Run) -> None:
        assert json.loads((unbroken.folder / "history.json").read_text()) == unbroken.history
        assert unbroken.history["settings"] == asdict(SETTINGS)
        assert unbroken.history["augmentation"] == asdict(AUGMENTATION)
        assert [set(epoch) for epoch in unbroken.history["epochs"]] == [
            {
                *("loss", "accuracy", "validation_loss", "validation_accuracy", "validation_count"),
                *("crops_right", "crops_invented", "learning_rate", "seconds"),
            }
        ] * SETTINGS.epochs

    def test_the_crops_it_was_validated_with_are_kept_and_those_it_trained_on_are_known_by_their_hash(
        self, unbroken: Run
    ) -> None:
        crops = drawn_crops()
        kept = LabeledCrops.load(unbroken.folder / VALIDATION_CROPS)
        assert kept.sha256 == crops.validation.sha256
        assert unbroken.history["crops"] == {"train": crops.train.sha256, "validation": kept.sha256}

    def test_crops_are_scored_as_a_camera_sees_them_with_none_not_held_back(self, unbroken: Run) -> None:
        model = load_model(unbroken.folder / "model.keras")
        crops = drawn_crops().validation
        logits = model.predict_on_batch(crops.images[..., None]) + SETTINGS.none_margin * (np.arange(11) == NONE)
        answers, digits = logits.argmax(axis=1), crops.labels != NONE
        last = unbroken.history["epochs"][-1]
        assert last["crops_right"] == (answers[digits] == crops.labels[digits]).mean()
        assert last["crops_invented"] == (answers[~digits] != NONE).mean()

    def test_its_learning_rate_falls_along_a_cosine_to_zero(self, unbroken: Run) -> None:
        warm_up = SETTINGS.epochs * STEPS // 10
        after = np.arange(1, SETTINGS.epochs + 1) * STEPS
        share = (after - warm_up) / (SETTINGS.epochs * STEPS - warm_up)
        expected = SETTINGS.learning_rate * 0.5 * (1 + np.cos(np.pi * share))
        found = [epoch["learning_rate"] for epoch in unbroken.history["epochs"]]
        # float32 arithmetic of values up to the highest rate.
        assert found == pytest.approx(expected, rel=0, abs=4 * 2**-23 * SETTINGS.learning_rate)

    def test_the_saved_model_is_the_one_last_validated(self, unbroken: Run, drawn: Mnist) -> None:
        model = load_model(unbroken.folder / "model.keras")
        loss, accuracy = score(model, drawn.validation_images, drawn.validation_labels)
        last = unbroken.history["epochs"][-1]
        assert accuracy == last["validation_accuracy"]
        assert loss == pytest.approx(last["validation_loss"], rel=1e-6)

    def test_it_learns(self, unbroken: Run, drawn: Mnist) -> None:
        # Guessing is right once in ten, and by luck in this many of the pictures once in a million trials.
        count = len(drawn.validation_labels)
        luck = binom.isf(1e-6, count, 0.1) / count
        assert unbroken.history["epochs"][-1]["validation_accuracy"] > luck
        losses = [epoch["loss"] for epoch in unbroken.history["epochs"]]
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < losses[0] / 2
        # Of averaged weights, on the same digits each time: no chance of the epoch's pictures.
        validation = [epoch["validation_loss"] for epoch in unbroken.history["epochs"]]
        assert validation == sorted(validation, reverse=True)

    def test_another_seed_gives_other_weights(self, unbroken: Run, drawn: Mnist, tmp_path: Path) -> None:
        fit(drawn, replace(SETTINGS, seed=1, epochs=1), AUGMENTATION, tmp_path)
        kernel, other = unbroken.weights[0], Run(tmp_path, {}).weights[0]
        assert (kernel != other).mean() > 0.99


def test_mnist_is_learned_from_a_few_digits(mnist: Mnist, tmp_path: Path) -> None:
    settings = FitSettings(epochs=2, batch=32, epoch=EpochSettings(none_pool=200), limit=2000)
    history = fit(mnist, settings, AUGMENTATION, tmp_path)
    # Guessing gives 11.4 % at best, always the commonest digit; a network with its labels mixed up does no better.
    assert history["epochs"][-1]["validation_accuracy"] > 0.6


class TestResume:
    def test_a_checkpoint_holds_what_was_validated_the_averaged_weights_on_the_grid_with_none_held_back(
        self, killed: Path, drawn: Mnist
    ) -> None:
        def loss() -> float:
            return score(stopped, drawn.validation_images, drawn.validation_labels)[0]

        stopped = load_model(killed / "checkpoint.keras")
        done = int(stopped.optimizer.iterations.numpy()) // STEPS
        validated = json.loads((killed / "history.json").read_text())["epochs"][done - 1]["validation_loss"]
        of_training = loss()
        stopped.optimizer.finalize_variable_values(stopped.trainable_variables)
        of_average = loss()
        kernel, bias = stopped.get_layer("logits").get_weights()
        stopped.get_layer("logits").set_weights([kernel, bias - SETTINGS.none_margin * (np.arange(11) == 10)])
        to_int8_grid(stopped)
        assert loss() == pytest.approx(validated, rel=1e-6)
        assert len({round(each, 3) for each in (of_training, of_average, validated)}) == 3

    def test_a_killed_run_goes_on_to_the_very_weights_of_an_unbroken_one(
        self, unbroken: Run, killed: Path, drawn: Mnist, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(killed, tmp_path / "run")
        history = fit(drawn, SETTINGS, AUGMENTATION, folder, True, drawn_crops())
        assert_same(Run(folder, history).weights, unbroken.weights)
        for resumed, straight in zip(history["epochs"], unbroken.history["epochs"], strict=True):
            assert resumed | {"seconds": 0} == straight | {"seconds": 0}

    def test_a_run_stopped_before_its_model_was_saved_only_has_to_save_it(
        self, unbroken: Run, drawn: Mnist, tmp_path: Path
    ) -> None:
        # What the model is first written to is taken: as a full disk would, this stops the run after its last epoch.
        blocker = tmp_path / "fresh-model.keras" / "blocker"
        blocker.mkdir(parents=True)
        crops = drawn_crops()
        assert str(tmp_path) in message(lambda: fit(drawn, SETTINGS, AUGMENTATION, tmp_path, crops=crops), SinkError)
        blocker.rmdir()
        blocker.parent.rmdir()
        history = fit(drawn, SETTINGS, AUGMENTATION, tmp_path, True, drawn_crops())
        assert len(history["epochs"]) == SETTINGS.epochs
        assert_same(Run(tmp_path, history).weights, unbroken.weights)

    @pytest.mark.parametrize(
        "change", [{"epochs": 5}, {"batch": 16}, {"seed": 1}, {"limit": None}, {"learning_rate": 1e-3}]
    )
    def test_other_settings_are_refused(
        self, unbroken: Run, drawn: Mnist, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        (tmp_path / "checkpoint.keras").touch()
        (tmp_path / "history.json").write_text(json.dumps(unbroken.history))
        ((name, value),) = change.items()
        text = message(lambda: fit(drawn, replace(SETTINGS, **change), AUGMENTATION, tmp_path, True, drawn_crops()))
        assert f"another {name}" in text
        assert str(value) in text
        assert str(getattr(SETTINGS, name)) in text

    def test_another_augmentation_is_refused(self, unbroken: Run, drawn: Mnist, tmp_path: Path) -> None:
        (tmp_path / "checkpoint.keras").touch()
        (tmp_path / "history.json").write_text(json.dumps(unbroken.history))
        assert "another bend" in message(
            lambda: fit(drawn, SETTINGS, replace(AUGMENTATION, bend=0.75), tmp_path, True, drawn_crops())
        )

    @pytest.mark.parametrize("crops", [None, CropPools(drawn_crops().validation, drawn_crops().validation)])
    def test_other_crops_are_refused(
        self, unbroken: Run, drawn: Mnist, tmp_path: Path, crops: CropPools | None
    ) -> None:
        (tmp_path / "checkpoint.keras").touch()
        (tmp_path / "history.json").write_text(json.dumps(unbroken.history))
        assert "another crops" in message(lambda: fit(drawn, SETTINGS, AUGMENTATION, tmp_path, True, crops))

    def test_a_folder_without_a_checkpoint_is_refused(self, drawn: Mnist, tmp_path: Path) -> None:
        text = message(lambda: fit(drawn, SETTINGS, AUGMENTATION, tmp_path / "run", True, drawn_crops()))
        assert str(tmp_path / "run") in text
        assert "without --resume" in text
        assert not (tmp_path / "run").exists()

    def test_a_broken_checkpoint_is_refused(self, unbroken: Run, drawn: Mnist, tmp_path: Path) -> None:
        (tmp_path / "checkpoint.keras").write_bytes(b"half")
        (tmp_path / "history.json").write_text(json.dumps(unbroken.history))
        text = message(lambda: fit(drawn, SETTINGS, AUGMENTATION, tmp_path, True, drawn_crops()))
        assert str(tmp_path / "checkpoint.keras") in text

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": 1, "augmentation": {}, "epochs": []}'])
    def test_a_broken_history_is_refused(self, drawn: Mnist, tmp_path: Path, content: str) -> None:
        (tmp_path / "checkpoint.keras").touch()
        (tmp_path / "history.json").write_text(content)
        text = message(lambda: fit(drawn, SETTINGS, AUGMENTATION, tmp_path, True, drawn_crops()))
        assert str(tmp_path / "history.json") in text


@pytest.mark.parametrize("kept", [slice(0, 100), slice(100, 200)], ids=["digits only", "none only"])
def test_crops_of_one_kind_only_are_refused(drawn: Mnist, tmp_path: Path, kept: slice) -> None:
    whole = drawn_crops().train
    half = LabeledCrops(whole.images[kept], whole.labels[kept], whole.kinds[kept], whole.frames[kept])
    crops = CropPools(half, drawn_crops().validation)
    assert "too few frames" in message(lambda: fit(drawn, SETTINGS, AUGMENTATION, tmp_path / "run", crops=crops))


def test_a_folder_that_cannot_be_made_is_one_line_that_names_it(drawn: Mnist, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = tmp_path / "file" / "run"
    assert str(run) in message(lambda: fit(drawn, SETTINGS, AUGMENTATION, run), SinkError)


def test_score_is_the_cross_entropy_and_the_share_of_right_labels() -> None:
    # A model that copies its first three pixels: the logits are known.
    pixels = keras.Input((28, 28, 1))
    model = keras.Model(pixels, keras.layers.Flatten()(pixels)[:, :3])
    images = np.zeros((501, 28, 28), np.uint8)  # one more than a chunk
    images[:, 0, 1] = 2
    labels = np.ones(501, np.uint8)
    labels[0] = 0
    total = np.log(2 + np.e**2)
    assert score(model, images, labels) == pytest.approx(((total + 500 * (total - 2)) / 501, 500 / 501), rel=1e-6)


def test_single_epochs_look_at_some_of_the_crops_and_the_last_at_all(
    drawn: Mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = drawn_crops()
    seen: list[LabeledCrops] = []
    monkeypatch.setattr("train.fit.GLANCE", 7)

    def look(_: keras.Model, looked_at: LabeledCrops) -> dict[str, float]:
        seen.append(looked_at)
        return {}

    monkeypatch.setattr("train.fit._score_crops", look)
    fit(drawn, replace(SETTINGS, epochs=2, limit=64), AUGMENTATION, tmp_path, crops=crops)
    some, whole = seen
    assert 0 < len(some.labels) <= 7 < len(whole.labels)
    assert len(some.images) == len(some.labels) == len(some.kinds) == len(some.frames)
    assert whole.sha256 == crops.validation.sha256
