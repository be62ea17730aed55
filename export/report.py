"""What ``verify`` found out, for programs (``parity.json``) and for people (``parity.md``)."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any

from export.verification import Comparison, Verification
from runtime.bundle import MANIFEST

SCHEMA = 1
"""Version of the layout of ``parity.json``: raised with every change that a reader of older files would stumble on.

1: the first.
"""

FLIPS_LISTED = 1_000
"""Flipped images listed at the most; a broken file flips tens of thousands."""

_PACKAGES = ("numpy", "opencv-python", "opencv-python-headless", "ai-edge-litert", "onnxruntime", "tensorflow", "keras")


def report_values(found: Verification) -> dict[str, Any]:
    """Everything, as what JSON can hold; what is not finite is null."""
    manifest = found.bundle.manifest
    values = {
        "schema": SCHEMA,
        "model": manifest.name,
        "manifest_sha256": hashlib.sha256((found.bundle.folder / MANIFEST).read_bytes()).hexdigest(),
        "reference": found.reference,
        "ship": not found.breaches,
        "breaches": list(found.breaches),
        "limits": asdict(found.limits),
        "environment": {"machine": platform.machine(), "python": platform.python_version(), "packages": _versions()},
        "calibration": manifest.provenance.get("calibration"),
        "artifacts": [
            {"name": a.name, "file": a.file, "bytes": a.bytes, "sha256": a.sha256, "precision": a.precision}
            for a in manifest.artifacts
        ],
        "sets": [
            {"name": each.name, "count": len(each.images), "gates": each.gates, "sha256": each.sha256}
            for each in found.sets
        ],
        "comparisons": [_comparison(each) for each in found.comparisons],
        "kernels": [asdict(each) for each in found.kernels],
        "replays": [
            {
                "artifact": each.artifact,
                "frames": each.frames,
                "same": each.same,
                "agreement": each.agreement,
                "reference_score": asdict(each.reference_score),
                "score": asdict(each.score),
                "differences": [
                    {
                        "frame": one.frame,
                        "kind": one.kind,
                        "box": list(one.box),
                        "reference": one.reference,
                        "answer": one.answer,
                    }
                    for one in each.differences
                ],
            }
            for each in found.replays
        ],
        "flips_count": len(found.flips),
        "flips": [
            {
                "set": flip.images,
                "index": flip.index,
                "truth": flip.truth,
                "reference": flip.reference,
                "answers": flip.answers,
            }
            for flip in found.flips[:FLIPS_LISTED]
        ],
    }
    plain = _plain(values)
    assert isinstance(plain, dict)
    return plain


def markdown(values: dict[str, Any]) -> str:
    """The same as a page of Markdown.

    Args:
        values: from ``report_values``.
    """
    lines = [f"# Parity of {values['model']}", "", f"**{verdict(values)}**", ""]
    lines += [f"- {line}" for line in values["breaches"]]
    lines += ["", *summary(values), ""]
    for each in values["sets"]:
        lines += ["", f"## {set_title(each)}", "", *_markdown_table(comparison_table(values, each["name"]))]
    if values["kernels"]:
        lines += ["", "## The same network by other kernels", "", *_markdown_table(kernel_table(values))]
    if values["replays"]:
        title = f"## The demo clip, {values['replays'][0]['frames']} frames, through the whole pipeline"
        lines += ["", title, "", *_markdown_table(replay_table(values))]
        lines += ["", *_markdown_table(difference_table(values))] if difference_table(values)[1:] else []
    lines += ["", "## Every flipped image", "", *_markdown_table(flip_table(values))]
    if values["flips_count"] > len(values["flips"]):
        lines += ["", f"The first {len(values['flips']):,} of {values['flips_count']:,}."]
    return "\n".join(lines) + "\n"


def verdict(values: dict[str, Any]) -> str:
    """Whether to ship, in one sentence."""
    if values["ship"]:
        return "Ship it: every file agrees with the float model within its limits."
    count = len(values["breaches"])
    return f"Do not ship: {count} {'limit is' if count == 1 else 'limits are'} broken."


def summary(values: dict[str, Any]) -> list[str]:
    """The figures that decide, in a few sentences, each on the file that does worst in it."""
    gating = {each["name"] for each in values["sets"] if each["gates"]}
    rows = [each for each in values["comparisons"] if each["set"] in gating]
    lines = []
    if rows:
        limits = {each["name"]: _limits(values, each["precision"]) for each in values["artifacts"]}
        worst = max(rows, key=lambda row: row["disagreement"])
        limit = limits[worst["artifact"]]
        lines.append(
            f"On {worst['count']:,} images {worst['artifact']} gives another label than the float model on "
            f"{round(worst['disagreement'] * worst['count']):,} ({percent(worst['disagreement'])}; "
            f"limit {percent(limit['disagreement'])}); no file differs more."
        )
        worst = max(rows, key=lambda row: row["drop_bound"])
        limit = limits[worst["artifact"]]
        lines.append(
            f"With 95 % confidence no file loses more than {points(worst['drop_bound'])} of accuracy "
            f"({worst['artifact']}; limit {points(limit['accuracy_drop'])})."
        )
        worst = min(rows, key=lambda row: min(row["recall_change"].values()))
        label, change = min(worst["recall_change"].items(), key=lambda item: item[1])
        limit = limits[worst["artifact"]]
        lines.append(
            f"No class's recall drops by more than {points(max(-change, 0))} "
            f"({label} in {worst['artifact']}; limit {points(limit['recall_drop'])})."
        )
    if values["replays"]:
        least = min(values["replays"], key=lambda row: row["agreement"])
        total = least["same"] + len(least["differences"])
        lines.append(
            f"Of {total:,} digits in the demo clip, {least['artifact']} reads {least['same']:,} as the float model "
            f"does ({least['agreement']:.2%}; limit {values['limits']['replay']:.1%}); no file reads fewer."
        )
    return lines


def comparison_table(values: dict[str, Any], name: str) -> list[list[str]]:
    """Heading and a row for each artifact on the set of this name."""
    sizes = {each["name"]: each["bytes"] for each in values["artifacts"]}
    table = [
        [
            *("file", "kB", "accuracy (95 % interval)", "labels differ", "lost / gained", "McNemar p"),
            *("accuracy loss <", "worst recall", "logit steps", "probability"),
        ]
    ]
    rows = [each for each in values["comparisons"] if each["set"] == name]
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
                points(max(row["drop_bound"], 0)),
                f"{label}: −{-change * 100:.2f} points" if change < 0 else "none drops",
                _spread(row["steps"], 1),
                _spread(row["probability"], 3),
            ]
        )
    return table


def kernel_table(values: dict[str, Any]) -> list[list[str]]:
    """Heading and a row for each pair of interpreters or kernels."""
    rows = [["run", "against", "images", "labels differ", "logit steps", "logits"]]
    for each in values["kernels"]:
        steps, logits = _spread(each["steps"], 1), _spread(each["logits"], 3)
        rows.append([each["name"], each["against"], f"{each['count']:,}", f"{each['flips']:,}", steps, logits])
    return rows


def replay_table(values: dict[str, Any]) -> list[list[str]]:
    """Heading and a row for each artifact on the demo clip."""
    table = [["file", "read as the float model does", "right", "wrong", "missed", "invented"]]
    for row in values["replays"]:
        if len(table) == 1:
            table.append(["float model", "", *(f"{row['reference_score'][key]:,}" for key in _SCORE)])
        total = row["same"] + len(row["differences"])
        share = f"{row['same']:,} of {total:,} ({row['agreement']:.2%})"
        table.append([row["artifact"], share, *(f"{row['score'][key]:,}" for key in _SCORE)])
    return table


def difference_table(values: dict[str, Any]) -> list[list[str]]:
    """Heading and a row for each digit of the demo clip that an artifact reads otherwise."""
    table = [["file", "frame", "box", "float model", "file's answer"]]
    for row in values["replays"]:
        for one in row["differences"]:
            box = ", ".join(map(str, one["box"]))
            table.append([row["artifact"], str(one["frame"]), box, _answer(one["reference"]), _answer(one["answer"])])
    return table


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
    titles = {"gate": "Gate: augmented validation images", "mnist": "MNIST's test set, reported only"}
    return f"{titles.get(entry['name'], entry['name'])}, {entry['count']:,} images"


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


_SCORE = ("right", "wrong", "missed", "invented")


def _comparison(each: Comparison) -> dict[str, Any]:
    parity = each.parity
    return {
        "artifact": parity.artifact,
        "set": each.images,
        "count": parity.count,
        "reference_accuracy": parity.reference_accuracy,
        "reference_interval": each.reference_interval,
        "accuracy": parity.accuracy,
        "interval": each.interval,
        "disagreement": parity.disagreement,
        "lost": parity.lost,
        "gained": parity.gained,
        "p": each.p,
        "drop_bound": parity.drop_bound,
        "recall_change": {str(label): change for label, change in zip(each.classes, parity.recall_change, strict=True)},
        "logit_difference": parity.logit_difference,
        "logits": asdict(each.logits) if each.logits else None,
        "steps": asdict(each.steps) if each.steps else None,
        "probability": asdict(each.probability) if each.probability else None,
        "not_finite": each.not_finite,
        "breaches": list(parity.breaches),
    }


def _limits(values: dict[str, Any], precision: str) -> dict[str, Any]:
    limits: dict[str, Any] = values["limits"]["precision"][precision.removesuffix("-batch")]
    return limits


def _spread(spread: dict[str, float] | None, digits: int) -> str:
    if spread is None:
        return "–"
    least = 10**-digits
    figures = (spread[key] for key in ("median", "p99", "largest"))
    return " / ".join(f"<{least}" if 0 < each < least / 2 else f"{each:.{digits}f}" for each in figures)


def _answer(answer: Sequence[Any] | None) -> str:
    return "not read" if answer is None else f"{answer[0]} ({answer[1]:.0%})"


def _markdown_table(rows: list[list[str]]) -> list[str]:
    head, *body = rows
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body]]


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _plain(value: object) -> object:
    """The same in dicts, lists and finite numbers: JSON has no NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
