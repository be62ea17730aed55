"""Labeled pictures: a folder with ``labels.json``, as ``python -m train.scenes`` writes it.

The file is a list of ``{"file", "digits" (in reading order), "boxes": [[x, y, width, height, "d"], …] or null, "rows",
"tags", "ignore": [[x, y, width, height], …], "source"}``; all but ``file`` and ``digits`` may be absent. Boxes are in
pixels of the file as stored. A picture tagged ``negative`` holds no digit. ``rows`` are the digits row by row, with a
space between numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import DataError
from runtime.values import Box

LABELS = "labels.json"
DRAWN = Path(__file__).resolve().parent / "frames"
"""Twelve drawn frames that come with the program, so that any device can score itself."""


@dataclass(frozen=True, slots=True)
class LabeledDigit:
    """A digit in a picture."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class LabeledPicture:
    """A picture and what is in it.

    Attributes:
        path: of the file.
        digits: labels in reading order.
        boxed: the digits with their boxes; empty where the boxes are not known.
        numbers: for each number the indices of its digits.
        tags: conditions, to group by.
        ignore: boxes whose readings do not count.
        source: pictures of a source are alike: one writer's, one pen's.
    """

    path: Path
    digits: str
    boxed: tuple[LabeledDigit, ...]
    numbers: tuple[tuple[int, ...], ...]
    tags: tuple[str, ...]
    ignore: tuple[Box, ...]
    source: str

    @property
    def negative(self) -> bool:
        """Whether it holds no digit."""
        return "negative" in self.tags


def read_labels(folder: Path) -> list[LabeledPicture]:
    """The labeled pictures of a folder, in the file's order.

    Raises:
        DataError: there is no such file, it is not of this form, or it names a picture that is not there.
    """
    path = folder / LABELS
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; python -m train.scenes writes such a folder") from error
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{path} is not a list of pictures; python -m train.scenes writes one")
    return [_picture(folder, entry, f"entry {number} of {path}") for number, entry in enumerate(entries, 1)]


def _picture(folder: Path, entry: Any, where: str) -> LabeledPicture:
    try:
        picture = folder / entry["file"]
        boxes = entry.get("boxes") or []
        digits = str(entry["digits"])
        boxed = tuple(LabeledDigit(str(label), Box(*map(int, box))) for *box, label in boxes)
        ignore = tuple(Box(*map(int, box[:4])) for box in entry.get("ignore") or ())
        rows = [str(row) for row in entry.get("rows") or ()]
        tags = tuple(map(str, entry.get("tags") or ()))
        source = str(entry.get("source") or entry.get("repo") or entry["file"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where} is not a labeled picture: {type(error).__name__} {error}") from error
    if boxed and "".join(digit.label for digit in boxed) != digits:
        raise DataError(f"{where}: the boxes' digits are not {digits!r}, in that order")
    if not picture.is_file():
        raise DataError(f"{where}: there is no picture {picture}")
    return LabeledPicture(picture, digits, boxed, _numbers(rows, digits), tags, ignore, source)


def _numbers(rows: list[str], digits: str) -> tuple[tuple[int, ...], ...]:
    """The digits of each number, by index; none where the rows do not spell the digits."""
    words = " ".join(rows).split()
    if "".join(words) != digits:
        return ()
    ends = [sum(map(len, words[: i + 1])) for i in range(len(words))]
    return tuple(tuple(range(end - len(word), end)) for word, end in zip(words, ends, strict=True))
