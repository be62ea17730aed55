from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.mnist import drawn_digits, mnist
from train.data import Mnist

# In every process of a test as many threads for an operation: with another number sums are added up in another order.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@pytest.fixture(scope="session", name="mnist")
def _mnist() -> Mnist:
    return mnist()


@pytest.fixture(scope="session")
def drawn() -> Mnist:
    return drawn_digits()


@pytest.fixture(scope="session")
def archive(drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn digits as a file: 300 pictures."""
    path = tmp_path_factory.mktemp("archive") / "drawn.npz"
    np.savez(path, images=drawn.train_images[:300], labels=drawn.train_labels[:300])
    return path
