"""Options from the command line and from a TOML file that has the same names."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runtime.errors import UsageError
from runtime.options import address, megabytes, number, positive_integer, positive_number, probability


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; what it leaves out comes from the file that ``--config`` names, then from the defaults.

    Args:
        parser: the command's; a file is read if it has an option ``--config``.
        argv: arguments; the process's own by default.

    Raises:
        UsageError: the file cannot be read, or a key of it is unknown or has a value that cannot work.
    """
    given = _joined(parser, sys.argv[1:] if argv is None else argv)
    if "--config" in parser._option_string_actions:
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        first.add_argument("--config")
        path = first.parse_known_args(given)[0].config
        if path is not None:
            parser.set_defaults(**config_values(parser, path))
    return parser.parse_args(given)


def config_values(parser: argparse.ArgumentParser, path: str) -> dict[str, Any]:
    """Values of the options in a TOML file, whose keys are the flags' names without the dashes before them.

    Raises:
        UsageError: the file cannot be read, or a key of it is unknown or has a value that cannot work.
    """
    import difflib  # here, with the other: without a configuration neither is needed, and starting is faster
    import tomllib

    try:
        with Path(path).open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    flags = {flag[2:]: action for action in parser._actions for flag in action.option_strings if flag[:2] == "--"}
    for flag in ("help", "config"):
        flags.pop(flag, None)
    values = {}
    for key, value in table.items():
        if key not in flags:
            close = difflib.get_close_matches(key, flags, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(flags))}"
            raise UsageError(f"{path}: unknown key {key!r}; {hint}")
        values[flags[key].dest] = _checked(flags[key], key, value, path)
    return values


def _joined(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """The arguments with ``--roi -1,0,9,9`` as ``--roi=-1,0,9,9``: argparse takes such a value for an option."""
    joined: list[str] = []
    for word in argv:
        action = parser._option_string_actions.get(joined[-1]) if joined else None
        if action is not None and action.nargs is None and re.match(r"-\d", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


_KINDS: dict[Callable[[str], Any], tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"),
    positive_integer: ((int,), "a whole number"),
    positive_number: ((int, float), "a number"),
    number: ((int, float), "a number"),
    megabytes: ((int, float), "a number"),
    address: ((int, str), 'a port, or text such as "0.0.0.0:9464"'),
    probability: ((int, float), "a number"),
}


def _checked(action: argparse.Action, key: str, value: object, path: str) -> Any:
    """A value from the file, as the option would have it from the command line."""
    convert = action.type if callable(action.type) else str
    types, kind = _KINDS.get(convert, ((str,), "text in quotation marks"))
    if action.nargs == 0:
        types, kind = (bool,), "true or false"
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UsageError(f"{path}: {key} is {value!r}; expected {kind}")
    if isinstance(value, bool):
        return value
    try:
        converted = convert(str(value))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{path}: {key}: {error}") from error
    if action.choices and converted not in action.choices:
        raise UsageError(f"{path}: {key} is {value!r}; expected one of {', '.join(map(str, action.choices))}")
    return converted
