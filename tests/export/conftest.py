from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.mnist import drawn_digits, mnist
from train.augment import AugmentSettings
from train.data import Mnist
from train.fit import FitSettings, fit
from train.networks import load_model


@pytest.fixture(scope="session", name="mnist")
def _mnist() -> Mnist:
    return mnist()


@pytest.fixture(scope="session")
def drawn() -> Mnist:
    return drawn_digits()


@pytest.fixture(scope="session")
def run(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training on drawn digits."""
    folder = tmp_path_factory.mktemp("run")
    fit(drawn, FitSettings(epochs=4, batch=32, none_pool=200), AugmentSettings(), folder)
    return folder


@pytest.fixture
def trained(run: Path) -> keras.Model:
    return load_model(run / "model.keras")


@pytest.fixture
def unquantizable(trained: keras.Model) -> keras.Model:
    """A model as good as ``trained`` in float, which int8 breaks: one logit far off takes up all 256 steps."""
    layer = trained.get_layer("logits")
    kernel, bias = layer.get_weights()
    bias[10] = -1e5
    layer.set_weights([kernel, bias])
    return trained
