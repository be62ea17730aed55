"""``python -m train``: train a network on MNIST and crops of rendered camera frames, or go on with one's own digits."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from train.data import Mnist, load_mnist
from train.evaluate import print_table, write_files
from train.inputs import keras_model, load_images, open_model
from train.packages import TRAINING, require
from train.quiet import load_tensorflow
from train.workers import Workers, connect, start

if TYPE_CHECKING:
    from train.distill import Teacher
    from train.epochs import CropPools

_PLAIN_EPOCHS, _EPOCHS = 5, 60
_PLAIN_BATCH, _BATCH = 32, 128


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(given)
    if options.workers > 1 and "TF_CONFIG" not in os.environ and not options.extra:
        return run_command(lambda: start([*given, "--workers", "1"], options.workers))
    return run_command(lambda: _extra(options) if options.extra else _train(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description="Train a digit network on MNIST and on what the runtime's detector cuts out of rendered camera "
        "frames; leave model.keras, history.json and validation-crops.npz in runs/MODEL.",
        epilog="Then: python -m export --model edge",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        default="edge",
        help="network to train: edge, wide, micro, tiny, small, medium, classic, lenet5, resnet or mobilenet",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with MNIST's four idx files or mnist.npz; else $MNIST_DIR, else Keras's cache or download",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the results; runs/MODEL unless named")
    parser.add_argument("--resume", action="store_true", help="go on where a stopped run was")
    parser.add_argument(
        "--workers",
        type=positive_integer,
        default=1,
        metavar="N",
        help="train by so many processes of this machine, each with a GPU of its own where there are any; on several "
        "machines set TF_CONFIG for each instead",
    )
    recipe = parser.add_argument_group("recipe")
    recipe.add_argument(
        "--recipe",
        choices=("full", "digits", "plain"),
        default="full",
        help="full: for a camera, with the label none; digits: MNIST's digits alone, varied, ten labels; plain: as the "
        "tutorials do, to compare with: ten labels, nothing varied, three tenths set aside",
    )
    recipe.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help=f"passes over the training images; {_EPOCHS}, wide 25, plain {_PLAIN_EPOCHS}",
    )
    recipe.add_argument("--batch", type=int, metavar="N", help=f"pictures a step; {_BATCH}, plain {_PLAIN_BATCH}")
    recipe.add_argument(
        "--frames",
        type=int,
        default=10_000,
        metavar="N",
        help="camera frames to render and cut up with the runtime's detector, to train on; 0 for MNIST alone",
    )
    recipe.add_argument(
        "--pools", type=Path, default=Path("runs/pools"), metavar="DIR", help="folder that keeps what was cut out"
    )
    recipe.add_argument(
        "--teacher",
        metavar="NAME|DIR",
        help="learn from a larger network's answers too: the folder of a finished training, or a network, such as "
        "wide, that is trained first, by its own recipe, into OUT/teacher",
    )
    recipe.add_argument(
        "--without",
        default="",
        metavar="NAMES",
        help="leave out kinds of augmentation, with commas between: rotation, shear, stretch, shift, bend, "
        "through_preprocess (train.explore shows them)",
    )
    recipe.add_argument("--limit", type=int, metavar="N", help="train on N images only, for a trial")
    recipe.add_argument("--seed", type=int, default=0, help="of everything random")
    recipe.add_argument(
        "--seeds",
        type=seed_list,
        metavar="LIST",
        help="several, such as 0-4 or 1,5: each into its own folder below; mean and spread are printed",
    )
    recipe.add_argument("--tensorboard", action="store_true", help="leave events for TensorBoard in OUT/events")
    extra = parser.add_argument_group("your own digits")
    extra.add_argument(
        "--extra",
        type=Path,
        metavar="DIR",
        help="go on from MODEL, a shipped one or a folder, with a folder of your own pictures in subfolders 0 to 9 and "
        "none; a third of them is held back to say whether it helped",
    )
    return parser


def seed_list(text: str) -> tuple[int, ...]:
    """``0-4`` or ``1,5`` as numbers."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a list of seeds such as 0-4 or 1,5")
        seeds += range(int(first), int(last if dash else first) + 1)
    return tuple(dict.fromkeys(seeds))


def _check(options: argparse.Namespace) -> None:
    for name in ("epochs", "batch", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} is {value}; expected 1 or more")
    for name in ("seed", "frames"):
        if getattr(options, name) < 0:
            raise UsageError(f"--{name} is {getattr(options, name)}; expected 0 or more")


def _train(options: argparse.Namespace) -> int:
    _check(options)
    plain = options.recipe == "plain"
    if (options.workers > 1 or "TF_CONFIG" in os.environ) and (plain or options.resume):
        raise UsageError(f"several workers take no {'--recipe plain' if plain else '--resume'}")
    unfit = [name for name in ("resume", "without", "teacher") if getattr(options, name)]
    if plain and unfit:
        raise UsageError(f"--recipe plain takes no --{unfit[0]}")
    require(*TRAINING)
    without = _kinds(options.without)
    load_tensorflow(training=True)
    workers = connect()
    from train.epochs import crop_pools
    from train.networks import NETWORKS

    if options.model not in NETWORKS:
        raise UsageError(f"--model is {options.model}; expected one of {', '.join(NETWORKS)}")
    to_train = options.teacher in NETWORKS
    if to_train and workers:
        raise UsageError(f"several workers take no --teacher {options.teacher}; train it before and name its folder")
    teacher = _read_teacher(options) if options.teacher and not to_train else None
    data = load_mnist(options.data)
    full = options.recipe == "full"
    out = options.out or Path("runs") / (options.model if full else f"{options.model}-{options.recipe}")
    crops = crop_pools(data, options.frames, options.pools) if full and options.frames else None
    if to_train:
        teacher = _train_teacher(options, data, without, crops, out / "teacher")
    seeds = options.seeds or (options.seed,)
    accuracies = []
    for seed in seeds:
        run = out / f"seed-{seed}" if options.seeds else out
        with tempfile.TemporaryDirectory() as nowhere:
            own = Path(nowhere) if workers and workers.index else run  # only the chief writes
            last = _run(options, data, without, crops, own, seed, workers, teacher)
        accuracies.append(last["validation_accuracy"])
        print(f"{run / 'model.keras'}: {_told(last)}", flush=True)
    if len(seeds) > 1:
        mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
        print(f"{len(seeds)} seeds: {mean:.2%} ± {100 * spread:.2f} points (standard deviation)")
    return 0


def _run(
    options: argparse.Namespace,
    data: Mnist,
    without: Sequence[str],
    crops: CropPools | None,
    run: Path,
    seed: int,
    workers: Workers | None,
    teacher: Teacher | None,
) -> dict[str, Any]:
    """One training; returns the figures of its last epoch."""
    from train.events import EventWriter
    from train.fit import finished, fit
    from train.recipes import recipe

    watch = EventWriter(run / "events") if options.tensorboard else None
    if options.recipe == "plain":
        from train.plain import PlainSettings, fit_plain

        plain = PlainSettings(
            options.model,
            options.epochs or _PLAIN_EPOCHS,
            options.batch or _PLAIN_BATCH,
            limit=options.limit,
            seed=seed,
        )
        return dict(fit_plain(data, plain, run, watch)["epochs"][-1])
    settings, usual = recipe(options.recipe, options.model)
    settings = replace(
        settings,
        epochs=options.epochs or settings.epochs,
        batch=options.batch or settings.batch,
        limit=options.limit,
        seed=seed,
    )
    augmentation = replace(usual, **dict.fromkeys(without, 0.0))
    resume = options.resume
    if resume and options.seeds:  # some are finished, one was stopped, the rest not begun
        done = finished(settings, augmentation, crops, run, teacher)
        if done:
            return dict(done["epochs"][-1])
        resume = (run / "checkpoint.keras").is_file()
    return dict(fit(data, settings, augmentation, run, resume, crops, watch, workers, teacher)["epochs"][-1])


def _read_teacher(options: argparse.Namespace) -> Teacher:
    from train.distill import load_teacher
    from train.networks import NETWORKS
    from train.recipes import recipe

    run = Path(options.teacher)
    if not run.is_dir():
        raise UsageError(
            f"--teacher is {options.teacher}; expected a finished training's folder, or one of {', '.join(NETWORKS)}"
        )
    return load_teacher(run, recipe(options.recipe, options.model)[0].epoch.labels)


def _train_teacher(
    options: argparse.Namespace, data: Mnist, without: Sequence[str], crops: CropPools | None, run: Path
) -> Teacher:
    """Train the network that ``--teacher`` names, by its own recipe; one that is there is not trained again."""
    from train.distill import load_teacher
    from train.fit import finished, fit
    from train.recipes import recipe

    settings, usual = recipe(options.recipe, options.teacher)
    settings = replace(settings, limit=options.limit, seed=options.seed)
    augmentation = replace(usual, **dict.fromkeys(without, 0.0))
    if not finished(settings, augmentation, crops, run):
        resume = options.resume and (run / "checkpoint.keras").is_file()
        last = fit(data, settings, augmentation, run, resume, crops)["epochs"][-1]
        print(f"{run / 'model.keras'}: {_told(last)}", flush=True)
    return load_teacher(run, settings.epoch.labels)


def _told(last: dict[str, Any]) -> str:
    text = f"{last['validation_accuracy']:.2%} of {last['validation_count']:,} validation images"
    if "crops_right" in last:
        text += (
            f"; of crops of rendered frames {last['crops_right']:.2%} of the digits right, "
            f"{last['crops_invented']:.2%} of the others taken for digits"
        )
    return text


def _kinds(text: str) -> list[str]:
    """Kinds of augmentation, by name, with commas between."""
    from train.augment import AugmentSettings

    known = [each.name for each in fields(AugmentSettings)]
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UsageError(f"--without names {name}; expected some of {', '.join(known)}")
    return names


def _extra(options: argparse.Namespace) -> int:
    _check(options)
    unfit = options.resume or options.without or options.seeds or options.teacher
    if unfit or options.recipe != "full" or options.workers > 1:
        raise UsageError("--extra takes none of --resume, --without, --seeds, --teacher, --recipe and --workers")
    require(*TRAINING)
    path, images = keras_model(options.model), load_images(str(options.extra))
    data = load_mnist(options.data)
    base = open_model(str(path))
    from train.extra import ExtraSettings, train_extra
    from train.extra_page import extra_page, extra_table

    settings = ExtraSettings(seed=options.seed)
    settings = replace(settings, epochs=options.epochs or settings.epochs, batch=options.batch or settings.batch)
    run = options.out or Path("runs") / f"{path.parent.name}-extra"
    found = train_extra(base, path, images, data, settings, run)
    write_files(run, {"extra.html": extra_page(found)})
    print_table(extra_table(found))
    print(f"\n{found.verdict}")
    print(f"{run / 'extra.html'}: the same with pictures; nothing was replaced.")
    print(f"To take it: python -m export --run {run} --out own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
