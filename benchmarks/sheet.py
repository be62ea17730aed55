"""A contact sheet of every miss and every invention, to look for causes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.camera import CameraRun
from benchmarks.matching import Mistake
from runtime.errors import SinkError, UsageError
from runtime.pictures import read_picture
from runtime.values import Image

_TILE, _CAPTION, _COLUMNS = 112, 30, 14
_COLORS = {"missed": (40, 40, 220), "wrong": (0, 140, 255), "invented": (220, 60, 200)}
_MOST = 60 * _COLUMNS  # tiles of one sheet: JPEG and PNG viewers give up on taller ones


def draw_sheets(runs: Sequence[CameraRun]) -> Iterator[Image]:
    """Draw the mistakes of runs, as many sheets as they fill: uint8 BGR (H, W, 3) each, at least one."""
    tiles: list[Image] = []
    for run in runs:
        for score in run.pictures:
            if score.mistakes:
                picture = read_picture(Path(run.folder) / score.file)
                tiles += [_tile(picture, mistake) for mistake in score.mistakes]
            while len(tiles) > _MOST:
                yield _grid(tiles[:_MOST])
                tiles = tiles[_MOST:]
    yield _grid(tiles)


def check_sheet(path: Path) -> None:
    """Tell what is wrong with a sheet's name before minutes are spent on measuring.

    Raises:
        UsageError: it does not end like a picture's.
        SinkError: its folder is not there.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--sheet is {path}; expected a name that ends in .png or .jpg")
    if not path.parent.is_dir():
        raise SinkError(f"cannot write --sheet {path}: there is no folder {path.parent}; make it first")


def write_sheets(path: Path, runs: Sequence[CameraRun]) -> list[Path]:
    """Write the sheets: to ``path``, and to ``…-2``, ``…-3`` where one is not enough.

    Returns:
        The files.

    Raises:
        SinkError: they cannot be written.
    """
    written = []
    for number, sheet in enumerate(draw_sheets(runs), 1):
        written.append(path if number == 1 else path.with_stem(f"{path.stem}-{number}"))
        _write(written[-1], sheet)
    return written


def _write(path: Path, picture: Image) -> None:
    written, data = cv2.imencode(path.suffix, picture)
    try:
        path.write_bytes(data.tobytes() if written else b"")
    except OSError as error:
        raise SinkError(f"cannot write --sheet {path}: {error.strerror}") from error


def _tile(picture: Image, mistake: Mistake) -> Image:
    x, y, width, height = mistake.box
    color = _COLORS[mistake.kind]
    half = max(0.9 * max(width, height), 8.0)
    scale = _TILE / (2 * half)
    middle = (x + width / 2, y + height / 2)
    move = np.array([[scale, 0, _TILE / 2 - scale * middle[0]], [0, scale, _TILE / 2 - scale * middle[1]]])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    view = cv2.warpAffine(picture, move, (_TILE, _TILE), flags=smooth, borderValue=(96, 96, 96))
    corner = move @ (x, y, 1)
    far = move @ (x + width, y + height, 1)
    cv2.rectangle(view, tuple(map(int, corner)), tuple(map(int, far)), color, 1)
    text = {
        "missed": f"{mistake.truth} missed",
        "wrong": f"{mistake.truth} as {mistake.read} {mistake.confidence:.2f}",
        "invented": f"no {mistake.read} {mistake.confidence:.2f}",
    }[mistake.kind]
    caption = np.full((_CAPTION, _TILE, 3), 255, np.uint8)
    cv2.putText(caption, text, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)
    cv2.putText(
        caption, Path(mistake.file).stem[-18:], (2, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.32, (90, 90, 90), 1, cv2.LINE_AA
    )
    return np.vstack([view, caption])


def _grid(tiles: Sequence[Image]) -> Image:
    """The tiles in rows; a white one where there is none."""
    blank = np.full((_TILE + _CAPTION, _TILE, 3), 255, np.uint8)
    padded = [*tiles, *[blank] * (-len(tiles) % _COLUMNS or (0 if tiles else _COLUMNS))]
    return np.vstack([np.hstack(padded[i : i + _COLUMNS]) for i in range(0, len(padded), _COLUMNS)])
