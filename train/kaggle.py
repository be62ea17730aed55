"""``python -m train.kaggle``: from Kaggle's digit-recognizer files to a submission.

Each has a head. Rows of ``train.csv`` are a label and 784 pixels, of ``test.csv`` pixels alone, of the submission
``ImageId,Label``, counted from 1.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np

from runtime.errors import DataError, SinkError, UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from runtime.preprocess import FIELD
from runtime.values import Image
from train.data import Mnist
from train.inputs import Model, open_model
from train.packages import TRAINING, require

_PIXELS = FIELD * FIELD
_HELD_BACK = 12
"""One in so many rows chooses nothing but tells how good the network is."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _kaggle(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.kaggle",
        description="Train on Kaggle's train.csv, or take a model that there is, and label test.csv.",
        epilog="python -m train.kaggle train.csv test.csv --out submission.csv\n"
        "python -m train.kaggle train.csv test.csv --out submission.csv --bundle edge   # trained on MNIST, in which\n"
        "                                    # Kaggle's test digits occur: such a score is not comparable",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("train", type=Path, metavar="TRAIN.CSV", help="labels and pixels")
    parser.add_argument("test", type=Path, metavar="TEST.CSV", help="pixels")
    parser.add_argument("--out", type=Path, default=Path("submission.csv"), metavar="FILE", help="the submission")
    parser.add_argument("--bundle", metavar="NAME", help="label with this model and train nothing")
    parser.add_argument("--model", default="edge", help="network to train")
    parser.add_argument("--epochs", type=positive_integer, default=30, help="passes over the training digits")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random")
    parser.add_argument(
        "--run", type=Path, default=Path("runs/kaggle"), metavar="DIR", help="folder for what training leaves"
    )
    parser.add_argument("--resume", action="store_true", help="go on where a stopped run was")
    return parser


def _kaggle(options: argparse.Namespace) -> int:
    if options.seed < 0:
        raise UsageError(f"--seed is {options.seed}; expected 0 or more")
    if options.out.is_dir() or not options.out.parent.is_dir():
        raise SinkError(f"cannot write {options.out}: it is a folder, or lies in none; name a file")
    require(*TRAINING)
    data = read_digits(options.train, options.test, options.seed)
    model = open_model(options.bundle) if options.bundle else _train(options, data)
    right = (answers(model, data.validation_images) == data.validation_labels).mean()
    labels = answers(model, data.test_images)
    lines = ["ImageId,Label", *(f"{number},{label}" for number, label in enumerate(labels, start=1))]
    try:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write {options.out}: {error.strerror}") from error
    print(
        f"{options.out}: {len(labels):,} digits labeled; {right:.2%} right of {len(data.validation_labels):,} held back"
    )
    return 0


def read_digits(train: Path, test: Path, seed: int = 0) -> Mnist:
    """Kaggle's two files as a data set: one row in twelve of the labeled ones held back, no labels for the test.

    Raises:
        DataError: a file is missing, or not of Kaggle's form.
    """
    rows = _rows(train, _PIXELS + 1)
    labels, images = rows[:, 0], rows[:, 1:].reshape(-1, FIELD, FIELD)
    if labels.max() > 9:
        raise DataError(f"{train} has a label {labels.max()}; expected 0 to 9")
    order = np.random.default_rng(seed).permutation(len(rows))
    count = max(len(rows) // _HELD_BACK, 1)
    held, kept = order[:count], order[count:]
    pixels = _rows(test, _PIXELS).reshape(-1, FIELD, FIELD)
    unknown = np.zeros(len(pixels), np.uint8)
    return Mnist(images[kept], labels[kept], images[held], labels[held], pixels, unknown, {})


def answers(model: Model, images: Image) -> Image:
    """The likeliest digit of each picture, uint8 (n,): what is no digit is not asked for."""
    return model.logits(images)[:, :10].argmax(axis=1).astype(np.uint8)


def _rows(path: Path, columns: int) -> Image:
    """The numbers of a file with a head: uint8 (rows, columns)."""
    try:
        with path.open(encoding="utf-8") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without rows, which is said below
            head = file.readline().rstrip("\n").split(",")
            rows = np.loadtxt(file, dtype=np.int64, delimiter=",", ndmin=2)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; fetch it from Kaggle's digit-recognizer") from error
    except (ValueError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path} is not a table of whole numbers ({reason}); fetch it again") from error
    if len(head) != columns or rows.shape[1:] != (columns,) or len(rows) < 2:
        raise DataError(
            f"{path} has {len(head)} columns and {len(rows)} rows; expected {columns} columns, 2 rows or more"
        )
    if rows.min() < 0 or rows.max() > 255:
        raise DataError(f"{path} holds numbers from {rows.min()} to {rows.max()}; expected 0 to 255")
    return rows.astype(np.uint8)


def _train(options: argparse.Namespace, data: Mnist) -> Model:
    from train.quiet import load_tensorflow

    load_tensorflow(training=True)
    from train.augment import AugmentSettings
    from train.fit import FitSettings, fit
    from train.networks import NETWORKS

    if options.model not in NETWORKS:
        raise UsageError(f"--model is {options.model}; expected one of {', '.join(NETWORKS)}")
    settings = FitSettings(options.model, options.epochs, seed=options.seed)
    fit(data, settings, AugmentSettings(), options.run, options.resume)
    return open_model(str(options.run))


if __name__ == "__main__":
    sys.exit(main())
