"""``python -m train.report``: all about a bundle on one page, and its model card; or several bundles compared."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from runtime.bundle import Bundle, load_bundle
from runtime.errors import DataError, UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from train import page
from train.evaluate import add_data_option, print_table, write_files
from train.inputs import load_images, open_model
from train.packages import TRAINING, require

CARD = "README.md"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _compare(options) if options.compare else _report(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.report",
        description="Gather what is known of a bundle: a page with figures, plots and mistakes, and the model card, a "
        "Markdown file in the bundle's folder. With --compare, one page of several bundles.",
        epilog="python -m train.report --also my-digits\n"
        "python -m train.report --compare models/edge models/micro --out runs/comparison",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", default="edge", help="a shipped model, or a bundle's folder")
    parser.add_argument("--artifact", default="litert-int8", metavar="NAME", help="which artifact is asked")
    parser.add_argument("--on", default="test", metavar="SET", help="what the figures are of, as in train.evaluate")
    parser.add_argument(
        "--also", action="append", default=[], metavar="SET", help="measured besides; may be given several times"
    )
    parser.add_argument("--limit", type=positive_integer, metavar="N", help="ask about the first N of each set only")
    parser.add_argument("--run", type=Path, metavar="DIR", help="what training left; runs/MODEL if there")
    parser.add_argument("--card", type=Path, metavar="FILE", help=f"the card; {CARD} in the bundle unless named")
    parser.add_argument("--compare", nargs="+", metavar="BUNDLE", help="compare bundles instead")
    parser.add_argument("--out", type=Path, default=Path("runs/report"), metavar="DIR", help="folder for the page")
    add_data_option(parser)
    return parser


def _report(options: argparse.Namespace) -> int:
    require(*TRAINING)
    bundle = load_bundle(options.model)
    name = bundle.manifest.name
    model = open_model(str(bundle.folder), options.artifact)
    images = load_images(options.on, options.data).first(options.limit)
    if not (images.labels < 10).any():
        raise UsageError(f"--on is {options.on}; expected a set that holds digits")
    others = [load_images(text, options.data).first(options.limit) for text in options.also]
    history = _history(options.run or Path("runs") / name, bool(options.run))
    from train.card import model_card
    from train.comparison import Work, artifact_rows, work_of
    from train.evaluation import evaluate, robustness
    from train.evaluation_page import evaluation_parts, robustness_parts

    found = evaluate(model, images)
    besides = [evaluate(model, each) for each in others]
    families = robustness(model, images)
    work: Work = work_of(bundle)
    rows = artifact_rows([(bundle, work)])
    parts = [
        page.paragraph(
            f"{work.parameters:,} parameters, {work.multiply_accumulates / 1e6:.1f} million multiply-accumulates."
        ),
        page.heading("Files"),
        page.table(rows),
        *_training_parts(bundle, history),
        page.heading(f"{found.model} on {found.images.name}"),
        *evaluation_parts(found),
        *robustness_parts(families),
    ]
    if besides:
        parts += [page.heading("Measured besides"), page.table(_besides_rows(besides))]
    card = options.card or bundle.folder / CARD
    write_files(options.out, {f"{name}.html": page.document(f"The model {name}", parts)})
    write_files(card.parent, {card.name: model_card(bundle, work, found, besides, families)})
    print_table(rows)
    print(f"\n{options.out / f'{name}.html'}: figures, plots, every mistake\n{card}: the model card")
    return 0


def _compare(options: argparse.Namespace) -> int:
    require(*TRAINING)
    from train.comparison import artifact_rows, comparison_plot, work_of

    bundles = [load_bundle(text) for text in options.compare]
    known = [(bundle, work_of(bundle)) for bundle in bundles]
    rows = artifact_rows(known)
    parts = [
        page.paragraph("Latency is that of one digit on this machine, one thread, the median of many calls."),
        page.figures({"Errors on MNIST's test set against bytes, int8 files": comparison_plot(known)}),
        page.table(rows),
    ]
    write_files(options.out, {"comparison.html": page.document("Models compared", parts)})
    print_table(rows)
    print(f"\n{options.out / 'comparison.html'}: the same with a plot")
    return 0


def _history(run: Path, named: bool) -> dict[str, Any] | None:
    path = run / "history.json"
    if not path.is_file() and not named:
        return None
    try:
        history: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "validation_accuracy" not in history["epochs"][0] and not named:
            return None  # of python -m train --extra, which has no curves to draw
        history["epochs"][0]["validation_accuracy"]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path} is missing or broken ({error}); name the folder of a training with --run") from error
    return history


def _training_parts(bundle: Bundle, history: dict[str, Any] | None) -> list[str]:
    from train.comparison import curve_plots

    training = bundle.manifest.provenance.get("training", {})
    pairs = _flat(training.get("settings", {})) + _flat(training.get("augmentation", {}))
    parts = [page.heading("Training")]
    if history:
        parts.append(page.figures(curve_plots(history["epochs"])))
    return [*parts, page.paragraph(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pairs), "quiet")]


def _flat(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in settings.items():
        pairs += _flat(value) if isinstance(value, dict) else [(key, "all" if value is None else value)]
    return pairs


def _besides_rows(besides: list[Any]) -> list[list[str]]:
    rows = [["set", "n", "right (95 %)", "read as a digit though none (95 %)"]]
    return rows + [
        [each.images.name, f"{len(each.answers):,}", str(each.accuracy), str(each.reading.false)] for each in besides
    ]


if __name__ == "__main__":
    sys.exit(main())
