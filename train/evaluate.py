"""``python -m train.evaluate``: how a model does on labeled pictures, with intervals and every mistake."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from runtime.errors import SinkError, UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from train.inputs import load_images, open_model
from train.packages import LOOKING, require


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _evaluate(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.evaluate",
        description="Ask a model about labeled pictures; leave evaluation.html and evaluation.json in a folder.",
        epilog="python -m train.evaluate --on my-digits          # a folder with subfolders 0 to 9 and perhaps none\n"
        "python -m train.evaluate --artifact onnx-int8 --robustness",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_model_option(parser)
    parser.add_argument(
        "--on",
        default="test",
        metavar="SET",
        help="test, validation or train of MNIST; a folder with a subfolder for each class; an idx file of images; "
        "or an .npz archive of images and labels",
    )
    parser.add_argument("--limit", type=positive_integer, metavar="N", help="ask about the first N only")
    parser.add_argument("--robustness", action="store_true", help="MNIST-C's fifteen corruptions of the set too")
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation"), metavar="DIR", help="folder for the page")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_data_option(parser)
    return parser


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Which model is asked."""
    parser.add_argument(
        "--model",
        default="edge",
        help="a shipped model, a bundle's folder or one of its files, a folder that train left, or a .keras file",
    )
    parser.add_argument(
        "--artifact", default="litert-int8", metavar="NAME", help="which artifact of a bundle, by its manifest name"
    )


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Where MNIST is."""
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with MNIST; else $MNIST_DIR, else Keras's cache or download"
    )


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write text files into a folder, made where it is missing.

    Raises:
        SinkError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write to {folder} ({error.strerror}); free it, or name another folder") from error


def _evaluate(options: argparse.Namespace) -> int:
    require(*LOOKING)
    from train.evaluation import evaluate, evaluation_values, robustness, share_values
    from train.evaluation_page import class_table, evaluation_page, robustness_table

    images = load_images(options.on, options.data).first(options.limit)
    model = open_model(options.model, options.artifact)
    if options.robustness and not (images.labels < 10).any():
        raise UsageError(f"--robustness needs digits to corrupt; {images.name} holds none")
    found = evaluate(model, images)
    families = robustness(model, images) if options.robustness else []
    values = evaluation_values(found)
    if families:
        values["robustness"] = [
            {
                "family": each.name,
                "seen": each.seen,
                "right": share_values(each.right),
                "none": share_values(each.none),
                "digit_right": share_values(each.digit_right),
            }
            for each in families
        ]
    text = json.dumps(values, indent=1) + "\n"
    write_files(options.out, {"evaluation.json": text, "evaluation.html": evaluation_page(found, families)})
    if options.json:
        print(text, end="")
        return 0
    print(f"{found.model} on {images.name}: {found.accuracy} of {len(found.answers):,} right")
    for rows in [class_table(found)] + ([robustness_table(families)] if families else []):
        print()
        print_table(rows)
    print(f"\n{options.out / 'evaluation.html'}: {len(found.mistakes):,} mistakes, figures and plots")
    return 0


def print_table(rows: list[list[str]]) -> None:
    """Columns as wide as what they hold, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for first, *others in rows:
        padded = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *padded]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
