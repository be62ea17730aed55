from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from export.classifiers import reference_classifier
from export.clips import Clip, ClipFrame
from export.findings import Verification
from export.formats import FORMATS
from export.limits import NONE_SHARE, Limits, LimitSet, ReplayLimits
from export.parity import Parities, Parity
from export.samples import InputSet, gate_set, mnist_set, none_set
from export.verification import verify
from runtime.backends import load_classifier
from runtime.bundle import load_bundle
from runtime.errors import BundleError
from runtime.pages import draw_page
from train.data import LABELS, Mnist

GATE = 300
STRICT = Limits(disagreement=0, accuracy_drop=-1, recall_drop=-1, logits=0)


@pytest.fixture(scope="module")
def sets(drawn: Mnist) -> list[InputSet]:
    return [
        gate_set(drawn, GATE),
        none_set(drawn, GATE // NONE_SHARE),
        mnist_set(drawn),
        blends(drawn),
    ]


def blends(drawn: Mnist) -> InputSet:
    """Two digits over each other, as hard for a network as can be: quantizing must flip some."""
    images = drawn.train_images
    rng = np.random.default_rng(9)
    first, second = rng.integers(0, len(images), (2, 1000))
    both = np.maximum(images[first], images[second])
    return InputSet("blends", both, drawn.train_labels[first], first, gates=False)


def clip(count: int) -> Clip:
    """A page before a camera that does not move."""
    page = draw_page(["407"], (320, 240), np.random.default_rng(5))
    return Clip("demo", count, [ClipFrame(page.pixels[:, :, 1], page.digits)] * count, moving=True)


def replaced(parity: Parity) -> dict[str, object]:
    """Without what may differ by a rounding of Keras's, which answers batches of other sizes."""
    return asdict(replace(parity, logit_difference=0))


@pytest.fixture(scope="module")
def found(exported: tuple[Path, Parities], sets: list[InputSet], trial_limits: LimitSet) -> Verification:
    bundle = load_bundle(exported[0])
    return verify(bundle, reference_classifier(bundle, "keras"), sets, [clip(3)], trial_limits)


class TestAnHonestBundle:
    def test_it_breaks_no_limit(self, found: Verification) -> None:
        assert found.breaches == ()
        assert found.reference == "keras"

    def test_every_artifact_is_compared_on_every_set(self, found: Verification) -> None:
        asked = [(each.images, each.parity.artifact) for each in found.comparisons]
        assert asked == [(name, artifact) for name in ("gate", "none", "mnist", "blends") for artifact in FORMATS]
        assert [each.artifact for each in found.replays] == list(FORMATS)
        assert {each.frames for each in found.replays} == {3}

    def test_it_says_what_export_said(self, found: Verification, exported: tuple[Path, Parities]) -> None:
        said = [*exported[1]["gate"], *exported[1]["none"]]
        for again, first in zip(found.comparisons[: 2 * len(FORMATS)], said, strict=True):
            assert replaced(again.parity) == replaced(first)
            assert again.parity.logit_difference == pytest.approx(first.logit_difference, rel=0.01, abs=1e-5)

    def test_steps_are_logits_over_the_artifacts_step(self, found: Verification) -> None:
        scales = {each.name: each.output.scale for each in found.bundle.manifest.artifacts}
        for each in found.comparisons:
            assert each.logits is not None
            assert (each.steps is None) == ("int8" not in each.parity.artifact)
            if each.steps:
                expected = each.logits.largest / scales[each.parity.artifact]
                assert each.steps.largest == pytest.approx(expected, rel=1e-6)
                assert each.steps.median > 0.1  # rounding alone moves the largest of eleven logits about a step
            assert each.probability is not None
            assert each.probability.largest <= 1
            assert each.not_finite == 0

    def test_other_kernels_are_compared_too(self, found: Verification) -> None:
        pairs = [(each.name, each.against) for each in found.kernels if "tflite-runtime" not in each.name]
        litert = [name for name in FORMATS if name.startswith("litert")]
        assert pairs == [
            ("onnx-int8", "litert-int8"),
            ("onnx-float32", "litert-float32"),
            *((f"{name} without XNNPACK", name) for name in litert),
        ]
        assert {each.count for each in found.kernels} == {GATE}
        assert [each.flips for each in found.kernels if "float" in each.name] == [0, 0, 0]

    def test_every_flip_is_shown_with_what_each_said(
        self, found: Verification, sets: list[InputSet], exported: tuple[Path, Parities]
    ) -> None:
        assert found.flips
        for images in sets:
            flips = [each for each in found.flips if each.images == images.name]
            flipped = {(each.index, name) for each in flips for name, answer in each.answers.items()
                       if answer[0] != each.reference[0]}  # fmt: skip
            expected = set()
            reference = load_classifier(exported[0], backend="litert", precision="float32").logits(images.images)
            for name in FORMATS:
                backend, precision = name.split("-", 1)
                logits = load_classifier(exported[0], backend=backend, precision=precision).logits(images.images)
                labels = [images.judged(each, 4.0).argmax(axis=1) for each in (reference, logits)]
                differ = np.flatnonzero(labels[0] != labels[1])
                expected |= {(int(index), name) for index in differ}
            assert flipped == expected
            for each in flips:
                np.testing.assert_array_equal(each.pixels, images.images[each.index])
                assert each.truth == LABELS[images.labels[each.index]]


class TestLimits:
    def test_each_broken_limit_is_a_line_and_a_set_that_is_only_reported_breaks_none(
        self, found: Verification, sets: list[InputSet]
    ) -> None:
        strict = replace(found.limits.with_precision("float32", STRICT), replay=ReplayLimits(1.1, 1.1))
        bundle = found.bundle
        again = verify(bundle, reference_classifier(bundle, "onnx"), sets, [clip(1)], strict)
        lines = "\n".join(again.breaches)
        for start in ("accuracy may drop", "recall of"):
            assert f"gate: litert-float32: {start}" in lines
            assert f"none: litert-float32: {start}" in lines
        assert "demo: litert-int8: 100.00% of digits are read the same, limit 110.00%" in lines
        same = "100.00% of what is read where no digit is are the same at the most, limit 110.00%"
        assert f"demo: litert-int8: {same}" in lines
        assert "kernels: litert-float32 without XNNPACK against litert-float32: logits differ" in lines
        assert "mnist" not in lines
        assert "gate: litert-int8" not in lines  # its limits are as loose as before


class TestReferences:
    def test_the_onnx_file_stands_in_and_is_not_compared_with_itself(
        self, found: Verification, sets: list[InputSet]
    ) -> None:
        again = verify(found.bundle, reference_classifier(found.bundle, "onnx"), sets[:1], [], found.limits)
        assert again.reference == "onnx"
        assert [each.parity.artifact for each in again.comparisons] == [n for n in FORMATS if n != "onnx-float32"]
        assert again.replays == ()
        by_keras = {each.parity.artifact: each.parity.disagreement for each in found.comparisons[: len(FORMATS)]}
        for each in again.comparisons:
            assert each.parity.disagreement == by_keras[each.parity.artifact]

    def test_a_float_model_that_was_altered_is_refused(self, found: Verification, tmp_path: Path) -> None:
        (tmp_path / "model.keras").write_bytes(b"another")
        with pytest.raises(BundleError, match=r"model\.keras was altered"):
            reference_classifier(replace(found.bundle, folder=tmp_path), "keras")

    def test_a_float_model_that_is_missing_names_the_other_reference(self, found: Verification, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"cannot read .*model\.keras.*--reference onnx"):
            reference_classifier(replace(found.bundle, folder=tmp_path), "keras")
