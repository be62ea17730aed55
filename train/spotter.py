"""``python -m train.spotter``: train the network that tells which of connected ink belongs to which digit.

It writes ``runtime/spotter.onnx``, which the runtime's detector uses; crops are made anew then, and models trained on
them anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import SinkError, UsageError, run_command
from runtime.options import HelpFormatter
from runtime.spotter import NETWORK, Reader
from train.data import load_mnist
from train.evaluate import add_data_option
from train.packages import TRAINING, require
from train.quiet import load_tensorflow
from train.scenes import SceneSettings

# Loads matplotlib: not before it is known to be there.
if TYPE_CHECKING:
    from train.conditions import Spacing

_FRAMES: tuple[tuple[int, Spacing | None], ...] = ((201, None), (202, "touching"))
"""Of the frames that are learned from: seeds, and how digits stand."""

_VALIDATION = 203
"""Seed of the frames that the result is tried on."""


@dataclass(frozen=True, slots=True)
class SpotterSettings:
    """How to train.

    Attributes:
        frames: rendered to cut strips from; half of them with digits that touch.
        epochs: passes over the strips that the runtime would ask about.
        learning_rate: the highest; a cosine to zero after a short warm-up.
        joined: strips made by pushing others together, as a share of those with digits.
        empty: share of the strips without digits that an epoch has.
        width: channels of the network.
        seed: of everything random.
    """

    frames: int = 5200
    epochs: int = 6
    learning_rate: float = 3e-3
    joined: float = 1.0
    empty: float = 0.3
    width: int = 32
    seed: int = 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _spotter(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    defaults = SpotterSettings()
    parser = argparse.ArgumentParser(
        prog="python -m train.spotter",
        description="Train the network that tells which of connected ink belongs to which digit.",
        epilog="It is part of the detector: what is cut out changes with it, so train the models anew after it.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, default=NETWORK, metavar="FILE", help="the ONNX file to write")
    parser.add_argument("--frames", type=int, default=defaults.frames, metavar="N", help="frames to learn from")
    parser.add_argument("--epochs", type=int, default=defaults.epochs, metavar="N", help="passes over their ink")
    parser.add_argument("--seed", type=int, default=defaults.seed, metavar="S", help="of everything random")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="that render at a time")
    add_data_option(parser)
    return parser


def _spotter(options: argparse.Namespace) -> int:
    for name, least in (("frames", 2), ("epochs", 1), ("processes", 1)):
        if getattr(options, name) < least:
            raise UsageError(f"--{name} is {getattr(options, name)}; expected {least} or more")
    if options.seed < 0:
        raise UsageError(f"--seed is {options.seed}; expected 0 or more")
    if not os.access(options.out.parent, os.W_OK):  # known before half an hour of work is lost
        raise SinkError(f"cannot write {options.out}: {options.out.parent} is no folder to write to; name another file")
    require(*TRAINING)
    load_tensorflow(training=True)
    from train.fit_spotter import score, to_onnx, train
    from train.strips import cut_strips

    data = load_mnist(options.data)
    settings = SpotterSettings(options.frames, options.epochs, seed=options.seed)
    sets = [SceneSettings(settings.frames // 2, seed, "train", "mixed", spacing=spacing) for seed, spacing in _FRAMES]
    strips = cut_strips(sets, (data.train_images, data.train_labels), options.processes)
    validation = cut_strips(
        [SceneSettings(max(settings.frames // 40, 2), _VALIDATION, "train", "mixed")],
        (data.validation_images, data.validation_labels),
        options.processes,
    )
    model = train(strips, settings)
    made = to_onnx(
        model, f"python -m train.spotter --frames {settings.frames} --epochs {settings.epochs} --seed {settings.seed}"
    )
    fresh = options.out.with_name(f"fresh-{options.out.name}")
    try:
        fresh.write_bytes(made.SerializeToString())
        fresh.replace(options.out)
    except OSError as error:
        raise SinkError(f"cannot write {options.out} ({error.strerror or error}); name another file") from error
    figures = score(Reader(options.out), [strip for strip in validation if strip.doubtful])
    print(
        f"{options.out}: of digits in ink of other frames that may be several, {figures['found']:.1%} have a box of an "
        f"IoU of 0.5, {figures['tight']:.1%} of 0.75; for each digit {figures['invented']:.2f} boxes are of none"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
