"""The options that the commands share, and what their values may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from runtime.backends import ArtifactClassifier
from runtime.capture import SourceSettings
from runtime.errors import UsageError
from runtime.pictures import PICTURE_SUFFIXES
from runtime.quiet import native_stderr_silent
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


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Where frames come from, and how long they are waited for."""
    group = parser.add_argument_group("source")
    group.add_argument(
        "--source",
        type=nonempty,
        default="auto",
        help="auto (the first camera; without one the demo, unless results are kept), a camera's index (0) or "
        "device (/dev/video0), a video, a picture, a folder of pictures, an address (http…, rtsp…), picamera, demo",
    )
    group.add_argument("--size", type=size, default="640x480", help="size asked of a camera; the demo's size")
    group.add_argument(
        "--fps",
        type=positive_number,
        default=30.0,
        help="pictures per second asked of a camera, or at which to go through a folder",
    )
    group.add_argument("--rotate", type=int, choices=(0, 90, 180, 270), default=0, help="turn clockwise, in degrees")
    group.add_argument(
        "--flip",
        nargs="?",
        const="horizontal",
        choices=("none", "horizontal", "vertical", "both"),
        default="none",
        help="mirror the picture; --flip alone: horizontal",
    )
    group.add_argument(
        "--exposure", type=positive_number, metavar="MS", help="lock a camera's exposure, in milliseconds"
    )
    group.add_argument("--focus", type=number, metavar="N", help="lock a camera's focus, in its own steps")
    group.add_argument("--wait", action="store_true", help="wait for a camera or stream that is not there yet")
    group.add_argument(
        "--give-up-seconds",
        type=positive_number,
        metavar="S",
        help="end with an error when a camera or stream has been gone for so long; unless given, it is tried for ever",
    )
    group.add_argument(
        "--frozen-seconds",
        type=number,
        default=30.0,
        metavar="S",
        help="open a camera or stream anew that gave the very same picture for so long; 0: never",
    )
    group.add_argument("--max-frames", type=positive_integer, metavar="N", help="end after so many frames")


def source_settings(options: argparse.Namespace) -> SourceSettings:
    """The settings that ``add_source_options`` asked for."""
    names = [field.name for field in fields(SourceSettings) if hasattr(options, field.name)]
    return SourceSettings(**{name: getattr(options, name) for name in names})


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


def nonempty(text: str) -> str:
    """Text of an option that says something: of ``--record "$NAME"`` without a NAME nothing would be left."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: is the variable that it comes from set?")
    return text


def add_json_option(parser: argparse._ActionsContainer, each: str) -> None:
    """``--json [PATH]``: a JSON line for each frame or picture, into a file or to standard output."""
    parser.add_argument(
        "--json",
        type=nonempty,
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


def number(text: str) -> float:
    """A number from 0 to 1,000,000."""
    value = _number(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to 1000000")
    return value


def megabytes(text: str) -> float:
    """An amount of megabytes, from 0.1."""
    value = _number(text)
    if not 0.1 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of megabytes from 0.1")
    return value


def address(text: str) -> tuple[str, int]:
    """``[host:]port`` as host and port, the host 127.0.0.1 unless given."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not [HOST:]PORT such as 9464 or 0.0.0.0:9464")
    return host.strip("[]") or "127.0.0.1", int(port)


def probability(text: str) -> float:
    """A number from 0 to 1."""
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to 1")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
