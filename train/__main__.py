"""``python -m train``: train a network on MNIST and on crops of rendered camera frames."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runtime.errors import UsageError, run_command
from runtime.options import HelpFormatter
from train.data import load_mnist
from train.epochs import crop_pools
from train.quiet import load_tensorflow


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _train(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Train a digit network on MNIST and on what the runtime's detector cuts out of rendered camera "
        "frames; leave model.keras, history.json and validation-crops.npz in runs/MODEL.",
        epilog="Then: python -m export --model edge",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", default="edge", help="network to train")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with MNIST's four idx files or mnist.npz; else $MNIST_DIR, else Keras's cache or download",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results; runs/MODEL unless named")
    parser.add_argument("--epochs", type=int, default=50, help="passes over the training images")
    parser.add_argument("--batch", type=int, default=128, help="pictures a step")
    parser.add_argument(
        "--frames",
        type=int,
        default=4_000,
        metavar="N",
        help="camera frames to render and cut up with the runtime's detector, to train on; 0 for MNIST alone",
    )
    parser.add_argument(
        "--pools", type=Path, default=Path("runs/pools"), metavar="DIR", help="folder that keeps what was cut out"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="train on N images only, for a trial")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--resume", action="store_true", help="go on where a stopped run was")
    return parser


def _train(options: argparse.Namespace) -> int:
    for name in ("epochs", "batch", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} is {value}; expected 1 or more")
    if options.seed < 0:
        raise UsageError(f"--seed is {options.seed}; expected 0 or more")
    if options.frames < 0:
        raise UsageError(f"--frames is {options.frames}; expected 0 or more")
    load_tensorflow()
    from train.augment import AugmentSettings
    from train.fit import FitSettings, fit
    from train.networks import NETWORKS

    if options.model not in NETWORKS:
        raise UsageError(f"--model is {options.model}; expected one of {', '.join(NETWORKS)}")
    data = load_mnist(options.data)
    settings = FitSettings(options.model, options.epochs, options.batch, limit=options.limit, seed=options.seed)
    run = options.out or Path("runs") / options.model
    crops = crop_pools(data, options.frames, options.pools) if options.frames else None
    history = fit(data, settings, AugmentSettings(), run, options.resume, crops)
    last = history["epochs"][-1]
    summary = f"{last['validation_accuracy']:.2%} of {len(data.validation_images):,} validation images"
    if crops:
        summary += (
            f"; of crops of rendered frames {last['crops_right']:.2%} of the digits right, "
            f"{last['crops_invented']:.2%} of the others taken for digits"
        )
    print(f"{run / 'model.keras'}: {summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
