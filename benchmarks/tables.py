"""A report as a person reads it: aligned tables, at most 100 columns wide, with what each figure includes below."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence

from benchmarks.latency import Latency
from benchmarks.pipeline import Pipeline
from benchmarks.report import Report
from benchmarks.size import Size
from benchmarks.summary import PERCENTILES, UNSTABLE, flatten, percentiles, spread

WIDTH = 100
"""Columns of a terminal that every table fits."""

_NONE = "–"


def render(report: Report) -> str:
    """The whole report as text, without a final line break."""
    parts = [_machine(report)]
    if report.latency:
        parts.append(_latency(report.latency, report.threads))
    if report.size:
        parts.append(_size(report.size, report.model.name))
    if report.pipeline:
        parts.append(_pipeline(report.pipeline, report.threads, report.environment.opencv_threads))
    return "\n\n".join(parts)


def table(headers: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns as wide as they must be, two spaces apart.

    Args:
        headers: of each column its group and its name; a group stands once, above all of its columns.
        rows: cells as text, as many as there are headers.
        left: how many columns are aligned to the left (text); the others are aligned to the right (figures).
    """
    widths = [max(map(len, cells)) for cells in zip([name for _, name in headers], *rows, strict=True)]
    above = []
    for group, members in itertools.groupby(range(len(headers)), key=lambda i: headers[i][0]):
        columns = list(members)
        span = sum(widths[i] for i in columns) + 2 * len(columns) - 2
        widths[columns[0]] += max(len(group) - span, 0)
        above.append(group.center(span) if len(columns) > 1 else group.rjust(span))

    def line(cells: Sequence[str]) -> str:
        placed = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(placed).rstrip()

    names = [line([name for _, name in headers])]
    if any(group for group, _ in headers):
        names.insert(0, "  ".join(above).rstrip())
    return "\n".join([*names, "-" * (sum(widths) + 2 * len(widths) - 2), *map(line, rows)])


def notes(texts: Mapping[str, str]) -> str:
    """What each name stands for, a line each, wrapped under itself."""
    indent = max(map(len, texts)) + 2
    return "\n".join(
        textwrap.fill(text, WIDTH, initial_indent=name.ljust(indent), subsequent_indent=" " * indent)
        for name, text in texts.items()
        if text
    )


def _machine(report: Report) -> str:
    machine = report.environment
    virtual = f", {machine.emulation}" if machine.emulation else ""
    clock = f", up to {machine.max_megahertz:,} MHz" if machine.max_megahertz else ""
    governor = f", governor {machine.governor}" if machine.governor else ""
    facts = {
        "machine": f"{machine.board + ', ' if machine.board else ''}{machine.cpu}, {machine.architecture}, "
        f"{machine.cores} cores ({machine.usable_cores} usable){clock}{governor}{virtual}",
        "features": " ".join(machine.flags),
        "memory": f"{machine.memory_bytes / 1e9:.1f} GB, {machine.available_bytes / 1e9:.1f} available",
        "load average": ", ".join(f"{load:.2f}" for load in machine.load_average)
        + " (1, 5, 15 minutes before the run)",
        "system": f"{machine.system}, kernel {machine.kernel}, {machine.python}",
        "packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
        "model": f"{report.model.name}, manifest sha256 {report.model.manifest_sha256[:12]}…",
    }
    return "\n".join([notes(facts), *_warnings(machine.doubts())])


def _latency(latency: Latency, threads: int) -> str:
    settings = latency.settings
    rows, restless = [], {}
    for candidate in latency.candidates:
        calls, logits = candidate.steady_ns["probabilities"], candidate.steady_ns["logits"]
        unsteady = max(spread(calls), spread(logits))
        if unsteady > UNSTABLE:
            restless[f"{candidate.artifact} in {candidate.interpreter}"] = unsteady
        rows.append(
            [
                candidate.artifact,
                candidate.interpreter,
                *_cells(candidate.load_ns, 1e6, (50,)),
                *_cells(candidate.first_call_ns, 1e3, (50,)),
                *_cells(candidate.warm_up_ns, 1e3, (50,)),
                *_cells(flatten(calls), 1e3),
                *_cells(flatten(logits), 1e3, (50,)),
                f"{unsteady:.0%}",
            ]
        )
    headers = [
        *(("", "artifact"), ("", "interpreter"), ("load ms", "p50"), ("first µs", "p50"), ("warm µs", "p50")),
        *(("probabilities µs", f"p{percent}") for percent in PERCENTILES),
        *(("logits µs", "p50"), ("", "spread")),
    ]
    explained = {
        "load": "read the bundle, verify it, make the interpreter, ask the golden vectors; its package was imported "
        f"before; {settings.loads} times",
        "first": f"probabilities of one crop, by a new interpreter that has answered nothing; {settings.loads} times",
        "warm": f"the {settings.warm_up} calls after the first",
        "probabilities": "one crop, uint8 in: check, convert, set, invoke, get, dequantize, softmax",
        "logits": "the same without the softmax",
        "spread": f"of the medians of {settings.plan.rounds} blocks, interleaved at random: from p10 to p90, over p50",
    }
    return "\n".join(
        [
            f"Latency of one digit: {_threads(threads)}, {latency.crops} real crops in turn, "
            f"{settings.plan.count:,} calls each",
            "",
            table(headers, rows, left=2),
            "",
            notes(explained),
            *_warnings(_unstable(restless)),
            *_warnings(
                [f"{', '.join(s.artifacts)} in {s.interpreter}: {s.reason}" for s in latency.skipped], "skipped"
            ),
        ]
    )


def _size(size: Size, model: str) -> str:
    files = [[a.artifact, a.file, f"{a.bytes:,}", f"{a.gzip_bytes:,}"] for a in size.artifacts]
    packages = [
        [p.package, p.version, f"{p.bytes / 1e6:.1f}" if p.bytes else _NONE]
        for p in sorted(size.packages, key=lambda p: -p.bytes)
    ]
    totals = [[d.interpreter, str(len(d.packages)), f"{d.bytes / 1e6:.1f}"] for d in size.devices]
    explained = {
        "gzip": "at its strongest: about what a download takes",
        "package MB": "10⁶ bytes, of the files that the package's own record lists, byte code included",
        "device MB": "NumPy, OpenCV, this interpreter and what they require, as installed here; runtime "
        f"({size.runtime_bytes / 1e6:.1f}) and the whole bundle ({size.bundle_bytes / 1e6:.1f}); not Python itself",
    }
    return "\n".join(
        [
            f"Size of model {model}, and of what runs it",
            "",
            table([("", "artifact"), ("", "file"), ("", "bytes"), ("", "gzip bytes")], files, left=2),
            "",
            table([("", "package"), ("", "version"), ("", "MB")], packages, left=2),
            "",
            table([("", "device with"), ("", "packages"), ("", "MB")], totals),
            "",
            notes(explained),
        ]
    )


def _pipeline(pipeline: Pipeline, threads: int, opencv_threads: int) -> str:
    headers = [
        *(("", name) for name in ("frame", "right", "wrong", "invented", "crops")),
        *(("detect ms", "p50"), ("classify ms", "p50")),
        *(("total ms", f"p{percent}") for percent in PERCENTILES),
        ("", "spread"),
    ]
    tables, restless = [], {}
    for (artifact, interpreter), frames in itertools.groupby(pipeline.frames, lambda f: (f.artifact, f.interpreter)):
        rows = []
        for frame in frames:
            total = frame.stages_ns["total"]
            if spread(total) > UNSTABLE:
                restless[f"{frame.frame} with {artifact} in {interpreter}"] = spread(total)
            rows.append(
                [
                    *(frame.frame, f"{frame.right} of {frame.digits}"),
                    *(str(frame.wrong), str(frame.invented), str(frame.crops)),
                    *_cells(flatten(frame.stages_ns["detect"]), 1e6, (50,), 2),
                    *_cells(flatten(frame.stages_ns["classify"]), 1e6, (50,), 2),
                    *_cells(flatten(total), 1e6, decimals=2),
                    f"{spread(total):.0%}",
                ]
            )
        tables += [f"with {artifact} in {interpreter}", "", table(headers, rows), ""]
    explained = {
        "right": "drawn digits read as what they are; wrong: as another; invented: read where none is",
        "crops": "candidates that the detector cut out",
        "detect": "find ink, cut it out, place it as the model wants it",
        "classify": "probabilities of all crops",
        "total": "both, the choice between alternatives, tracking, grouping: luma in, Result out",
        "spread": f"of the medians of {pipeline.plan.rounds} blocks, interleaved at random: from p10 to p90, over p50",
    }
    if any(_NONE in line for line in tables):
        explained[_NONE] = "too few frames for this percentile"
    sizes = " and ".join(sorted({f"{frame.width}×{frame.height}" for frame in pipeline.frames}))
    return "\n".join(
        [
            f"Pipeline of a frame: {sizes}, {pipeline.plan.count:,} frames each; interpreter {_threads(threads)}, "
            f"OpenCV {_threads(opencv_threads)}",
            "",
            *tables,
            notes(explained),
            *_warnings(_unstable(restless)),
        ]
    )


def _cells(samples: Sequence[int], unit: float, wanted: Sequence[int] = PERCENTILES, decimals: int = 1) -> list[str]:
    """Percentiles in a unit of so many nanoseconds; a dash for one that the count does not support."""
    found = {percent: value / unit for percent, value in percentiles(samples).items()}
    return [f"{found[p]:,.{decimals if found[p] < 100 else 0}f}" if p in found else _NONE for p in wanted]


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count != 1)}"


def _unstable(restless: Mapping[str, float]) -> list[str]:
    if not restless:
        return []
    worst = max(restless, key=lambda name: restless[name])
    return [
        f"unstable: blocks of {len(restless)} row{'s' * (len(restless) > 1)} differ by more than {UNSTABLE:.0%} "
        f"(up to {restless[worst]:.0%}, {worst}); close other programs and run it again"
    ]


def _warnings(lines: Sequence[str], word: str = "note") -> list[str]:
    return [
        textwrap.fill(line, WIDTH, initial_indent=f"{word}: ", subsequent_indent="  ", break_on_hyphens=False)
        for line in lines
    ]
