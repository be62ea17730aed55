"""What the tests of the device side share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from runtime.bundle import shipped_models

# The same examples in every run, and no time limit for one: machines are slow at times.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture
def bundle_copy(tmp_path: Path) -> Path:
    """The shipped bundle, in a folder that may be spoiled."""
    return Path(shutil.copytree(shipped_models()["edge"], tmp_path / "copy", ignore=shutil.ignore_patterns("*.keras")))
