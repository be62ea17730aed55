"""``python -m export``: make a verified bundle of a trained model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from export.formats import DEFAULT_FORMATS, FORMATS, parse_formats
from export.limits import GATE_COUNT, PATH, load_limits
from export.packages import check_packages
from runtime.errors import DataError, UsageError, run_command
from train.data import Mnist, load_mnist
from train.quiet import load_tensorflow

if TYPE_CHECKING:  # loads matplotlib: not before it is known to be there
    from train.crops import LabeledCrops

_WHAT = {"gate": "images of digits", "none": "of what is not a digit"}


def main(argv: Sequence[str] | None = None, *, load: Callable[[Path | None], Mnist] = load_mnist) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        load: loads MNIST; tests hand in another.

    Returns:
        The exit code: 0 a bundle was written, 1 a file does not agree or another expected error, 2 wrong usage.
    """
    return run_command(lambda: _export(_parser().parse_args(argv), load))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description=(
            "Convert a trained model to TFLite and ONNX, compare every file with the float model "
            "image by image through the runtime's own classifier, and write the bundle only if all agree."
        ),
        epilog=(
            "formats:\n"
            + "\n".join(f"  {name:<20}{what}" for name, what in FORMATS.items())
            + "\n\nExit code 1: a file does not agree; the old bundle is left as it was."
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="edge", help="name of the model and of its bundle (default: edge)")
    parser.add_argument("--run", type=Path, metavar="DIR", help="what `python -m train` left (default: runs/MODEL)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the bundle's folder (default: models/MODEL)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with MNIST; else $MNIST_DIR, else Keras's cache or download"
    )
    parser.add_argument(
        "--formats",
        default=",".join(DEFAULT_FORMATS),
        metavar="LIST",
        help="what to make, with commas between, or all (default: %(default)s)",
    )
    parser.add_argument(
        "--limits", type=Path, default=PATH, metavar="FILE", help=f"limits of your own, in the form of {PATH.name}"
    )
    parser.add_argument(
        "--gate-count",
        type=int,
        default=GATE_COUNT,
        metavar="N",
        help="images of digits to compare on, and a fifth as many of none (default: %(default)s; fewer only in trials)",
    )
    return parser


def _export(options: argparse.Namespace, load: Callable[[Path | None], Mnist]) -> int:
    run = options.run or Path("runs") / options.model
    out = options.out or Path("models") / options.model
    trained = run / "model.keras"
    if not trained.is_file():
        raise DataError(f"no {trained}; train first: python -m train --model {options.model} --out {run}")
    if options.gate_count < 100:
        raise UsageError(f"--gate-count is {options.gate_count}; expected 100 or more")
    formats = parse_formats(options.formats)
    training = _training(run)
    limits = load_limits(options.limits)
    check_packages()
    data = load(options.data)
    load_tensorflow()
    from export.write_bundle import export_bundle
    from train.networks import load_model

    parities = export_bundle(
        *(load_model(trained), data, out, training),
        gate_count=options.gate_count,
        limits=limits,
        formats=formats,
        crops=_crops(run) if training["crops"] else None,
    )
    manifest = json.loads((out / "manifest.json").read_text())
    head = f"{'artifact':<20}{'bytes':>9}{'MNIST test':>12}{'95 % interval':>18}{'labels differ':>15}{'drop <':>10}"
    print(head + f"{'no digits differ':>18}" * ("none" in parities))
    for number, artifact in enumerate(manifest["artifacts"]):
        test, parity = artifact["metrics"]["mnist_test"], parities["gate"][number]
        low, high = test["interval95"]
        print(
            f"{parity.artifact:<20}{artifact['bytes']:>9,}{test['accuracy']:>12.2%}{f'{low:.2%} - {high:.2%}':>18}"
            f"{parity.disagreement:>15.3%}{max(parity.drop_bound, 0):>10.3%}"
            + "".join(f"{each[number].disagreement:>18.3%}" for name, each in parities.items() if name == "none")
        )
    if calibration := manifest["provenance"]["calibration"]:
        dependence = calibration["dependence"]
        print(f"two other calibrations: {dependence['disagreement']:.3%} of {dependence['count']:,} labels differ")
    counts = " and ".join(f"{each[0].count:,} {_WHAT[name]}" for name, each in parities.items())
    print(f"{out}: every artifact agrees with the float model on {counts}")
    return 0


def _training(run: Path) -> dict[str, Any]:
    """The training run's settings and its last epoch, for the provenance."""
    path = run / "history.json"
    try:
        history = json.loads(path.read_text())
        training = {key: history[key] for key in ("settings", "augmentation")} | {"last_epoch": history["epochs"][-1]}
        training["crops"] = history.get("crops")
        training["teacher"] = history.get("teacher")
        done, wanted = len(history["epochs"]), history["settings"]["epochs"]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is missing or broken ({error}); train again") from error
    if done != wanted:
        raise DataError(f"{run} is half trained, {done} of {wanted} epochs; finish it: python -m train --resume")
    return training


def _crops(run: Path) -> LabeledCrops:
    from train.crops import VALIDATION_CROPS, LabeledCrops

    path = run / VALIDATION_CROPS
    try:
        return LabeledCrops.load(path)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path} is missing or broken ({error}); train again") from error


if __name__ == "__main__":
    sys.exit(main())
