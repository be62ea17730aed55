"""Which versions of the converters work: asked before they are loaded, as what they say themselves is a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from runtime.errors import BackendError

OLDEST = {
    "tensorflow": "2.21",
    "keras": "3.12",
    "tf2onnx": "1.17",
    "onnx": "1.18",
    "onnxruntime": "1.20",
    "ai-edge-litert": "2.1",
    "numpy": "1.26",
    "scipy": "1.14",
    "matplotlib": "3.9",
    "tqdm": "4.66",
}
"""The oldest version of each that an export works with, as in ``pyproject.toml``."""


def check_packages(oldest: Mapping[str, str] = OLDEST, installed: Callable[[str], str] = version) -> dict[str, str]:
    """The installed versions of the converters.

    Args:
        oldest: what is needed.
        installed: tells a package's version, or raises PackageNotFoundError.

    Raises:
        BackendError: one is missing or too old.
    """
    found, missing, wrong = {}, [], []
    for name, needed in oldest.items():
        try:
            found[name] = installed(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        if _numbers(found[name]) < _numbers(needed):
            wrong.append(f"{name} is {found[name]}, {needed} or later is needed")
    if missing:
        wrong.append(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed")
    if wrong:
        raise BackendError(f'cannot export: {"; ".join(wrong)}; pip install "edge-digits[train]"')
    return found


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
