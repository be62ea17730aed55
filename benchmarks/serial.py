"""Values made of dataclasses, tuples, mappings and plain types, as JSON and back."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping
from typing import Any


def to_text(value: Any) -> str:
    """A dataclass or a mapping as JSON text, each list of numbers on a line of its own."""
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    # A line break inside brackets is never part of a string: JSON writes it there as \n.
    return re.sub(r"\[\n[\s\d.,]+\]", lambda match: re.sub(r"\s+", "", match[0]), text) + "\n"


def build(kind: Any, value: Any) -> Any:
    """The value of a type, out of what JSON has made of it.

    Raises:
        TypeError: it is of another form.
        ValueError, KeyError, AttributeError: likewise.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return None if value is None else build(next(k for k in inner if k is not types.NoneType), value)
    if dataclasses.is_dataclass(kind):
        kinds = typing.get_type_hints(kind)
        fields = {name: build(kinds[name], entry) for name, entry in value.items()}
        return typing.cast("type[Any]", kind)(**fields)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{value!r} where a list was expected")
        return tuple(build(inner[0], entry) for entry in value)
    if origin is not None and issubclass(origin, Mapping):
        return {key: build(inner[1], entry) for key, entry in value.items()}
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{value!r} where {kind.__name__} was expected")
    return value
