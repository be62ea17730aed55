"""``python -m runtime.image``: read the digits of pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import cv2

from runtime.annotate import annotate
from runtime.backends import ArtifactClassifier, load_classifier
from runtime.errors import SinkError, SourceError, UsageError, run_command
from runtime.options import (
    HelpFormatter,
    add_model_options,
    add_reading_options,
    messages_on_stderr,
    open_classifier,
    recognizer_settings,
)
from runtime.pictures import picture_paths, read_picture, to_frame
from runtime.recognizer import Recognizer
from runtime.sinks import json_line, result_values, write_line
from runtime.values import Image, Result

_EXAMPLES = """examples:
  python -m runtime.image photo.jpg
  python -m runtime.image photos/ --json > readings.jsonl
  python -m runtime.image photos/ --annotate annotated/
"""


def main(
    argv: Sequence[str] | None = None,
    *,
    load: Callable[..., ArtifactClassifier] = load_classifier,
    stdout: TextIO | None = None,
) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        load: loads the classifier; tests hand in another.
        stdout: where results go; standard output by default.

    Returns:
        The exit code: 0 done, 1 a picture could not be read or another expected error, 2 wrong usage.
    """

    def command() -> int:
        with messages_on_stderr():
            return _read(_parser().parse_args(argv), load, stdout or sys.stdout)

    return run_command(command)


class AnnotatedFolder:
    """Writes annotated pictures into a folder: under the pictures' own names, but never over one of them."""

    def __init__(self, folder: Path, pictures: Sequence[Path]) -> None:
        """Make the folder, if it is not there.

        Args:
            folder: where the pictures go.
            pictures: the inputs, which stay as they are.

        Raises:
            SinkError: it cannot be made.
        """
        self._folder = folder
        self._taken = {path.resolve() for path in pictures}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make the folder {folder}: {error.strerror}") from error

    def write(self, source: Path, picture: Image) -> Path:
        """Write the annotated picture of ``source``: as JPEG if that was one, else as PNG.

        Returns:
            Where it is: ``<stem>``, with -2, -3, … where two inputs share a name.

        Raises:
            SinkError: it cannot be written.
        """
        suffix = ".jpg" if source.suffix.lower() in (".jpg", ".jpeg", ".jpe") else ".png"
        path, number = self._folder / f"{source.stem}{suffix}", 2
        while path.resolve() in self._taken:
            path = self._folder / f"{source.stem}-{number}{suffix}"
            number += 1
        self._taken.add(path.resolve())
        written, data = cv2.imencode(suffix, picture)
        try:
            path.write_bytes(data.tobytes() if written else b"")
        except OSError as error:
            raise SinkError(f"cannot write {path}: {error.strerror}") from error
        return path


def _read(options: argparse.Namespace, load: Callable[..., ArtifactClassifier], stdout: TextIO) -> int:
    recognizer = Recognizer(open_classifier(options, load), recognizer_settings(options, track=False))
    pictures: list[tuple[Path, str]] = []
    failed = 0
    for argument in options.images:
        try:
            paths = picture_paths(Path(argument)) if Path(argument).is_dir() else [Path(argument)]
            pictures += [(path, argument) for path in paths]
        except SourceError as error:
            failed += _complain(error)
    annotated = AnnotatedFolder(Path(options.annotate), [path for path, _ in pictures]) if options.annotate else None
    for index, (path, argument) in enumerate(pictures):
        try:
            picture = read_picture(path)
            frame = to_frame(picture, index, 0.0)
            result = recognizer(frame)
        except (SourceError, UsageError) as error:  # one bad picture must not keep the others from being read
            failed += _complain(error if isinstance(error, SourceError) else f"{path}: {error}")
            continue
        if options.json:
            line = json_line({**result_values(frame, result, argument), "file": str(path)})
        else:
            line = f"{path}: {_described(result)}"
        write_line(stdout, line, "readings")
        if annotated:
            annotated.write(path, annotate(picture, result))
    return 1 if failed else 0


def _complain(error: object) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 1


def _described(result: Result) -> str:
    """What was read, in one line for a person."""
    counts = [f"{len(result.readings)} digit{'s' * (len(result.readings) != 1)}"] if result.readings else []
    if result.unsure:
        counts.append(f"{len(result.unsure)} unsure")
    if not result.readings and result.hint:
        counts.append(result.hint)
    text = " ".join(number.text for number in result.numbers) or "nothing read"
    return f"{text} ({', '.join(counts)})" if counts else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.image",
        description="Read the handwritten digits of pictures, one line each.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or a folder of pictures")
    parser.add_argument("--json", action="store_true", help="write a JSON line per picture")
    parser.add_argument(
        "--annotate", metavar="DIR", help="write the pictures, with what was read drawn, to this folder"
    )
    add_model_options(parser)
    add_reading_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
