from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from runtime.errors import DataError
from tests.crops import drawn_crops
from train.augment import AugmentSettings
from train.data import NONE, Mnist
from train.distill import Distillation, Teacher, accuracy, load_teacher
from train.epochs import EpochSettings
from train.fit import FitSettings, finished, fit
from train.networks import NETWORKS, load_model, logits_of

SETTINGS = FitSettings("micro", epochs=2, batch=32, epoch=EpochSettings(none_pool=60), none_margin=2.0, limit=100)
RNG = np.random.default_rng(5)
LOGITS, TAUGHT = RNG.normal(0, 3, (2, 6, 11)).astype(np.float32)
CLASSES = np.array([3, 0, 10, 9, 1, 3], np.uint8)
TARGETS = np.concatenate([CLASSES[:, None].astype(np.float32), TAUGHT], axis=1)


@pytest.fixture(scope="module")
def run(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    fit(drawn, SETTINGS, AugmentSettings(), folder)
    return folder


def loss(share: float, temperature: float) -> float:
    return float(Distillation(share, temperature)(TARGETS, LOGITS))


class TestDistillation:
    def test_without_a_share_it_is_cross_entropy_with_the_classes(self) -> None:
        expected = -log_softmax(LOGITS, axis=1)[np.arange(6), CLASSES].mean()
        assert loss(0.0, 2.0) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
    def test_a_whole_share_is_cross_entropy_with_softened_answers(self, temperature: float) -> None:
        each = (softmax(TAUGHT / temperature, axis=1) * log_softmax(LOGITS / temperature, axis=1)).sum(axis=1)
        assert loss(1.0, temperature) == pytest.approx(-(temperature**2) * each.mean(), rel=1e-5)

    def test_a_share_of_both_lies_between_them(self) -> None:
        assert loss(0.25, 2.0) == pytest.approx(0.75 * loss(0.0, 2.0) + 0.25 * loss(1.0, 2.0), rel=1e-5)

    def test_it_is_least_where_the_answers_are_the_teachers(self) -> None:
        whole = Distillation(1.0, 2.0)
        assert float(whole(TARGETS, TAUGHT)) < min(float(whole(TARGETS, TAUGHT + d)) for d in RNG.normal(0, 1, (9, 11)))

    def test_a_checkpoint_keeps_its_settings(self) -> None:
        again = keras.losses.deserialize(keras.losses.serialize(Distillation(0.3, 5.0)))
        assert (again.share, again.temperature) == (0.3, 5.0)

    def test_accuracy_is_of_the_classes_not_of_the_teachers_answers(self) -> None:
        np.testing.assert_array_equal(accuracy(TARGETS, LOGITS), LOGITS.argmax(axis=1) == CLASSES)


class TestTeacher:
    def test_it_answers_as_in_training_with_none_not_held_back(self, run: Path) -> None:
        pictures = RNG.integers(0, 256, (501, 28, 28), dtype=np.uint8)
        classes = np.resize(CLASSES, 501)
        teacher = load_teacher(run, 11)
        targets = teacher.targets(pictures, classes)
        assert (targets.shape, targets.dtype) == ((501, 12), np.float32)
        np.testing.assert_array_equal(targets[:, 0], classes)
        held_back = logits_of(load_model(run / "model.keras"), pictures)
        raised = SETTINGS.none_margin * (np.arange(11) == NONE)
        np.testing.assert_allclose(targets[:, 1:], held_back + raised, rtol=0, atol=1e-4)
        assert teacher.sha256 == hashlib.sha256((run / "model.keras").read_bytes()).hexdigest()

    def test_one_of_other_labels_is_refused(self, run: Path) -> None:
        with pytest.raises(DataError, match="knows 11 labels and is to teach 10"):
            load_teacher(run, 10)

    @pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"settings": {"none_margin": "much"}}'])
    def test_a_broken_history_is_one_line_that_names_it(self, run: Path, tmp_path: Path, content: str | None) -> None:
        (tmp_path / "model.keras").write_bytes((run / "model.keras").read_bytes())
        if content is not None:
            (tmp_path / "history.json").write_text(content)
        with pytest.raises(DataError) as caught:
            load_teacher(tmp_path, 11)
        assert str(tmp_path / "history.json") in str(caught.value)
        assert "\n" not in str(caught.value)


class TestLearningFromATeacher:
    def test_the_student_believes_a_teacher_that_contradicts_the_labels(self, drawn: Mnist, tmp_path: Path) -> None:
        stubborn = NETWORKS["micro"]()
        layer = stubborn.get_layer("logits")
        kernel, bias = layer.get_weights()
        bias[7] = 20
        layer.set_weights([np.zeros_like(kernel), bias])
        settings = replace(SETTINGS, epochs=4, taught=0.9)
        sevens = []
        for teacher in (None, Teacher(stubborn, "stubborn")):
            fit(drawn, settings, AugmentSettings(), tmp_path, teacher=teacher)
            answers = logits_of(load_model(tmp_path / "model.keras"), drawn.validation_images).argmax(axis=1)
            sevens.append(float((answers == 7).mean()))
        assert sevens[0] < 0.5
        assert sevens[1] > 0.9

    def test_the_history_knows_the_teacher_and_a_run_with_another_is_not_gone_on_with(
        self, run: Path, drawn: Mnist, tmp_path: Path
    ) -> None:
        teacher = load_teacher(run, 11)
        crops = drawn_crops()
        history = fit(drawn, SETTINGS, AugmentSettings(), tmp_path, crops=crops, teacher=teacher)
        assert history["teacher"] == {"network": "micro", "sha256": teacher.sha256}
        assert json.loads((tmp_path / "history.json").read_text()) == history
        assert finished(SETTINGS, AugmentSettings(), crops, tmp_path, teacher) == history
        assert finished(SETTINGS, AugmentSettings(), crops, tmp_path) is None
        (tmp_path / "checkpoint.keras").touch()
        with pytest.raises(DataError, match="another teacher"):
            fit(drawn, SETTINGS, AugmentSettings(), tmp_path, True, crops)

    def test_a_stopped_run_goes_on_to_the_same_weights(self, run: Path, drawn: Mnist, tmp_path: Path) -> None:
        teacher = load_teacher(run, 11)
        weights = []
        for name, stop in (("whole", False), ("stopped", True)):
            folder = tmp_path / name

            def stopping(epoch: int, _: object, stop: bool = stop) -> None:
                if stop and epoch == 1:
                    raise KeyboardInterrupt

            try:
                fit(drawn, SETTINGS, AugmentSettings(), folder, teacher=teacher, watch=stopping)
            except KeyboardInterrupt:
                fit(drawn, SETTINGS, AugmentSettings(), folder, True, teacher=teacher)
            weights.append(load_model(folder / "model.keras").get_weights())
        for one, other in zip(*weights, strict=True):
            np.testing.assert_array_equal(one, other)
