from __future__ import annotations

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from runtime.pages import draw_page
from tests.html import check_page
from train.data import Mnist
from train.networks import NETWORKS
from train.visualization import (
    embedding,
    embedding_map,
    feature_maps,
    first_filters,
    integrated_gradients,
    signed_picture,
)
from train.visualize import main

IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def edge() -> keras.Model:
    keras.utils.set_random_seed(0)
    return NETWORKS["edge"]()


def test_the_attributions_of_a_linear_network_are_weight_times_pixel() -> None:
    pixels = keras.Input((28, 28, 1))
    model = keras.Model(pixels, keras.layers.Dense(3)(keras.layers.Flatten()(pixels)))
    found = integrated_gradients(model, IMAGE, 2, steps=3)
    weights = model.layers[-1].get_weights()[0][:, 2].reshape(28, 28)
    np.testing.assert_allclose(found.values, weights * IMAGE, rtol=1e-4, atol=1e-4)
    assert found.gap < 1e-4


def test_attributions_sum_to_what_the_answer_gained(edge: keras.Model) -> None:
    found = integrated_gradients(edge, IMAGE, 4, steps=512)
    ends = edge.predict_on_batch(np.stack([np.zeros((28, 28, 1)), IMAGE[..., None]]))[:, 4]
    # The integral is summed in steps; the network is piecewise linear, so that few of them cross a fold.
    assert found.values.sum() == pytest.approx(float(ends[1] - ends[0]), rel=0.05)


def test_filters_behind_space_to_depth_lie_as_on_the_pixels(edge: keras.Model) -> None:
    filters = first_filters(edge)
    assert filters.shape == (32, 6, 6, 1)
    convolution = next(layer for layer in edge.layers if isinstance(layer, keras.layers.Conv2D))
    # Laid over a patch of pixels, a filter answers as the convolution does for it.
    patch = IMAGE[4:10, 6:12] / 255
    maps = keras.Model(edge.inputs, convolution.output).predict_on_batch(IMAGE[None, ..., None])
    expected = (filters[..., 0] * patch).sum(axis=(1, 2))
    np.testing.assert_allclose(maps[0, 2, 3], expected, rtol=1e-3, atol=1e-4)


def test_feature_maps_are_those_of_every_activation(edge: keras.Model) -> None:
    maps = feature_maps(edge, IMAGE)
    assert [each.shape for each in maps.values()] == [(12, 12, 32), (10, 10, 32), (5, 5, 48), (5, 5, 48), (3, 3, 64)]
    assert all((each >= 0).all() for each in maps.values())


def test_the_last_layer_answers_what_it_is_given(edge: keras.Model) -> None:
    images = np.stack([IMAGE, IMAGE.T])
    weights, bias = edge.layers[-1].get_weights()
    logits = embedding(edge, images) @ weights + bias
    np.testing.assert_allclose(logits, edge.predict_on_batch(images[..., None]), rtol=1e-3, atol=1e-3)


def test_a_map_keeps_neighbors_together() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal(0, 1, (20, 8)), rng.normal(30, 1, (20, 8))]).astype(np.float32)
    places = embedding_map(features)
    np.testing.assert_array_equal(places, embedding_map(features))
    middles = places[:20].mean(axis=0), places[20:].mean(axis=0)
    nearer = np.linalg.norm(places - middles[0], axis=1) < np.linalg.norm(places - middles[1], axis=1)
    assert nearer.tolist() == [True] * 20 + [False] * 20


def test_pictures_that_are_all_alike_have_a_map_too() -> None:
    assert embedding_map(np.ones((12, 8), np.float32)).shape == (12, 2)


def test_signs_are_told_by_color() -> None:
    picture = signed_picture(np.array([[1.0, 0.0, -1.0]]))
    (orange, white, blue) = picture[0].astype(int)
    assert white.tolist() == [255, 255, 255]
    assert orange[2] > orange[0]  # more red than blue
    assert blue[0] > blue[2]


class TestTheCommand:
    def test_it_leaves_a_page_of_a_digit(
        self, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["--on", str(archive), "--digit", "3", "--count", "40", "--out", str(tmp_path)]
        assert main(arguments) == 0
        assert "drawn.npz 3: 3 (" in capsys.readouterr().out
        assert check_page(tmp_path / "visualization.html").count("<h2>") == 4

    def test_it_leaves_a_page_of_a_photo(
        self, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cv2.imwrite(str(tmp_path / "photo.jpg"), draw_page(["5"], (320, 240), np.random.default_rng(1)).pixels)
        arguments = ["--image", str(tmp_path / "photo.jpg"), "--on", str(archive), "--count", "20"]
        assert main([*arguments, "--out", str(tmp_path)]) == 0
        assert "photo.jpg: 5 (" in capsys.readouterr().out

    def test_too_few_pictures_for_a_map_are_one_line(
        self, drawn: Mnist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        np.savez(tmp_path / "few.npz", images=drawn.train_images[:5], labels=drawn.train_labels[:5])
        assert main(["--on", str(tmp_path / "few.npz"), "--digit", "3", "--out", str(tmp_path)]) == 1
        assert "few holds 5 pictures; expected 10 or more" in capsys.readouterr().err

    def test_a_photo_of_nothing_is_one_line(
        self, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cv2.imwrite(str(tmp_path / "blank.png"), np.full((50, 50), 230, np.uint8))
        assert main(["--image", str(tmp_path / "blank.png"), "--on", str(archive)]) == 1
        assert "no ink" in capsys.readouterr().err
