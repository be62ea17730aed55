"""Exports of short trainings with different seeds: all honest, so the gate must let all of them pass.

python tools/prove_exports.py --count 10 --out docs/proofs/exports.json

A killed run goes on where it was. Each seed takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.limits import load_limits
from export.write_bundle import ParityError, export_bundle
from train.augment import AugmentSettings
from train.data import Mnist, load_mnist
from train.epochs import EpochSettings
from train.fit import FitSettings, fit
from train.networks import load_model
from train.quiet import load_tensorflow

EPOCHS = 3
"""How often a training sees each of MNIST's 55,000 digits."""

NONES = 10_000
"""Pictures of what is no digit that it sees."""


def main(argv: Sequence[str] | None = None) -> int:
    """Train, export, and write what the gate said after each seed; 1 where it refused one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10, metavar="N", help="trainings, with seeds from 0")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON; seeds that it holds are kept")
    options = parser.parse_args(argv)
    data = load_mnist(None)
    load_tensorflow(training=True)
    settings = {"epochs": EPOCHS, "nones": NONES, "limits_version": load_limits().version}
    report: dict[str, Any] = {"proof": "exports", **settings, "exports": []}
    if options.out.is_file():
        old = json.loads(options.out.read_text(encoding="utf-8"))
        report["exports"] = old["exports"] if {key: old.get(key) for key in settings} == settings else []
    there = {each["seed"] for each in report["exports"]}
    for seed in sorted(set(range(options.count)) - there):
        export = export_one(seed, data)
        report["exports"] = sorted([*report["exports"], export], key=lambda each: each["seed"])
        _write(report, options.out)
        print(f"seed {seed}: {export['refused'] or 'passed'}", file=sys.stderr)
    refused = [each["seed"] for each in report["exports"] if each["refused"]]
    report["bars"] = {f"of {len(report['exports'])} honest exports none is refused": not refused}
    _write(report, options.out)
    print(f"{len(report['exports'])} exports, {len(refused)} refused{f': {refused}' if refused else ''}")
    return 1 if refused else 0


def _write(report: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def export_one(seed: int, data: Mnist) -> dict[str, Any]:
    """Train and export with a seed; what the gate said, and the figures behind it."""
    folder = Path(tempfile.mkdtemp())
    try:
        settings = FitSettings(epochs=EPOCHS, epoch=EpochSettings(none_pool=NONES), seed=seed)
        history = fit(data, settings, AugmentSettings(), folder / "run")
        training = {"settings": asdict(settings)}
        refused = ""
        try:
            parities = export_bundle(load_model(folder / "run" / "model.keras"), data, folder / "edge", training)
        except ParityError as error:
            refused, parities = str(error).split(": ", 1)[1], error.parities
        artifacts: dict[str, Any] = {}
        for images, compared in parities.items():
            for each in compared:
                artifacts.setdefault(each.artifact, {})[images] = {
                    "disagreement": each.disagreement,
                    "drop_bound": each.drop_bound,
                    "recall_change": min(each.recall_change.values()),
                }
        validation = history["epochs"][-1]["validation_accuracy"]
        return {"seed": seed, "validation": validation, "refused": refused, "artifacts": artifacts}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
