"""``python -m train.visualize``: what a network has learned, and what it looks at."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import DataError, UsageError, run_command
from runtime.options import HelpFormatter, positive_integer
from runtime.pictures import read_picture
from runtime.values import Image
from train import page
from train.data import LABELS
from train.evaluate import add_data_option, write_files
from train.inputs import Floats, LabeledImages, keras_model, load_images, place
from train.packages import TRAINING, require

_LEAST = 10
"""Pictures that a map is made of, at the least."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _parser().parse_args(argv)
    return run_command(lambda: _visualize(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.visualize",
        description="Show a network's filters, its feature maps and the pixels that speak for its answer for one "
        "picture, and a map of many. Leaves visualization.html in a folder.",
        epilog="python -m train.visualize --digit 7\npython -m train.visualize --image photo-of-one-digit.jpg",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model", default="edge", help="a shipped model, a bundle's folder, a folder that train left, or a .keras file"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--digit", type=int, choices=range(10), default=4, metavar="D", help="the set's first digit of this class"
    )
    chosen.add_argument("--image", type=Path, metavar="FILE", help="a photo of one digit in its place")
    parser.add_argument(
        "--on",
        default="test",
        metavar="SET",
        help="where digit and map come from: test, validation or train of MNIST; a folder with a subfolder for each "
        "class; an idx file of images; or an .npz archive of images and labels",
    )
    parser.add_argument("--count", type=positive_integer, default=1500, metavar="N", help="pictures in the map")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/visualization"), metavar="DIR", help="folder for the page"
    )
    add_data_option(parser)
    return parser


def _visualize(options: argparse.Namespace) -> int:
    require(*TRAINING)
    path = keras_model(options.model)
    images = load_images(options.on, options.data)
    title, image = _chosen(options, images)
    if options.count < _LEAST:
        raise UsageError(f"--count is {options.count}; expected {_LEAST} or more, to make a map of")
    if len(images.labels) < _LEAST:
        raise DataError(
            f"{images.name} holds {len(images.labels)} pictures; expected {_LEAST} or more, to make a map of: "
            "name a larger set with --on"
        )
    from train.quiet import load_tensorflow

    load_tensorflow()
    from train import visualization as see
    from train.networks import load_model

    network = load_model(path)
    logits = np.asarray(network.predict_on_batch(image[None, ..., None]))[0]
    best, second = (int(i) for i in np.argsort(-logits)[:2])
    attributions = [see.integrated_gradients(network, image, label) for label in (best, second)]
    filters = see.first_filters(network)
    some = images.first(options.count)
    print("placing pictures on a map", file=sys.stderr)
    places = see.embedding_map(see.embedding(network, some.images))
    answer = f"{LABELS[best]} (logit {logits[best]:.1f}), then {LABELS[second]} ({logits[second]:.1f})"
    parts = [
        page.paragraph(f"{network.count_params():,} parameters. {title}: answered {answer}."),
        page.heading("What speaks for the answer"),
        page.paragraph(
            "Integrated gradients against a black picture: orange pixels speak for the answer, blue ones against it.",
            "quiet",
        ),
        _row(
            {
                "the picture": page.picture(image, title),
                **{
                    f"for {LABELS[each.label]}: {each.values.sum():+.1f} of its logit": page.picture(
                        see.overlay(image, each), f"attributions for {LABELS[each.label]}"
                    )
                    for each in attributions
                },
            }
        ),
        page.heading(f"The {len(filters)} filters of the first convolution"),
        page.paragraph("As they lie on the pixels: orange wants ink, blue wants none.", "quiet"),
        page.sheet(see.filter_sheet(filters, 8), "filters of the first convolution"),
        page.heading("Feature maps, layer by layer"),
        *(
            page.paragraph(name, "quiet") + page.sheet(see.map_sheet(maps, 16), f"feature maps {name}")
            for name, maps in see.feature_maps(network, image).items()
        ),
        page.heading("A map of what the last layer is given"),
        page.paragraph(f"{len(some.labels):,} pictures of {some.name} by t-SNE: neighbors look alike to it.", "quiet"),
        page.figures({"Each number is a picture, by its label": _map_plot(places, some)}),
    ]
    write_files(options.out, {"visualization.html": page.document(f"Inside {path.parent.name}", parts)})
    print(f"{title}: {answer}")
    print(f"the attributions miss {max(each.gap for each in attributions):.1%} of the logit")
    print(f"{options.out / 'visualization.html'}: filters, feature maps, attributions and a map")
    return 0


def _chosen(options: argparse.Namespace, images: LabeledImages) -> tuple[str, Image]:
    if options.image:
        image = place(read_picture(options.image))
        if not image.any():
            raise DataError(f"no ink that may be a digit in {options.image}; name a picture of one digit")
        return options.image.name, image
    own = np.flatnonzero(images.labels == options.digit)
    if not len(own):
        raise DataError(f"{images.name} holds no {options.digit}; name another --digit")
    return images.origins[own[0]], images.images[own[0]]


def _row(pictures: dict[str, str]) -> str:
    cells = "".join(f"<div><p><b>{name}</b></p>{picture}</div>" for name, picture in pictures.items())
    return f'<div class="row">{cells}</div>'


def _map_plot(places: Floats, images: LabeledImages) -> str:
    import matplotlib as mpl
    from matplotlib.axes import Axes

    from train.plots import svg

    # Ten hues that read on light and dark; the number itself tells them apart where hues do not.
    colors = [mpl.colors.to_hex(color) for color in mpl.color_sequences["tab10"]]

    def draw(axes: Axes) -> None:
        for (x, y), label in zip(places, images.labels, strict=True):
            mark: Any = LABELS[label] if label < 10 else "×"
            axes.text(x, y, mark, color=colors[label % 10], fontsize=5, ha="center", va="center")
        for label in np.unique(images.labels):
            x, y = np.median(places[images.labels == label], axis=0)
            axes.text(x, y, LABELS[label], fontsize=13, fontweight="bold", ha="center", va="center")
        axes.set_xlim(places[:, 0].min() - 2, places[:, 0].max() + 2)
        axes.set_ylim(places[:, 1].min() - 2, places[:, 1].max() + 2)
        axes.axis("off")

    return svg("map", draw, 5.2, 5.2)


if __name__ == "__main__":
    sys.exit(main())
