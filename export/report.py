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
    LAYERS_TITLE,
    comparison_table,
    difference_table,
    flip_table,
    kernel_table,
    layer_table,
    percent,
    points,
    replay_table,
    set_title,
)
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
    return f"Do not ship: {count} {'check' if count == 1 else 'checks'} failed."


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
