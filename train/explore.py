"""``python -m train.explore``: look at the data before training on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.errors import UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from runtime.values import Image
from train import page
from train.data import LABELS
from train.evaluate import add_data_option, add_model_option, print_table, write_files
from train.inputs import SPLITS, LabeledImages, load_images, open_model
from train.packages import LOOKING, require

if TYPE_CHECKING:
    from train.exploration import ClassShape, Suspect

_COLUMNS = 20


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _explore(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.explore",
        description="Look at labeled pictures: samples, balance, shapes, labels that may be wrong, what augmentation "
        "makes of them, and rendered camera frames. Leaves exploration.html in a folder.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--on",
        default="train",
        metavar="SET",
        help="train, validation or test of MNIST; a folder with a subfolder for each class; an idx file of images; "
        "or an .npz archive of images and labels",
    )
    parser.add_argument("--limit", type=positive_integer, metavar="N", help="look at the first N only")
    parser.add_argument("--suspects", type=int, default=40, metavar="N", help="labels in doubt to show, at the most")
    parser.add_argument("--frames", type=int, default=4, metavar="N", help="rendered camera frames to show")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random")
    parser.add_argument("--out", type=Path, default=Path("runs/exploration"), metavar="DIR", help="folder for the page")
    add_model_option(parser)
    add_data_option(parser)
    return parser


def _explore(options: argparse.Namespace) -> int:
    for name in ("suspects", "frames", "seed"):
        if getattr(options, name) < 0:
            raise UsageError(f"--{name} is {getattr(options, name)}; expected 0 or more")
    require(*LOOKING)
    from train.exploration import augmentation_previews, class_shapes, contact_sheet, strip, suspects

    images = load_images(options.on, options.data).first(options.limit)
    rng = np.random.default_rng(options.seed)
    shapes = class_shapes(images)
    doubted = suspects(open_model(options.model, options.artifact), images, options.suspects)
    rows = _shape_table(shapes)
    parts = [
        page.paragraph(
            f"{len(images.labels):,} pictures of {len(shapes)} classes, as the model gets them: 28×28, bright on black."
        ),
        page.heading("Samples"),
        page.sheet(contact_sheet(images, _COLUMNS, rng), "samples of each class, a row for each"),
        page.heading("Balance"),
        page.figures({"Pictures of each class": _balance_plot(options, images)}),
        page.heading("Shapes"),
        page.sheet(strip(np.stack([each.mean for each in shapes]), len(shapes)), "mean picture of each class"),
        page.paragraph("Above the mean of each class, below how far its pixels vary.", "quiet"),
        page.sheet(strip(np.stack([each.spread for each in shapes]), len(shapes)), "spread of each class"),
        page.table(rows),
        page.heading(f"Labels in doubt: {len(doubted):,}"),
        page.paragraph(
            f"Where {options.model} is surest that the label is another: sloppy digits, and mistakes of the label.",
            "quiet",
        ),
        page.gallery(_suspect_cards(images, doubted), "The model doubts no label.", max(options.suspects, 1)),
    ]
    digits = images.images[images.labels < 10]
    if len(digits):
        chosen = np.stack(
            [images.images[images.labels == label][0] for label in np.unique(images.labels) if label < 10]
        )
        parts.append(page.heading("Augmentation, one setting at a time"))
        parts += _strips(augmentation_previews(chosen, rng))
        parts += _nones(digits, rng)
        if options.frames:
            parts += _frames(options, images)
    write_files(options.out, {"exploration.html": page.document(f"A look at {images.name}", parts)})
    print_table(rows)
    print(f"\n{options.out / 'exploration.html'}: {len(doubted):,} labels in doubt, samples, augmentation and frames")
    return 0


def _shape_table(shapes: Sequence[ClassShape]) -> list[list[str]]:
    def spread(pair: tuple[float, float]) -> str:
        return f"{pair[0]:.1f} ± {pair[1]:.1f}"

    head = ["class", "pictures", "share", "ink", "stroke, pixels", "width, pixels", "height, pixels"]
    return [head] + [
        [
            each.label,
            f"{each.count:,}",
            f"{100 * each.share:.1f} %",
            f"{100 * each.ink:.1f} %",
            spread(each.stroke),
            spread(each.width),
            spread(each.height),
        ]
        for each in shapes
    ]


def _balance_plot(options: argparse.Namespace, images: LabeledImages) -> str:
    from matplotlib.axes import Axes

    from train.plots import BLUE, ORANGE, PURPLE, svg

    # Of MNIST, all three parts: as shares, so that they compare.
    sets = [images]
    if options.on in SPLITS:
        sets += [load_images(name, options.data) for name in SPLITS if name != options.on]
    classes = sorted({int(label) for each in sets for label in np.unique(each.labels)})

    def draw(axes: Axes) -> None:
        width = 0.8 / len(sets)
        for number, (each, color) in enumerate(zip(sets, (BLUE, ORANGE, PURPLE), strict=False)):
            shares = [100 * float((each.labels == label).mean()) for label in classes]
            places = np.arange(len(classes)) + (number - (len(sets) - 1) / 2) * width
            axes.bar(places, shares, width, color=color, label=f"{each.name}, {len(each.labels):,}")
        axes.set_xticks(range(len(classes)), [LABELS[label] for label in classes])
        axes.set_xlabel("class")
        axes.set_ylabel("share of the set, %")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=7.5, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    return svg("balance", draw, 2.8)


def _suspect_cards(images: LabeledImages, doubted: Sequence[Suspect]) -> list[str]:
    return [
        page.card(
            images.images[each.index],
            f"labeled {each.label}",
            f"<p>{escape(images.origins[each.index])}</p><p>labeled <b>{each.label}</b>, "
            f"{100 * each.label_probability:.1f} %</p><p>model <span class='lost'>{each.answer}</span>, "
            f"{100 * each.answer_probability:.1f} %</p>",
        )
        for each in doubted
    ]


def _strips(previews: dict[str, Image]) -> list[str]:
    from train.exploration import strip

    cells = "".join(
        f"<div><p><b>{escape(name)}</b></p>{page.picture(strip(pictures, len(pictures)), name)}</div>"
        for name, pictures in previews.items()
    )
    return [
        page.paragraph(
            "Each setting varies the pictures by itself; python -m train --without NAME leaves one out.",
            "quiet",
        ),
        f'<div class="strips">{cells}</div>',
    ]


def _nones(digits: Image, rng: np.random.Generator) -> list[str]:
    from train.augment import AugmentSettings, draw_nones
    from train.exploration import strip

    drawn = draw_nones(5 * _COLUMNS, digits, AugmentSettings(), rng)
    rows = [strip(drawn[i : i + _COLUMNS], _COLUMNS) for i in range(0, len(drawn), _COLUMNS)]
    return [page.heading("What is not a digit"), page.sheet(np.vstack(rows), "drawn pictures of what is not a digit")]


def _frames(options: argparse.Namespace, images: LabeledImages) -> list[str]:
    """Rendered camera frames of the training split, written from the digits at hand, their truth drawn on them."""
    from train.scenes import SceneSettings, render_frame
    from train.writer import DigitPool

    own = images.labels < 10
    if len(np.unique(images.labels[own])) < 10:
        return []
    pool = DigitPool.of(images.images[own], images.labels[own])
    settings = SceneSettings(options.frames, options.seed, "train", "mixed")
    cells = []
    for index in range(options.frames):
        scene = render_frame(index, settings, pool)
        picture = scene.picture.copy()
        for digit in scene.digits:
            box = digit.box
            cv2.rectangle(picture, (box.x, box.y), (box.right, box.bottom), (47, 99, 224), 2)
        title = f"{settings.difficulty_of(index)}: {''.join(digit.label for digit in scene.digits) or 'no digit'}"
        cells.append(f"<div><p>{escape(title)}</p>{page.photo(picture, title)}</div>")
    return [page.heading("Rendered camera frames"), f'<div class="strips">{"".join(cells)}</div>']


if __name__ == "__main__":
    sys.exit(main())
