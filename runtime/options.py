"""What the commands share: options, the TOML file that may give them, messages on stderr."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.backends import ArtifactClassifier
from runtime.errors import UsageError
from runtime.pictures import PICTURE_SUFFIXES
from runtime.quiet import native_stderr_silent, silence_opencv
from runtime.recognizer import RecognizerSettings
from runtime.values import Box


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows the default of every option that has one, and leaves examples as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=110)

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        silent = (None, False, argparse.SUPPRESS)  # by identity: 0 is a default worth showing
        shown = action.option_strings and not any(action.default is value for value in silent)
        return f"{text} (default: %(default)s)" if shown else text


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which classifier reads: model, backend, precision, interpreter, threads."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", default="edge", metavar="NAME", help="a shipped model, or the folder of a bundle")
    group.add_argument("--backend", choices=("litert", "onnx"), default="litert", help="what runs it")
    group.add_argument("--precision", default="int8", metavar="P", help="which of its artifacts: int8, float32, …")
    group.add_argument(
        "--interpreter",
        choices=("litert", "tflite-runtime"),
        help="which interpreter the litert backend uses; litert unless named",
    )
    group.add_argument("--threads", type=positive_integer, default=1, metavar="N", help="threads of the interpreter")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """What counts as read, and where: confidence, region of interest."""
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--min-confidence",
        type=probability,
        metavar="P",
        help="confidence from which a digit counts as read, 0 to 1; unless given, what the model's makers measured",
    )
    group.add_argument("--roi", type=region, metavar="X,Y,W,H", help="look at this part of the picture only, in pixels")


def add_json_option(parser: argparse._ActionsContainer, each: str) -> None:
    """``--json [PATH]``: a JSON line for each frame or picture, into a file or to standard output."""
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="PATH",
        help=f"write a JSON line per {each} to this file; alone, or with -, to standard output",
    )


def check_output(flag: str, target: str | None, inputs: Mapping[Path, str]) -> None:
    """Refuse an output that would replace what is read, or another output.

    Args:
        flag: names the output.
        target: its path; None and ``-`` are no files.
        inputs: paths that must stay, and what each is.

    Raises:
        UsageError: the target is one of them, or a picture by its name.
    """
    if target is None or target == "-":
        return
    kept = {path.resolve(): what for path, what in inputs.items()}
    path = Path(target)
    if path.resolve() in kept:
        raise UsageError(f"{flag} {target} {kept[path.resolve()]}, which it would overwrite: choose another file")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UsageError(f"{flag} {target} looks like a picture to read: put {flag} last, or name another file")


def recognizer_settings(options: argparse.Namespace, *, track: bool) -> RecognizerSettings:
    """The settings that ``add_reading_options`` asked for."""
    return RecognizerSettings(min_confidence=options.min_confidence, roi=options.roi, track=track)


def open_classifier(options: argparse.Namespace, load: Callable[..., ArtifactClassifier]) -> ArtifactClassifier:
    """The classifier that ``add_model_options`` asked for.

    Args:
        options: the parsed options.
        load: ``load_classifier``, or what stands for it in tests.

    Raises:
        BundleError: there is no such model, or it is damaged.
        BackendError: what should run it is not installed.
    """
    names = ("model", "backend", "precision", "threads", "interpreter")
    with native_stderr_silent():  # LiteRT announces its delegate
        return load(**{name: getattr(options, name) for name in names})


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


def size(text: str) -> tuple[int, int]:
    """``640x480`` as (640, 480)."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 10_000 and 16 <= int(height) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT such as 640x480, each from 16 to 10000")
    return int(width), int(height)


def region(text: str) -> Box:
    """``x,y,w,h`` as a Box."""
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not X,Y,W,H such as 0,120,640,240, in whole pixels")
    x, y, width, height = map(int, parts)
    if not width or not height:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty region: width and height must be over 0")
    return Box(x, y, width, height)


def positive_integer(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def positive_number(text: str) -> float:
    """A number over 0, at most 1000."""
    number = _number(text)
    if not 0 < number <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not over 0 and at most 1000")
    return number


def probability(text: str) -> float:
    """A number from 0 to 1."""
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to 1")
    return number


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Show the package's own messages on stderr, one line each, and none of OpenCV's."""
    silence_opencv()
    logger = logging.getLogger("runtime")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_MessageFormatter())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _MessageFormatter(logging.Formatter):
    """Plain information as it is, all else after its level."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        return message if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {message}"


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


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
