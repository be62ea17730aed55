"""The report as one HTML page that needs no other file: verdict first, then tables, plots and every flipped image."""

from __future__ import annotations

from html import escape
from typing import Any

from export.findings import Verification
from export.report import summary, verdict
from export.report_plots import loss_plot, probability_plot, recall_plot
from export.report_tables import (
    CLIP_NAMES,
    LAYERS_TITLE,
    answers_by_label,
    clip_title,
    clips,
    comparison_table,
    comparisons,
    difference_table,
    flip_table,
    kernel_table,
    layer_table,
    replay_table,
    set_title,
)
from runtime.values import Image
from train import page as html

_HOW_TO_READ = (
    "Each file was run by the classifier that the camera uses, on the same images as the float model.",
    "<b>Labels differ</b>: images that get another label than from the float model, right or wrong. "
    "<b>Lost / gained</b>: images that only the float model, or only the file, gets right.",
    "<b>McNemar p</b>: how likely so uneven a split is by chance alone. <b>Accuracy loss &lt;</b>: the true loss is "
    "below this with 95 % confidence; this one gates.",
    "<b>Logit steps</b>, <b>probability</b>: the largest difference of each image; its median, 99th percentile and "
    "maximum over all images.",
)

_HOW_TO_READ_CLIPS = (
    "<b>Digits read alike</b>: of all digits that either model reads, those that both read as the same. "
    "<b>Other ink</b>: the same of what is read where no digit is, so little that chance has its share.",
    "<b>Right</b>, <b>wrong</b>, <b>missed</b>, <b>invented</b>: held against what stands on the frames. Below: all "
    "ink that a file reads otherwise than the float model.",
)


def page(found: Verification, values: dict[str, Any]) -> str:
    """The page.

    Args:
        found: what was found out, for its pictures.
        values: the same, from ``report_values``.
    """
    told = [html.items([*values["breaches"], *values["causes"]]), *(html.paragraph(line) for line in summary(values))]
    parts = [html.paragraph(_origin(values), "quiet"), html.verdict(verdict(values), told, good=values["ship"])]
    for each in values["sets"]:
        parts += [html.heading(set_title(each)), html.table(comparison_table(values, each["name"]))]
        if each is values["sets"][0]:
            parts += [html.items(_HOW_TO_READ, safe=True, kind="quiet how")]
        if each["name"] == "gate":
            parts += [_plots(values, each["name"])]
    for name in clips(values):
        parts += [html.heading(clip_title(values, name)), html.table(replay_table(values, name))]
        if name == next(iter(clips(values))):
            parts += [html.items(_HOW_TO_READ_CLIPS, safe=True, kind="quiet how")]
        parts += [html.gallery(_replay_cards(found, values, name), "Every file reads all ink as the float model does.")]
    if values["kernels"]:
        parts += [html.heading("The same network by other kernels"), html.table(kernel_table(values))]
    if values["layers"]:
        parts += [html.heading(LAYERS_TITLE), html.table(layer_table(values))]
    parts += [html.heading("Every flipped image"), html.gallery(_flip_cards(found, values), "No image is flipped.")]
    parts += [html.heading("Limits, and why"), html.table(_limit_table(values))]
    return html.document(f"Parity of {values['model']}", parts)


def _origin(values: dict[str, Any]) -> str:
    environment = values["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    reference = {"keras": "the Keras model", "onnx": "the float32 ONNX file"}[values["reference"]]
    text = (
        f"Against {reference}. Manifest {values['manifest_sha256'][:12]}. "
        f"Python {environment['python']} on {environment['machine']}; {packages}."
    )
    if dependence := (values["calibration"] or {}).get("dependence"):
        text += (
            f" Two calibrations on other images: {dependence['disagreement']:.3%} of {dependence['count']:,} labels "
            "differ between them."
        )
    return text


def _plots(values: dict[str, Any], name: str) -> str:
    drawings = {
        "Accuracy that may be lost, and its limit (orange)": loss_plot(values, name),
        "Recall of each class, and its limit (orange)": recall_plot(values, name),
        "How far probabilities move": probability_plot(values, name),
    }
    return html.figures(drawings)


def _limit_table(values: dict[str, Any]) -> list[list[str]]:
    rows = [["precision", "labels differ", "accuracy loss <", "recall of a class", "logits", "why"]]
    used = {each["precision"].removesuffix("-batch") for each in values["artifacts"]}
    parts = {"precision": "", "none": ", no digit"} if comparisons(values, "none") else {"precision": ""}
    for part, what in parts.items():
        for name, limits in values["limits"][part].items():
            if name in used:
                shares = [f"{limits[key]:.2%}" for key in ("disagreement", "accuracy_drop", "recall_drop")]
                logits = "–" if limits["logits"] is None else f"{limits['logits']:.0e} of the largest"
                rows.append([name + what, *shares, logits, limits["reason"]])
    for name in clips(values):
        replay = values["limits"]["replay"]
        share = f"{1 - replay['agreement']:.2%} of digits, {1 - replay['elsewhere']:.2%} of other ink (95 %)"
        rows.append([CLIP_NAMES.get(name, name), share, "", "", "", replay["reason"]])
    return rows


def _flip_cards(found: Verification, values: dict[str, Any]) -> list[str]:
    cards = []
    rows = flip_table(values)[1:]
    for flip, entry, row in zip(found.flips, values["flips"], rows, strict=False):
        said = answers_by_label(entry)
        right = flip.reference[0] == flip.truth
        gained = any(answer[0] == flip.truth for answer in flip.answers.values())
        kind, word = ("lost", "lost") if right else ("gained", "gained") if gained else ("", "wrong either way")
        others = "".join(f"<p><b>{escape(answer)}</b> {escape(', '.join(names))}</p>" for answer, names in said.items())
        text = (
            f'<p>{escape(row[0])} {escape(row[1])}: a <b>{escape(row[2])}</b>, <span class="{kind}">{word}</span></p>'
            f"<p><b>{escape(row[3])}</b> float model</p>{others}"
        )
        cards.append(html.card(flip.pixels, f"a {row[2]}", text))
    return cards


def _replay_cards(found: Verification, values: dict[str, Any], clip: str) -> list[str]:
    """A card for each digit, or other ink, that files read otherwise, those of the same kind together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    patches: dict[tuple[str, ...], Image] = {}
    differences = [one for each in found.replays if each.clip == clip for one in each.differences]
    for (name, *row), difference in zip(difference_table(values, clip)[1:], differences, strict=True):
        alike.setdefault(tuple(row), []).append(name)
        patches[tuple(row)] = difference.patch
    cards = []
    for key, files in alike.items():
        frame, box, truth, expected, answer = map(escape, key)
        text = (
            f"<p>frame {frame}, at {box}: <b>{truth}</b></p><p><b>{expected}</b> float model</p>"
            f"<p><b>{answer}</b> {escape(', '.join(files))}</p>"
        )
        cards.append(html.card(patches[key], f"frame {frame}", text))
    return cards
