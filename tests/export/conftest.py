from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest

from export.formats import FORMATS
from export.limits import PATH, LimitSet, load_limits
from export.parity import Parities
from export.write_bundle import export_bundle
from tests.mnist import drawn_digits, mnist
from train.augment import AugmentSettings
from train.data import Mnist
from train.epochs import EpochSettings
from train.fit import FitSettings, fit
from train.networks import load_model

GATE = 300
TRAINING = {"settings": {"seed": 0, "none_margin": 4.0}, "last_epoch": {"loss": 1.5}}


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
    fit(drawn, FitSettings(epochs=6, batch=32, epoch=EpochSettings(none_pool=200)), AugmentSettings(), folder)
    return folder


@pytest.fixture(scope="session")
def limits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network trained for seconds is unsure of some digits, where a step of int8 decides; float must agree fully."""
    text = PATH.read_text(encoding="utf-8")
    for limit, loose in (("disagreement", 0.05), ("accuracy_drop", 0.05), ("recall_drop", 0.2)):
        text = re.sub(rf"^{limit} = 0\.0\d*[1-9]\d*", f"{limit} = {loose}", text, flags=re.MULTILINE)
    path = tmp_path_factory.mktemp("limits") / "limits.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trial_limits(limits_file: Path) -> LimitSet:
    limits = load_limits(limits_file)
    assert limits.of("float32") == load_limits().of("float32")
    assert limits.of("int8") != load_limits().of("int8")
    return limits


@pytest.fixture(scope="session")
def exported(
    run: Path, drawn: Mnist, trial_limits: LimitSet, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Parities]:
    """The folder of a bundle with every format, proven on 300 images, and how its artifacts compared."""
    folder = tmp_path_factory.mktemp("models") / "some"
    parities = export_bundle(
        *(load_model(run / "model.keras"), drawn, folder, TRAINING),
        gate_count=GATE,
        limits=trial_limits,
        formats=tuple(FORMATS),
    )
    return folder, parities


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
