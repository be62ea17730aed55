"""What is for training and what is for testing, by name: the test split is never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

import numpy as np

Split: TypeAlias = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


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
