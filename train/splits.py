"""What is for training and what is for testing, by name: the test split is never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

import numpy as np

Split: TypeAlias = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")

HELD_OUT = frozenset(
    (
        "0-tail",
        "1-flag-serif",
        "2-swan",
        "3-curl",
        "4-cup",
        "5-curly",
        "6-upright",
        "7-wave",
        "8-clockwise",
        "9-separate",
    )
)
"""Ways of writing that are never trained on, so that drawn pages can tell what the model makes of unseen hands."""


class Named(Protocol):
    """An entry of a catalog: a pen, a paper, a font, a family of clutter."""

    @property
    def name(self) -> str:
        """Unique in its catalog."""
        ...

    @property
    def split(self) -> Split:
        """Whose it is."""
        ...


Entry = TypeVar("Entry", bound=Named)


def of_split(catalog: Sequence[Entry], split: Split) -> list[Entry]:
    """The entries of a split."""
    return [entry for entry in catalog if entry.split == split]


def pick(entries: Sequence[Entry], rng: np.random.Generator) -> Entry:
    """One of the entries, each as likely."""
    return entries[int(rng.integers(len(entries)))]
