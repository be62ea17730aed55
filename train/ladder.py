"""``python -m train.ladder``: accuracy against size, from 3 kB of weights to 100 kB, each step of several seeds.

A killed run is gone on with by the same command. Networks are chosen on validation digits; ``--test`` asks the test
digits, once and to report.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from runtime.errors import DataError, UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from train.__main__ import seed_list
from train.data import Mnist, load_mnist
from train.evaluate import add_data_option, print_table, write_files
from train.packages import TRAINING, require
from train.quiet import load_tensorflow


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the ladder.

    Attributes:
        kilobytes: that the int8 weights may have.
        wanted: accuracy on the validation digits that the mean of the seeds is to reach, in percent.
        published: the best that is known of at most as many bytes, in percent; mostly a best epoch on the test digits.
    """

    kilobytes: int
    wanted: float
    published: float


STEPS = {
    "micro": Step(3, 99.0, 98.92),
    "tiny": Step(5, 99.1, 99.06),
    "small": Step(11, 99.5, 99.55),
    "medium": Step(25, 99.6, 99.56),
    "edge": Step(100, 99.7, 99.75),
}
"""Networks from small to large.

Published: BitNetMCU (github.com/cpldcpu/BitNetMCU) for the first three, a CNN of 19,678 parameters for the fourth, and
single networks of a 15-CNN ensemble for the last.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One training.

    Attributes:
        name: of the network.
        seed: of everything random.
        folder: for ``train``'s ``--out``.
        epochs: passes over the digits.
    """

    name: str
    seed: int
    folder: Path
    epochs: int

    @property
    def run(self) -> Path:
        """Where the results are."""
        return self.folder / f"seed-{self.seed}"

    def history(self) -> list[dict[str, Any]]:
        """The epochs so far."""
        try:
            return list(json.loads((self.run / "history.json").read_text(encoding="utf-8"))["epochs"])
        except (OSError, ValueError, KeyError):
            return []


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
    parser.add_argument("--epochs", type=positive_integer, metavar="N", help="passes over the training images")
    parser.add_argument("--limit", type=positive_integer, metavar="N", help="train on N images only, for a trial")
    parser.add_argument(
        "--processes",
        type=positive_integer,
        default=os.cpu_count() or 1,
        metavar="N",
        help="trainings at a time, on one core each: networks so small gain nothing by more",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"), metavar="DIR", help="folder for the runs")
    parser.add_argument("--finished", action="store_true", help="train nothing; tabulate what is finished")
    parser.add_argument("--test", action="store_true", help="ask MNIST's test digits too, to report")
    add_data_option(parser)
    return parser


def _ladder(options: argparse.Namespace) -> int:
    names = [name.strip() for name in options.networks.split(",")]
    if unknown := [name for name in names if name not in STEPS]:
        raise UsageError(f"--networks names {unknown[0]}; expected some of {', '.join(STEPS)}")
    require(*TRAINING)
    data = load_mnist(options.data)
    load_tensorflow(training=True)
    from train.fit import finished
    from train.recipes import recipe

    waiting: list[Job] = []
    done: list[Job] = []
    for name in names:
        settings, augmentation = recipe("digits", name)
        settings = replace(settings, epochs=options.epochs or settings.epochs, limit=options.limit)
        for seed in options.seeds:
            job = Job(name, seed, options.out / name, settings.epochs)
            is_done = finished(replace(settings, seed=seed), augmentation, None, job.run)
            (done if is_done else waiting).append(job)
    if not options.finished:
        _train(waiting, options)
        done += waiting
    if not done:
        raise DataError(f"nothing is finished in {options.out}; start without --finished")
    rows = _rows(done, data, options.test)
    print_table(rows)
    write_files(options.out, {"ladder.md": _markdown(rows)})
    return 0


def _train(waiting: Sequence[Job], options: argparse.Namespace) -> None:
    """Train all of them, some at a time, each in a process of its own."""
    given = ["--limit", str(options.limit)] if options.limit else []
    given += ["--data", str(options.data)] if options.data else []
    coming, running = list(waiting), list[tuple[Job, subprocess.Popen[bytes], IO[bytes]]]()
    with ExitStack() as stack, tqdm(total=sum(job.epochs for job in waiting), unit="epoch", disable=not waiting) as bar:
        while coming or running:
            while coming and len(running) < options.processes:
                job = coming.pop(0)
                remarks: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                process = stack.enter_context(
                    subprocess.Popen(
                        [
                            *(sys.executable, "-m", "train", "--model", job.name, "--recipe", "digits", "--resume"),
                            *("--seeds", str(job.seed), "--epochs", str(job.epochs), "--out", str(job.folder), *given),
                        ],
                        env=os.environ | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
                        stdout=subprocess.DEVNULL,
                        stderr=remarks,
                    )
                )
                stack.callback(process.kill)
                running.append((job, process, remarks))
            for each in [each for each in running if each[1].poll() is not None]:
                job, process, remarks = each
                if process.returncode:
                    remarks.seek(0)
                    last = remarks.read().decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
                    raise DataError(f"training {job.name} with seed {job.seed} failed: {last[0]}")
                running.remove(each)
            bar.set_description(", ".join(f"{job.name} {job.seed}" for job, _, _ in running), refresh=False)
            bar.update(sum(len(job.history()) for job in waiting if job not in coming) - bar.n)
            time.sleep(0.5)


def _rows(done: Sequence[Job], data: Mnist, test: bool) -> list[list[str]]:
    """The table: a row for each network that has a finished training."""
    from train.fit import score
    from train.networks import load_model, weight_bytes

    rows = [["network", "int8 weights", "seeds", "validation", "wanted"]]
    rows[0] += [*(["test"] if test else []), "published", "one training"]
    for name, step in STEPS.items():
        jobs = sorted((job for job in done if job.name == name), key=lambda job: job.seed)
        if not jobs:
            continue
        models = [load_model(job.run / "model.keras") for job in jobs]
        cells = [_spread([score(m, data.validation_images, data.validation_labels)[1] for m in models])]
        cells.append(f"{step.wanted:.1f} %")
        if test:
            cells.append(_spread([score(m, data.test_images, data.test_labels)[1] for m in models]))
        seconds = statistics.mean(sum(epoch["seconds"] for epoch in job.history()) for job in jobs)
        size = f"{weight_bytes(models[0]):,} B"
        rows.append([name, size, f"{len(jobs)}", *cells, f"{step.published:.2f} %", f"{seconds:.0f} s"])
    return rows


def _spread(accuracies: list[float]) -> str:
    mean = f"{100 * statistics.mean(accuracies):.2f}"
    return f"{mean} ± {100 * statistics.stdev(accuracies):.2f} %" if len(accuracies) > 1 else f"{mean} %"


def _markdown(rows: list[list[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


if __name__ == "__main__":
    sys.exit(main())
