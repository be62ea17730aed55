"""The camera benchmark as a person reads it: a table by condition, with intervals for the whole."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.camera import TUTORIAL, Camera, CameraRun
from benchmarks.quality import Figure, Quality, conditions, measure_quality
from benchmarks.tables import NONE, Section, Table

_LONGEST = 17  # name of a condition, so that every line fits the terminal


def camera_section(camera: Camera) -> Section:
    """All runs."""
    notes = {
        "found": "true digits with a reading: its middle in the digit's box, grown by 15 %, and its area from a tenth "
        "to six times the box's, or an IoU of 0.4; one to one, the nearest first",
        "right": "true digits read as what they are",
        "precision": "readings that are right, on pictures with digits",
        "F1": "2·right / (digits + readings); macro: the mean over sources of their own",
        "numbers": "numbers of which every digit is right and within which nothing was invented",
        "false": "readings per picture without a digit",
        "95 %": "by resampling pictures, for macro F1 sources",
    }
    lines = [line for run in camera.runs for line in _lines(run)]
    return Section("Camera: labeled pictures, end to end", tuple(lines), tuple(map(_table, camera.runs)), notes)


def _table(run: CameraRun) -> Table:
    rows = [_row("all", measure_quality(run.pictures))]
    for tag in conditions(run.pictures):
        # One resample: the table shows no intervals by condition.
        chosen = measure_quality([score for score in run.pictures if tag in score.tags], resamples=1)
        if tag != "negative":
            rows.append(_row(tag, chosen))
    headers = (
        *(("", name) for name in ("condition", "files", "digits")),
        *(("% of the digits", name) for name in ("found", "right")),
        *(("", name) for name in ("precision", "F1", "macro F1", "numbers", "empty", "false")),
    )
    return Table(headers, tuple(rows), caption=_title(run))


def _title(run: CameraRun) -> str:
    by = "the tutorials' way" if run.reader == TUTORIAL else "the shipped pipeline"
    return f"{Path(run.folder).name}, read by {by} with {run.artifact}"


def _lines(run: CameraRun) -> list[str]:
    whole = measure_quality(run.pictures)
    figures = {
        "F1": _with_interval(whole.f1, "{:.3f}"),
        "macro F1": _with_interval(whole.macro_f1, "{:.3f}"),
        "right": _with_interval(whole.right, "{:.1%}"),
        "precision": _with_interval(whole.precision, "{:.1%}"),
        "false": _with_interval(whole.false_readings, "{:.2f}") + f" per picture, {whole.negatives} pictures",
    }
    return [f"{_title(run)}: " + "; ".join(f"{name} {text}" for name, text in figures.items())]


def _row(name: str, quality: Quality) -> tuple[str, ...]:
    return (
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
    )


def _cell(figure: Figure, form: str) -> str:
    return NONE if math.isnan(figure.value) else form.format(figure.value)


def _with_interval(figure: Figure, form: str) -> str:
    if math.isnan(figure.value):
        return NONE
    return f"{form.format(figure.value)} (95 %: {form.format(figure.low)} to {form.format(figure.high)})"
