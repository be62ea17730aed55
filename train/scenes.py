"""``python -m train.scenes``: rendered camera frames with known truth, as a labeled folder.

The folder holds pictures and ``labels.json``, a list of ``{"file", "digits", "rows", "boxes": [[x, y, w, h, "d"], …],
"tags", "ignore": [[x, y, w, h], …], "size", "source"}``: ``digits`` in reading order, ``rows`` with a space between
numbers, boxes tight and in the order of the digits. The same options always give the same folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import cv2
import numpy as np

from runtime.errors import SinkError, UsageError, run_command
from runtime.options import HelpFormatter, size
from runtime.values import Image
from train.data import load_mnist
from train.packages import require
from train.splits import SPLITS, Split

# What renders loads matplotlib and tqdm: not before they are known to be there.
if TYPE_CHECKING:
    from train.compose import Scene
    from train.conditions import Difficulty, Spacing
    from train.writer import DigitPool

Mixture: TypeAlias = Literal["clean", "hard", "mixed"]
Found = TypeVar("Found")
LABELS = "labels.json"


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """Which frames to render.

    Attributes:
        count: how many.
        seed: of everything random.
        split: whose digits, pens, papers, fonts and clutter.
        difficulty: clean, hard, or by turns.
        size: width and height in pixels.
        spacing: between digits, the same in every frame; None leaves it to chance.
    """

    count: int
    seed: int
    split: Split
    difficulty: Mixture
    size: tuple[int, int] = (640, 480)
    spacing: Spacing | None = None

    def difficulty_of(self, index: int) -> Difficulty:
        """The difficulty of one frame."""
        if self.difficulty == "mixed":
            return "hard" if index % 2 else "clean"
        return self.difficulty


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _scenes(_parser().parse_args(argv)))


def render_frame(index: int, settings: SceneSettings, pool: DigitPool) -> Scene:
    """One frame of a set: what it holds depends on the settings and its index alone."""
    from train.compose import render
    from train.conditions import draw_conditions

    rng = np.random.default_rng((settings.seed, SPLITS.index(settings.split), index))
    conditions = draw_conditions(settings.split, settings.difficulty_of(index), settings.size[1], rng)
    if settings.spacing:
        conditions = replace(conditions, spacing=settings.spacing)
    return render(conditions, settings.size, pool, rng)


def each_frame(
    work: Callable[[int, Scene], Found],
    settings: SceneSettings,
    digits: tuple[Image, Image],
    processes: int,
    doing: str,
) -> Iterator[Found]:
    """Render the frames of a set in several processes, and do something with each there.

    Args:
        work: is given each frame's index and the frame; a module's function, or a partial of one.
        settings: which frames.
        digits: MNIST's images uint8 (n, 28, 28) and labels uint8 (n,), of the split.
        processes: that render at a time; the result does not depend on it.
        doing: what a bar of progress calls it.

    Yields:
        What ``work`` returns, in the frames' order.
    """
    from tqdm import tqdm

    # Not forked: OpenCV's threads, where this process has started them, leave a forked child waiting forever.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, settings.count), _begin, digits) as pool:
        done = pool.imap(partial(_work_on, work, settings), range(settings.count), chunksize=4)
        yield from tqdm(done, doing, settings.count, unit="frame", delay=1, mininterval=1)


def label_entry(file: str, scene: Scene) -> dict[str, Any]:
    """The entry of a frame in ``labels.json``."""
    rows = [
        " ".join("".join(digit.label for digit in number) for _, number in groupby(row, lambda d: d.number))
        for _, row in groupby(scene.digits, lambda d: d.row)
    ]
    # A frame whose digits all came out cut or unreadable holds none.
    conditions = scene.conditions if scene.digits else replace(scene.conditions, empty=True)
    return {
        "file": file,
        "digits": "".join(digit.label for digit in scene.digits),
        "rows": rows,
        "boxes": [[*digit.box.as_list(), digit.label] for digit in scene.digits],
        "tags": conditions.tags(),
        "ignore": [box.as_list() for box in scene.ignore],
        "size": [scene.picture.shape[1], scene.picture.shape[0]],
        "source": conditions.source,
    }


def write_scenes(folder: Path, settings: SceneSettings, digits: tuple[Image, Image], processes: int = 2) -> int:
    """Render frames into a folder.

    Args:
        folder: to make, or an empty one.
        settings: which frames.
        digits: MNIST's images uint8 (n, 28, 28) and labels uint8 (n,), of the split.
        processes: that render at a time.

    Returns:
        How many digits are in the frames.

    Raises:
        SinkError: the folder holds something already, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise SinkError(f"the folder {folder} is not empty; name a new one, so that no old frame stays among them")
        entries = list(
            each_frame(partial(_write_frame, folder, settings), settings, digits, processes, "rendering frames")
        )
        # One frame a line: a person can look one up, and the file stays small.
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        (folder / LABELS).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write frames into {folder}: {error.strerror or error}") from error
    return sum(len(entry["digits"]) for entry in entries)


_pools: list[DigitPool] = []
"""In a worker process: what it writes from."""


def _begin(images: Image, labels: Image) -> None:
    from train.writer import DigitPool

    cv2.setNumThreads(1)
    _pools[:] = [DigitPool.of(images, labels)]


def _work_on(work: Callable[[int, Scene], Found], settings: SceneSettings, index: int) -> Found:
    return work(index, render_frame(index, settings, _pools[0]))


def _write_frame(folder: Path, settings: SceneSettings, index: int, scene: Scene) -> dict[str, Any]:
    name = f"{settings.difficulty_of(index)}-{index:05}.jpg"
    _, data = cv2.imencode(".jpg", scene.picture, [cv2.IMWRITE_JPEG_QUALITY, scene.conditions.quality])
    (folder / name).write_bytes(data.tobytes())
    return label_entry(name, scene)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.scenes",
        description="Render camera frames with known truth into a folder: pictures and labels.json.",
        epilog="the fixed test set, 300 clean and 300 hard frames:\n"
        "  python -m train.scenes --out runs/frames-test --count 600 --seed 2026 --split test --difficulty mixed\n"
        "Then: python -m benchmarks camera --frames runs/frames-test",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make; it must hold nothing")
    parser.add_argument("--count", type=int, default=600, metavar="N", help="frames")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random")
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default="train",
        help="train: MNIST's training digits; test: its test digits, and pens, papers, fonts, ways of writing and "
        "clutter that no training frame holds",
    )
    parser.add_argument(
        "--difficulty", choices=("clean", "hard", "mixed"), default="mixed", help="mixed: clean and hard by turns"
    )
    parser.add_argument("--size", type=size, default=(640, 480), metavar="WxH", help="of the frames")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="that render at a time")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with MNIST's four idx files or mnist.npz; else $MNIST_DIR, else Keras's cache or download",
    )
    return parser


def _scenes(options: argparse.Namespace) -> int:
    for name in ("count", "processes"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name} is {getattr(options, name)}; expected 1 or more")
    if options.seed < 0:
        raise UsageError(f"--seed is {options.seed}; expected 0 or more")
    if min(options.size) < 120:
        raise UsageError(f"--size is {options.size[0]}x{options.size[1]}; expected 120 or more each way")
    require("matplotlib", "tqdm")
    data = load_mnist(options.data)
    train = options.split == "train"
    digits = (data.train_images, data.train_labels) if train else (data.test_images, data.test_labels)
    settings = SceneSettings(options.count, options.seed, options.split, options.difficulty, options.size)
    found = write_scenes(options.out, settings, digits, options.processes)
    print(f"{options.out}: {options.count:,} frames with {found:,} digits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
