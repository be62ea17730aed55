"""The camera benchmark as a person reads it: a table by condition, with intervals for the whole."""

from __future__ import annotations

import math

from benchmarks.camera import TUTORIAL, Camera, CameraRun
from benchmarks.quality import Figure, Quality, conditions, measure_quality
from benchmarks.tables import notes, table

_NONE = "–"
_LONGEST = 17  # name of a condition, so that every line fits the terminal


def render_camera(camera: Camera) -> str:
    """All runs as text, without a final line break."""
    parts = [_run(run) for run in camera.runs]
    parts.append(
        notes(
            {
                "found": "true digits with a reading: its middle in the digit's box, grown by 15 %, and its area from "
                "a tenth to six times the box's, or an IoU of 0.4; one to one, the nearest first",
                "right": "true digits read as what they are",
                "precision": "readings that are right, on pictures with digits",
                "F1": "2·right / (digits + readings); macro: the mean over sources of their own",
                "numbers": "numbers of which every digit is right and within which nothing was invented",
                "false": "readings per picture without a digit",
                "95 %": "by resampling pictures, for macro F1 sources",
            }
        )
    )
    return "\n\n".join(parts)


def _run(run: CameraRun) -> str:
    whole = measure_quality(run.pictures)
    rows = [_row("all", whole)]
    for tag in conditions(run.pictures):
        # One resample: the table shows no intervals by condition.
        chosen = measure_quality([score for score in run.pictures if tag in score.tags], resamples=1)
        if tag != "negative":
            rows.append(_row(tag, chosen))
    headers = [
        *(("", name) for name in ("condition", "files", "digits")),
        *(("% of the digits", name) for name in ("found", "right")),
        *(("", name) for name in ("precision", "F1", "macro F1", "numbers", "empty", "false")),
    ]
    by = "the tutorials' way" if run.reader == TUTORIAL else "the shipped pipeline"
    figures = {
        "F1": _with_interval(whole.f1, "{:.3f}"),
        "macro F1": _with_interval(whole.macro_f1, "{:.3f}"),
        "right": _with_interval(whole.right, "{:.1%}"),
        "precision": _with_interval(whole.precision, "{:.1%}"),
        "false": _with_interval(whole.false_readings, "{:.2f}") + f" per picture, {whole.negatives} pictures",
    }
    return "\n".join(
        [
            f"Camera: {run.folder}, read by {by} with {run.artifact} in {run.interpreter}",
            "",
            table(headers, rows),
            "",
            notes(figures),
        ]
    )


def _row(name: str, quality: Quality) -> list[str]:
    return [
        name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…",
        f"{quality.pictures:,}",
        f"{quality.digits:,}",
        _cell(quality.found, "{:.1%}"),
        _cell(quality.right, "{:.1%}"),
        _cell(quality.precision, "{:.1%}"),
        _cell(quality.f1, "{:.3f}"),
        _cell(quality.macro_f1, "{:.3f}"),
        _cell(quality.numbers, "{:.1%}"),
        f"{quality.negatives:,}",
        _cell(quality.false_readings, "{:.2f}"),
    ]


def _cell(figure: Figure, form: str) -> str:
    return _NONE if math.isnan(figure.value) else form.format(figure.value)


def _with_interval(figure: Figure, form: str) -> str:
    if math.isnan(figure.value):
        return _NONE
    return f"{form.format(figure.value)} (95 %: {form.format(figure.low)} to {form.format(figure.high)})"
