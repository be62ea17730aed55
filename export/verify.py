"""``python -m export.verify``: is every file of a bundle the model that was trained?"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from export.clips import Clip, make_clip
from export.limits import GATE_COUNT, NONE_SHARE, PATH, load_limits
from export.report_tables import clips, comparison_table, kernel_table, replay_table
from runtime.bundle import load_bundle
from runtime.errors import SinkError, UsageError, run_command
from train.data import Mnist, load_mnist
from train.packages import require

if TYPE_CHECKING:  # loads scipy and tqdm: not before they are known to be there
    from export.findings import Verification

SETS = ("gate", "none", "mnist")
CLIPS = ("demo", "frames")


def main(
    argv: Sequence[str] | None = None,
    *,
    load: Callable[[Path | None], Mnist] = load_mnist,
    clip: Callable[[str, Callable[[], Mnist], Path], Clip] = make_clip,
    stdout: TextIO | None = None,
) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        load: loads MNIST; tests hand in another.
        clip: makes a clip by its name; tests hand in shorter ones.
        stdout: where results go; standard output by default.

    Returns:
        The exit code: 0 every limit holds, 1 one is broken or another expected error, 2 wrong usage.
    """
    options = _parser().parse_args(argv)
    return run_command(lambda: _verify(options, load, clip, stdout or sys.stdout))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.verify",
        description=(
            "Run the same inputs through the float model and every file of a bundle, by the classifiers that the "
            f"camera uses, and hold what differs to the limits in {PATH.name}."
        ),
        epilog="Exit code 1: a limit is broken; a line on stderr for each says which.",
    )
    parser.add_argument("--model", default="edge", help="a shipped model, or the folder of a bundle (default: edge)")
    parser.add_argument(
        "--reference",
        choices=("keras", "onnx"),
        default="keras",
        help="the float model: Keras's, or its float32 ONNX file where TensorFlow is not installed (default: keras)",
    )
    parser.add_argument(
        "--sets",
        default=",".join((*SETS, *CLIPS)),
        metavar="LIST",
        help=(
            "what to run, with commas between: gate (augmented validation images), none (what is not a digit), mnist "
            "(the test set; only reported), and through the whole pipeline demo (the demo clip), frames (500 rendered "
            "camera frames); all but mnist gate (default: %(default)s)"
        ),
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with MNIST; else $MNIST_DIR, else Keras's cache or download"
    )
    parser.add_argument(
        "--gate-count",
        type=int,
        default=GATE_COUNT,
        metavar="N",
        help="images of the gate set; of none a fifth as many (default: %(default)s; fewer only in trials)",
    )
    parser.add_argument(
        "--frames",
        type=Path,
        default=Path("runs/replay"),
        metavar="DIR",
        help="where the rendered frames are, or are put; they are made once (default: %(default)s)",
    )
    parser.add_argument(
        "--limits", type=Path, default=PATH, metavar="FILE", help=f"limits of your own, in the form of {PATH.name}"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write parity.json, parity.md and parity.html there")
    parser.add_argument("--json", action="store_true", help="print what parity.json holds instead of tables")
    return parser


def _verify(
    options: argparse.Namespace,
    load: Callable[[Path | None], Mnist],
    clip: Callable[[str, Callable[[], Mnist], Path], Clip],
    stdout: TextIO,
) -> int:
    names = [name.strip() for name in options.sets.split(",") if name.strip()]
    unknown = [name for name in names if name not in (*SETS, *CLIPS)]
    if unknown or not names:
        raise UsageError(f"--sets is {options.sets!r}; expected a list with commas of {', '.join((*SETS, *CLIPS))}")
    if options.gate_count < 100:
        raise UsageError(f"--gate-count is {options.gate_count}; expected 100 or more")
    require("scipy", "tqdm", *(["matplotlib"] if options.out or "frames" in names else []), extra="verify")
    from export.classifiers import reference_classifier
    from export.report import report_values
    from export.samples import gate_set, mnist_set, none_set
    from export.verification import verify

    started = time.perf_counter()
    limits = load_limits(options.limits)
    bundle = load_bundle(options.model)
    if "none" not in bundle.manifest.labels and names == ["none"]:
        raise UsageError(f"--sets is none, but {bundle.manifest.name} knows digits alone; name another set")
    data = cache(lambda: load(options.data))
    knows_none = "none" in bundle.manifest.labels
    makers = {
        "gate": lambda: gate_set(data(), options.gate_count),
        "none": lambda: none_set(data(), options.gate_count // NONE_SHARE),
        "mnist": lambda: mnist_set(data()),
    }
    sets = (makers[name]() for name in SETS if name in names and (name != "none" or knows_none))
    clips = [clip(name, data, options.frames) for name in CLIPS if name in names]
    found = verify(bundle, reference_classifier(bundle, options.reference), sets, clips, limits)
    values = report_values(found)
    if options.json:
        print(json.dumps(values, indent=1, ensure_ascii=False), file=stdout)
    else:
        _print_tables(values, stdout)
    if options.out:
        _write(found, values, options.out)
        print(f"report: {options.out / 'parity.html'}", file=sys.stderr)
    for line in found.breaches:
        print(f"broken: {line}", file=sys.stderr)
    for line in found.causes:
        print(line, file=sys.stderr)
    print(f"{time.perf_counter() - started:.0f} seconds", file=sys.stderr)
    return 1 if found.breaches else 0


def _print_tables(values: dict[str, Any], stdout: TextIO) -> None:
    from export.report import summary, verdict

    for each in values["sets"]:
        print(f"{each['name']}, {each['count']:,} images{'' if each['gates'] else ' (reported only)'}", file=stdout)
        _print_table(comparison_table(values, each["name"]), stdout)
    if values["kernels"]:
        print("the same network by other kernels", file=stdout)
        _print_table(kernel_table(values), stdout)
    for name, count in clips(values).items():
        print(f"{name}, {count} frames", file=stdout)
        _print_table(replay_table(values, name), stdout)
    for line in [*summary(values), verdict(values)]:
        print(line, file=stdout)


def _print_table(rows: list[list[str]], stdout: TextIO) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(("  " + "  ".join(cells)).rstrip(), file=stdout)
    print(file=stdout)


def _write(found: Verification, values: dict[str, Any], folder: Path) -> None:
    from export.report import markdown
    from export.report_page import page  # loads matplotlib

    texts = {
        "parity.json": json.dumps(values, indent=1, ensure_ascii=False) + "\n",
        "parity.md": markdown(values),
        "parity.html": page(found, values),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {folder} ({error}); make room for it, or name another folder") from error


if __name__ == "__main__":
    sys.exit(main())
