from __future__ import annotations

import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from runtime.errors import DataError
from runtime.preprocess import FIELD
from train.data import LABELS, NONE
from train.networks import NETWORKS, SpaceToDepth, load_model, multiply_accumulates, to_int8_grid, weight_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (5, FIELD, FIELD, 1), dtype=np.uint8)

each_network = pytest.mark.parametrize("name", NETWORKS)


@each_network
def test_a_network_answers_pixels_with_a_logit_for_each_label(name: str) -> None:
    keras.utils.set_random_seed(0)  # by chance a row of logits sums to one, once in some hundred networks
    model = NETWORKS[name]()
    logits = model.predict_on_batch(PIXELS)
    assert (logits.shape, logits.dtype) == ((len(PIXELS), len(LABELS)), np.float32)
    # Logits, no softmax: an untrained network's rows do not sum to one.
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3
    assert isinstance(model.layers[-1], layers.Dense)
    assert model.layers[-1].activation is keras.activations.linear


@each_network
def test_a_network_scales_its_pixels_itself(name: str) -> None:
    model = NETWORKS[name]()
    first = model.layers[1]
    assert isinstance(first, layers.Rescaling)
    scaled = keras.Model(model.inputs, first.output).predict_on_batch(PIXELS)
    np.testing.assert_allclose(scaled, PIXELS / 255, rtol=1e-6)
    # Nothing goes past the scaling.
    assert [node.operation.name for node in model.layers[0]._outbound_nodes if node.operation in model.layers] == [
        first.name
    ]


@each_network
def test_a_network_saves_and_loads_back_equal(name: str, tmp_path: Path) -> None:
    model = NETWORKS[name]()
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(PIXELS), model.predict_on_batch(PIXELS))


@each_network
def test_the_documented_size_of_a_network_is_its_size(name: str) -> None:
    model = NETWORKS[name]()
    described = re.search(r"([\d,]+) parameters, ([\d.]+) million multiply-accumulates", str(NETWORKS[name].__doc__))
    assert described
    assert int(described[1].replace(",", "")) == model.count_params()
    assert float(described[2]) == round(multiply_accumulates(model) / 1e6, 1)
    if within := re.search(r"([\d.]+) kB of int8 weights", str(NETWORKS[name].__doc__)):
        assert 850 * float(within[1]) < weight_bytes(model) <= 1000 * float(within[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_on_the_grid_are_what_int8_holds(name: str) -> None:
    model = NETWORKS[name]()
    before = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    to_int8_grid(model)
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    for old, kernel in zip(before, kernels, strict=True):
        depthwise = kernel.shape[-1] == 1 and kernel.ndim == 4
        channels = (kernel[..., 0] if depthwise else kernel).reshape(-1, kernel.shape[2 if depthwise else -1])
        steps = 127 * channels / np.abs(channels).max(axis=0)
        assert np.abs(steps - np.rint(steps)).max() < 1e-3
        assert np.abs(kernel - old).max() <= np.abs(old).max() / 254 * 1.001
    to_int8_grid(model)
    for kernel, layer in zip(kernels, (each for each in model.layers if hasattr(each, "kernel")), strict=True):
        np.testing.assert_allclose(layer.kernel.numpy(), kernel, rtol=1e-5)


def test_work_is_counted_by_hand() -> None:
    pixels = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3)(pixels)  # 6×6 places of 3×3×2×4
    x = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)  # 3×3 places of 3×3×4
    model = keras.Model(pixels, layers.Dense(5)(layers.Flatten()(x)))  # 36×5
    assert multiply_accumulates(model) == 36 * 72 + 9 * 36 + 180
    assert weight_bytes(model) == 72 + 36 + 180 + 4 * (4 + 4 + 5)


def test_the_classic_network_of_ten_classes_is_that_of_the_tutorials() -> None:
    # A convolution of 32 filters, 13×13×32 values into 128, 128 into 10, with their biases.
    assert NETWORKS["classic"](10).count_params() == 9 * 32 + 32 + 5408 * 128 + 128 + 128 * 10 + 10


def test_none_is_the_label_that_training_gives_to_what_is_no_digit() -> None:
    assert LABELS[NONE] == "none"
    assert LABELS[:NONE] == tuple("0123456789")


class TestSpaceToDepth:
    def test_each_block_becomes_one_pixel(self) -> None:
        image = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]], np.float32)
        blocks = [[[0, 1, 4, 5], [2, 3, 6, 7]], [[8, 9, 12, 13], [10, 11, 14, 15]]]
        np.testing.assert_array_equal(SpaceToDepth()(image[None, ..., None]), [blocks])

    @pytest.mark.parametrize("shape", [(1, 28, 28, 1), (3, 8, 6, 5)])
    def test_it_tells_its_shape_beforehand(self, shape: tuple[int, int, int, int]) -> None:
        layer = SpaceToDepth()
        assert layer.compute_output_shape(shape) == tuple(layer(np.zeros(shape, np.float32)).shape)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    NETWORKS["edge"]().save(path)
    return path.read_bytes()


class TestLoadModel:
    @pytest.mark.parametrize("damage", ["missing", "empty", "no archive", "truncated", "flipped", "another archive"])
    def test_what_is_no_whole_model_is_one_line_that_names_it(self, damage: str, saved: bytes, tmp_path: Path) -> None:
        path = tmp_path / "model.keras"
        middle = len(saved) // 2
        if damage == "another archive":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("config.txt", "{}")
        elif damage != "missing":
            path.write_bytes(
                {
                    "empty": b"",
                    "no archive": b"not a model",
                    "truncated": saved[:middle],
                    "flipped": saved[:middle] + bytes([saved[middle] ^ 1]) + saved[middle + 1 :],
                }[damage]
            )
        with pytest.raises(DataError) as caught:
            load_model(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
