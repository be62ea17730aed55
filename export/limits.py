"""What an artifact may differ by from the float model, from ``limits.toml``, where each limit has its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.errors import DataError

PATH = Path(__file__).with_name("limits.toml")

GATE_COUNT = 50_000
"""Augmented validation images that an artifact is compared on before it may be shipped."""

NONE_SHARE = 5
"""One picture of what is not a digit for so many of the gate."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a shipped artifact may differ by from the float model.

    Attributes:
        disagreement: share of images with another label.
        accuracy_drop: one-sided 95 % bound on the loss of accuracy, over paired images.
        recall_drop: loss of recall of any one class.
        logits: largest difference of logits, as a share of the largest logit; None where quantization decides.
        reason: why so much and no more.
    """

    disagreement: float
    accuracy_drop: float
    recall_drop: float
    logits: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReplayLimits:
    """How much of what either model reads from a camera's frames must be read the same by both.

    Attributes:
        agreement: least share of digits.
        elsewhere: the same of what is read where no digit is, held against ``Replay.bound_elsewhere``.
        reason: why so much.
    """

    agreement: float
    elsewhere: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LimitSet:
    """All limits.

    Attributes:
        version: of the file.
        precision: by the precision of the artifact, on digits.
        none: the same on what is not a digit.
        weights: how many steps an int8 weight may be from the float one.
        replay: what the whole pipeline may read otherwise from a camera's frames.
    """

    version: int
    precision: Mapping[str, Limits]
    none: Mapping[str, Limits]
    weights: float
    replay: ReplayLimits

    def of(self, precision: str, images: str = "gate") -> Limits:
        """The limits of a precision; ``float32-batch`` has those of ``float32``.

        Args:
            precision: of the artifact.
            images: name of the input set.

        Raises:
            DataError: the file says nothing of it.
        """
        try:
            return (self.none if images == "none" else self.precision)[precision.removesuffix("-batch")]
        except KeyError:
            raise DataError(f"no limits for precision {precision}; add them, with the reason, to {PATH.name}") from None

    def with_precision(self, precision: str, limits: Limits) -> LimitSet:
        """The same, with other limits for one precision on every input set."""
        none = {**self.none, precision: limits}
        return replace(self, precision={**self.precision, precision: limits}, none=none)


ANY = Limits(disagreement=1, accuracy_drop=1, recall_drop=1)
"""No limits: for figures that are reported and decide nothing."""


def load_limits(path: Path = PATH) -> LimitSet:
    """Read the limits.

    Raises:
        DataError: the file is missing or says something else.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        precision, none = (
            {name: Limits(**values) for name, values in table[key].items()} for key in ("precision", "none")
        )
        weights, replay = float(table["weights"]["steps"]), ReplayLimits(**table["replay"])
        return LimitSet(int(table["version"]), precision, none, weights, replay)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} does not hold limits ({error}); restore it") from error
