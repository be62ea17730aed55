"""The report's tables, as rows of text under a heading row, for Markdown, HTML and the terminal alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def comparison_table(values: dict[str, Any], name: str) -> list[list[str]]:
    """Heading and a row for each artifact on the set of this name."""
    sizes = {each["name"]: each["bytes"] for each in values["artifacts"]}
    table = [
        [
            *("file", "kB", "accuracy (95 % interval)", "labels differ", "lost / gained", "McNemar p"),
            *("accuracy loss <", "worst recall", "logit steps", "probability"),
        ]
    ]
    rows = comparisons(values, name)
    if rows:
        table.append(["float model", "", accuracy(rows[0], "reference_"), *[""] * 7])
    for row in rows:
        label, change = min(row["recall_change"].items(), key=lambda item: item[1])
        table.append(
            [
                row["artifact"],
                f"{sizes[row['artifact']] / 1000:.1f}",
                accuracy(row),
                f"{round(row['disagreement'] * row['count']):,} ({percent(row['disagreement'])})",
                f"{row['lost']:,} / {row['gained']:,}",
                f"{row['p']:.2g}",
                points(row["drop_bound"]) if row["drop_bound"] > 0 else "none",
                f"{label}: −{-change * 100:.2f} points" if change < 0 else "no drop",
                _spread(row["steps"], 1),
                _spread(row["probability"], 3),
            ]
        )
    return table


def comparisons(values: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """What each artifact made of the set of this name."""
    return [each for each in values["comparisons"] if each["set"] == name]


def kernel_table(values: dict[str, Any]) -> list[list[str]]:
    """Heading and a row for each pair of interpreters or kernels."""
    rows = [["run", "against", "images", "labels differ", "logit steps", "logits"]]
    for each in values["kernels"]:
        steps, logits = _spread(each["steps"], 1), _spread(each["logits"], 3)
        rows.append([each["name"], each["against"], f"{each['count']:,}", f"{each['flips']:,}", steps, logits])
    return rows


def layer_table(values: dict[str, Any]) -> list[list[str]]:
    """Heading, the int8 network as it is, and a row for each of its operators in order of depth."""
    table = [
        [
            *("operator", "signal to noise", "worst channel", "cut off", "weights off by"),
            *("kept in float: logits", "kept in float: labels differ"),
        ]
    ]
    mended = {each["layer"]: each for each in values["repairs"]}
    if 0 in mended:
        table.append(["all int8", *[""] * 4, *_repair(mended[0])])
    for each in values["layers"]:
        name = f"{each['layer']}: {each['operator']}" if each["layer"] else each["operator"]
        worst = f"{_decibels(each['worst_decibels'])} (channel {each['worst_channel']})"
        repair = _repair(mended[each["layer"]]) if each["layer"] and each["layer"] in mended else ["", ""]
        within = (f"{each['cut_off']:.3%}", f"{each['weights']:.2f} steps") if each["layer"] else ("", "")
        table.append([name, _decibels(each["decibels"]), worst, *within, *repair])
    return table


def replay_table(values: dict[str, Any], clip: str) -> list[list[str]]:
    """Heading and a row for each artifact on the clip of this name."""
    table = [["file", "digits read alike", "other ink read alike", "right", "wrong", "missed", "invented"]]
    for row in replays(values, clip):
        if len(table) == 1:
            table.append(["float model", "", "", *(f"{row['reference_score'][key]:,}" for key in _SCORE)])
        other = row["same_elsewhere"] + sum(one["truth"] is None for one in row["differences"])
        alike = _alike(row["same"], digits_read(row)), _alike(row["same_elsewhere"], other)
        table.append([row["artifact"], *alike, *(f"{row['score'][key]:,}" for key in _SCORE)])
    return table


def difference_table(values: dict[str, Any], clip: str) -> list[list[str]]:
    """Heading and a row for each digit, and other ink, of the clip that an artifact reads otherwise."""
    table = [["file", "frame", "box", "is a", "float model", "file's answer"]]
    for row in replays(values, clip):
        for one in row["differences"]:
            box = ", ".join(map(str, one["box"]))
            answers = _answer(one["reference"]), _answer(one["answer"])
            table.append([row["artifact"], str(one["frame"]), box, one["truth"] or "no digit", *answers])
    return table


def clips(values: dict[str, Any]) -> dict[str, int]:
    """Names of the clips that were replayed, and how many frames they have."""
    return {row["clip"]: row["frames"] for row in values["replays"]}


def replays(values: dict[str, Any], clip: str) -> list[dict[str, Any]]:
    """What each artifact made of the clip of this name."""
    return [row for row in values["replays"] if row["clip"] == clip]


def digits_read(row: dict[str, Any]) -> int:
    """How many digits the float model or the artifact reads."""
    return row["same"] + sum(one["truth"] is not None for one in row["differences"])


def flip_table(values: dict[str, Any]) -> list[list[str]]:
    """Heading and a row for each flipped image."""
    table = [["set", "image", "is a", "float model", "files that answer otherwise"]]
    for flip in values["flips"]:
        others = "; ".join(f"{answer} {', '.join(names)}" for answer, names in answers_by_label(flip).items())
        table.append([flip["set"], str(flip["index"]), flip["truth"], _answer(flip["reference"]), others])
    return table


def answers_by_label(flip: dict[str, Any]) -> dict[str, list[str]]:
    """Names of the artifacts that differ from the float model, by what they answer."""
    grouped: dict[str, list[str]] = {}
    for name, answer in flip["answers"].items():
        if answer[0] != flip["reference"][0]:
            grouped.setdefault(_answer(answer), []).append(name)
    return grouped


def set_title(entry: dict[str, Any]) -> str:
    """What an input set is."""
    titles = {
        "gate": "Digits: augmented validation images",
        "none": "What is not a digit, answered as a camera's ink",
        "mnist": "MNIST's test set, reported only",
    }
    return f"{titles.get(entry['name'], entry['name'])}, {entry['count']:,} images"


def clip_title(values: dict[str, Any], name: str) -> str:
    """What a clip is."""
    title = CLIP_NAMES.get(name, name)
    return f"{title[0].upper()}{title[1:]}, {clips(values)[name]:,} frames through the whole pipeline"


def percent(share: float) -> str:
    """``0.038%``."""
    return f"{share:.3%}"


def points(share: float) -> str:
    """``0.012 points``."""
    return f"{share * 100:.3f} points"


def accuracy(row: dict[str, Any], prefix: str = "") -> str:
    """``99.38% (99.31–99.45)``."""
    low, high = row[f"{prefix}interval"]
    return f"{row[f'{prefix}accuracy']:.2%} ({low * 100:.2f}–{high * 100:.2f})"


CLIP_NAMES = {"demo": "the demo clip", "frames": "rendered camera frames"}
"""What the clips are."""

LAYERS_TITLE = "Where int8 loses what, layer by layer"

_SCORE = ("right", "wrong", "missed", "invented")


def _spread(spread: dict[str, float] | None, digits: int) -> str:
    if spread is None:
        return "–"
    least = 10**-digits
    figures = (spread[key] for key in ("median", "p99", "largest"))
    return " / ".join(f"<{least}" if 0 < each < least / 2 else f"{each:.{digits}f}" for each in figures)


def _alike(same: int, count: int) -> str:
    return f"{same:,} of {count:,} ({same / count:.2%})" if count else "none read"


def _answer(answer: Sequence[Any] | None) -> str:
    return "not read" if answer is None else f"{answer[0]} ({answer[1]:.0%})"


def _decibels(figure: float | None) -> str:
    return "no noise" if figure is None else f"{figure:.1f} dB"


def _repair(each: dict[str, Any]) -> list[str]:
    return [_decibels(each["decibels"]), f"{each['flips']:,} of {each['count']:,}"]
