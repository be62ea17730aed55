"""What training needs beyond the device's packages: asked for before it is loaded, since a traceback helps nobody."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from runtime.errors import BackendError

LOOKING = ("matplotlib", "scipy", "sklearn", "tqdm")
"""What the commands need that look at pictures and answers without training."""

TRAINING = ("tensorflow", "keras", *LOOKING)
"""What most commands of this package need."""


def require(
    *modules: str, extra: str = "train", find: Callable[[str], object | None] = importlib.util.find_spec
) -> None:
    """Make sure that modules can be imported.

    Args:
        modules: their names.
        extra: what to install of this project to have them.
        find: tells whether there is one, None if not.

    Raises:
        BackendError: one or more are missing.
    """
    missing = [name for name in modules if find(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise BackendError(f'{", ".join(missing)} {verb} not installed; pip install "edge-digits[{extra}]"')
