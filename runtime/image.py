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
from runtime.config import parse
from runtime.errors import EdgeDigitsError, SinkError, SourceError, UsageError, run_command
from runtime.messages import messages_on_stderr
from runtime.options import (
    HelpFormatter,
    add_json_option,
    add_model_options,
    add_reading_options,
    check_output,
    nonempty,
    open_classifier,
    recognizer_settings,
)
from runtime.pictures import picture_paths, read_picture, to_frame
from runtime.recognizer import Recognizer
from runtime.sinks import JsonSink, TextSink
from runtime.values import Image

_EXAMPLES = """examples:
  python -m runtime.image photo.jpg
  python -m runtime.image photos/ --json readings.jsonl
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
            return _read(parse(_parser(), argv), load, stdout or sys.stdout)

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
    code = 0
    for argument in options.images:
        try:
            paths = picture_paths(Path(argument)) if Path(argument).is_dir() else [Path(argument)]
            pictures += [(path, argument) for path in paths]
        except SourceError as error:
            code = max(code, _complain(error))
    check_output("--json", options.json, {path: "is one of the pictures" for path, _ in pictures})
    annotated = AnnotatedFolder(Path(options.annotate), [path for path, _ in pictures]) if options.annotate else None
    with JsonSink(options.json, "", stdout) if options.json else TextSink(stdout) as sink:
        for index, (path, argument) in enumerate(pictures):
            try:
                picture = read_picture(path)
                frame = to_frame(picture, index, 0.0, file=str(path))
                result = recognizer(frame)
            except SourceError as error:  # one bad picture must not keep the others from being read
                code = max(code, _complain(error))
                continue
            except UsageError as error:
                code = max(code, _complain(UsageError(f"{path}: {error}")))
                continue
            if isinstance(sink, JsonSink):
                sink.source = argument
            sink.write(frame, result)
            if annotated:
                annotated.write(path, annotate(picture, result))
    return code


def _complain(error: EdgeDigitsError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.image",
        description="Read the handwritten digits of pictures, one line each.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or a folder of pictures")
    add_json_option(parser, "picture")
    parser.add_argument(
        "--annotate", type=nonempty, metavar="DIR", help="write the pictures, with what was read drawn, to this folder"
    )
    add_model_options(parser)
    add_reading_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
