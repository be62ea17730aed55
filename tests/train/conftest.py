from __future__ import annotations

import pytest

from tests.mnist import drawn_digits, mnist
from train.data import Mnist


@pytest.fixture(scope="session", name="mnist")
def _mnist() -> Mnist:
    return mnist()


@pytest.fixture(scope="session")
def drawn() -> Mnist:
    return drawn_digits()
