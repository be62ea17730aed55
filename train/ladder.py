"""``python -m train.ladder``: accuracy against size, from 3 kB of weights to 100 kB, each step of several seeds.

A killed run is gone on with by the same command. Networks are chosen on validation digits; ``--test`` asks the test
digits, once and to report.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
from pathlib import Path

from runtime.errors import UsageError, run_command
from runtime.options import HelpFormatter
from train.__main__ import main as train
from train.__main__ import seed_list
from train.data import load_mnist
from train.evaluate import add_data_option, print_table
from train.packages import TRAINING, require

STEPS = {"micro": 98.92, "tiny": 99.06, "small": 99.55, "medium": 99.56, "edge": 99.75}
"""Networks from small to large, each with the best accuracy that was published for at most as many bytes, in percent.

BitNetMCU (github.com/cpldcpu/BitNetMCU) for the first three steps and a CNN of 19,678 parameters for the fourth, mostly
at their best epoch on the test digits; a 15-CNN ensemble's single networks for the last.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _ladder(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.ladder",
        description="Train the networks of every size with several seeds, and tabulate accuracy against bytes. What is "
        "finished is not trained again.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--networks", default=",".join(STEPS), metavar="LIST", help="with commas between")
    parser.add_argument("--seeds", type=seed_list, default="0-2", metavar="LIST", help="such as 0-4 or 1,5")
    parser.add_argument("--epochs", type=int, default=50, metavar="N", help="passes over the training images")
    parser.add_argument("--frames", type=int, default=10_000, metavar="N", help="camera frames to train on")
    parser.add_argument("--limit", type=int, metavar="N", help="train on N images only, for a trial")
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"), metavar="DIR", help="folder for the runs")
    parser.add_argument("--pools", type=Path, default=Path("runs/pools"), metavar="DIR", help="folder of cut-out crops")
    parser.add_argument("--test", action="store_true", help="ask MNIST's test digits too, to report")
    add_data_option(parser)
    return parser


def _ladder(options: argparse.Namespace) -> int:
    names = [name.strip() for name in options.networks.split(",")]
    if unknown := [name for name in names if name not in STEPS]:
        raise UsageError(f"--networks names {unknown[0]}; expected some of {', '.join(STEPS)}")
    require(*TRAINING)
    data = load_mnist(options.data)
    rows = [["network", "int8 weights", "validation", *(["test"] if options.test else []), "published"]]
    for name in names:
        seeds = ",".join(map(str, options.seeds))
        arguments = ["--model", name, "--seeds", seeds, "--epochs", str(options.epochs), "--resume"]
        arguments += ["--frames", str(options.frames), "--pools", str(options.pools), "--out", str(options.out / name)]
        arguments += ["--limit", str(options.limit)] if options.limit else []
        arguments += ["--data", str(options.data)] if options.data else []
        with contextlib.redirect_stdout(sys.stderr):
            code = train(arguments)
        if code:
            return code
        from train.fit import score
        from train.networks import load_model, weight_bytes

        models = [load_model(options.out / name / f"seed-{seed}" / "model.keras") for seed in options.seeds]
        cells = [_spread([score(m, data.validation_images, data.validation_labels)[1] for m in models])]
        if options.test:
            cells.append(_spread([score(m, data.test_images, data.test_labels)[1] for m in models]))
        rows.append([name, f"{weight_bytes(models[0]):,} B", *cells, f"{STEPS[name]:.2f} %"])
    print_table(rows)
    return 0


def _spread(accuracies: list[float]) -> str:
    mean = f"{100 * statistics.mean(accuracies):.2f}"
    return f"{mean} ± {100 * statistics.stdev(accuracies):.2f} %" if len(accuracies) > 1 else f"{mean} %"


if __name__ == "__main__":
    sys.exit(main())
