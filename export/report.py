"""What ``verify`` found out, for programs (``parity.json``) and for people (``parity.md``)."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any

from export.findings import Comparison, Verification
from export.report_tables import (
    CLIP_NAMES,
    LAYERS_TITLE,
    clip_title,
    clips,
    comparison_table,
    comparisons,
    difference_table,
    digits_read,
    flip_table,
    kernel_table,
    layer_table,
    percent,
    points,
    replay_table,
    replays,
    set_title,
)
from runtime.bundle import MANIFEST

SCHEMA = 2
"""Version of the layout of ``parity.json``: raised with every change that a reader of older files would stumble on.

1: the first. 2: the set ``none``, and its limits; replays of several clips, which tell digits from other ink; causes.
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
        "ship": not found.breaches and (any(each.gates for each in found.sets) or bool(found.replays)),
        "breaches": list(found.breaches),
        "causes": list(found.causes),
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
                "clip": each.clip,
                "artifact": each.artifact,
                "frames": each.frames,
                "same": each.same,
                "agreement": each.agreement,
                "same_elsewhere": each.same_elsewhere,
                "agreement_elsewhere": each.agreement_elsewhere,
                "bound_elsewhere": each.bound_elsewhere,
                "reference_score": asdict(each.reference_score),
                "score": asdict(each.score),
                "differences": [
                    {
                        "frame": one.frame,
                        "truth": one.truth,
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
        "layers": [asdict(each) for each in found.layers],
        "repairs": [asdict(each) for each in found.repairs],
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
    lines += [f"- {line}" for line in [*values["breaches"], *values["causes"]]]
    lines += ["", *summary(values), ""]
    for each in values["sets"]:
        lines += ["", f"## {set_title(each)}", "", *_markdown_table(comparison_table(values, each["name"]))]
    if values["kernels"]:
        lines += ["", "## The same network by other kernels", "", *_markdown_table(kernel_table(values))]
    for name in clips(values):
        lines += ["", f"## {clip_title(values, name)}", "", *_markdown_table(replay_table(values, name))]
        rows = difference_table(values, name)
        lines += ["", *_markdown_table(rows)] if rows[1:] else []
    if values["layers"]:
        lines += ["", f"## {LAYERS_TITLE}", "", *_markdown_table(layer_table(values))]
    lines += ["", "## Every flipped image", "", *_markdown_table(flip_table(values))]
    if values["flips_count"] > len(values["flips"]):
        lines += ["", f"The first {len(values['flips']):,} of {values['flips_count']:,}."]
    return "\n".join(lines) + "\n"


def verdict(values: dict[str, Any]) -> str:
    """Whether to ship, in one sentence."""
    if values["ship"]:
        return "Ship it: every file agrees with the float model within its limits."
    count = len(values["breaches"])
    if not count:
        return "Nothing was held to a limit: what was asked is only reported."
    return f"Do not ship: {count} {'check' if count == 1 else 'checks'} failed."


def summary(values: dict[str, Any]) -> list[str]:
    """The figures that decide, in a few sentences, each on the file that does worst in it."""
    lines = []
    if rows := comparisons(values, "gate"):
        lines += [_differing(values, rows, "images of digits"), _losing(values, rows)]
        worst = min(rows, key=lambda row: min(row["recall_change"].values()))
        label, change = min(worst["recall_change"].items(), key=lambda item: item[1])
        limit = points(_limits(values, worst)["recall_drop"])
        lines.append(
            f"No class's recall drops by more than {points(-change)} ({label} in {worst['artifact']}; limit {limit})."
            if change < 0
            else f"No class's recall drops (limit {limit})."
        )
    if rows := comparisons(values, "none"):
        lines += [_differing(values, rows, "pictures of no digit")]
    for name in clips(values):
        least = min(replays(values, name), key=lambda row: row["agreement"])
        lines.append(
            f"Of {digits_read(least):,} digits in {CLIP_NAMES.get(name, name)}, {least['artifact']} reads "
            f"{least['same']:,} as the float model does ({least['agreement']:.2%}; limit "
            f"{values['limits']['replay']['agreement']:.1%}); no file reads fewer."
        )
    return lines


def _differing(values: dict[str, Any], rows: list[dict[str, Any]], what: str) -> str:
    worst = max(rows, key=lambda row: row["disagreement"])
    count, limit = round(worst["disagreement"] * worst["count"]), percent(_limits(values, worst)["disagreement"])
    if not count:
        return f"On {worst['count']:,} {what} every file gives the float model's label (limit {limit})."
    return (
        f"On {worst['count']:,} {what} {worst['artifact']} gives another label than the float model on {count:,} "
        f"({percent(worst['disagreement'])}; limit {limit}); no file differs more."
    )


def _losing(values: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    worst = max(rows, key=lambda row: row["drop_bound"])
    limit = points(_limits(values, worst)["accuracy_drop"])
    if worst["drop_bound"] <= 0:
        return f"No file loses accuracy (limit {limit})."
    return (
        f"With 95 % confidence no file loses more than {points(worst['drop_bound'])} of accuracy "
        f"({worst['artifact']}; limit {limit})."
    )


def _comparison(each: Comparison) -> dict[str, Any]:
    parity = each.parity
    return {
        "artifact": parity.artifact,
        "set": each.images,
        "count": parity.count,
        "reference_accuracy": parity.reference_accuracy,
        "reference_interval": parity.reference_interval,
        "accuracy": parity.accuracy,
        "interval": parity.interval,
        "disagreement": parity.disagreement,
        "lost": parity.lost,
        "gained": parity.gained,
        "p": parity.p,
        "drop_bound": parity.drop_bound,
        "recall_change": dict(parity.recall_change),
        "logit_difference": parity.logit_difference,
        "logits": asdict(each.logits) if each.logits else None,
        "steps": asdict(each.steps) if each.steps else None,
        "probability": asdict(each.probability) if each.probability else None,
        "not_finite": each.not_finite,
        "breaches": list(parity.breaches),
    }


def _limits(values: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What the artifact of a comparison was held to in it."""
    precision = {each["name"]: each["precision"] for each in values["artifacts"]}[row["artifact"]]
    limits: dict[str, Any] = values["limits"]["none" if row["set"] == "none" else "precision"]
    return dict(limits[precision.removesuffix("-batch")])


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
