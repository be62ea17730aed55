"""The drawings of a report, as SVG documents that read on light and on dark pages. They take matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.candidates import REFERENCE
from benchmarks.report import Report, Series, SubjectInfo
from benchmarks.subjects import PIPELINE
from benchmarks.summary import intervals, percentile
from benchmarks.verdict import front, judge, points
from runtime.errors import BackendError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK = "#010203"  # stands for the document's own color, see _svg
_QUIET = "#8a8f98"
_BLUE, _ORANGE, _GREEN, _VIOLET = "#3b82f6", "#e0632f", "#2f9e6e", "#8b5cf6"
_COLORS = {"litert": _BLUE, "tflite-runtime": _GREEN, "onnxruntime": _ORANGE}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _QUIET,
    "grid.alpha": 0.35,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
_WIDTH = 5.0  # inches: letters are still read on a phone

_THEME = "<style>svg{color:#1d2430}@media(prefers-color-scheme:dark){svg{color:#d8dde6}}</style>"


def draw(report: Report) -> Mapping[str, tuple[str, str]]:
    """Every drawing that the report has figures for: by name a caption and an SVG document.

    Raises:
        BackendError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401, ICN001 -- here and not above: a device measures without it
    except ImportError as error:
        raise BackendError('matplotlib is not installed; pip install "edge-digits[report]"') from error
    found = {
        "latency": _latency(report),
        "frames": _frames(report),
        "peers": _peers(report),
        "pareto": _pareto(report),
        "timeline": _timeline(report),
        "sustained": _sustained(report),
    }
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def _latency(report: Report) -> tuple[str, str] | None:
    rows = _rows(report, "probabilities")
    if not rows:
        return None

    def plot(axes: Axes) -> None:
        for place, (subject, series) in enumerate(rows):
            color = _COLORS.get(subject.interpreter, _VIOLET)
            figures = {percent: value.value / 1e3 for percent, value in intervals(series.sessions_ns).items()}
            middle = intervals(series.sessions_ns)[50]
            axes.plot([middle.low / 1e3, middle.high / 1e3], [place] * 2, color=color, linewidth=7, alpha=0.3)
            axes.plot([figures[50], figures[max(figures)]], [place] * 2, color=_QUIET, linewidth=1)
            for percent, marker in ((50, "o"), (90, "|"), (99, "D")):
                if percent in figures:
                    axes.plot(figures[percent], place, marker, color=color, markersize=6, markeredgewidth=2)
            bare = report.find(subject.name, "invoke")
            if bare is not None:
                axes.plot(_p50(bare) / 1e3, place, "x", color=_QUIET, markersize=5)
        _name_rows(axes, [_name(subject) for subject, _ in rows])
        axes.set_xlim(left=0)
        axes.set_xlabel("µs")

    return "Probabilities of one digit: ● median and its interval, | 90 %, ◆ 99 %; × invoke alone", _svg(
        plot, 0.9 + 0.3 * max(len(rows), 3)
    )


def _frames(report: Report) -> tuple[str, str] | None:
    frames = report.workload.frames if report.workload else ()
    subject = next((s for s in report.subjects if s.kind == "classifier" and len(_pipelines(report, s)) > 1), None)
    if subject is None:
        return None
    names = [frame.name for frame in frames if f"{PIPELINE}, {frame.name}" in _pipelines(report, subject)]

    def plot(axes: Axes) -> None:
        left = [0.0] * len(names)
        totals = [_stage(report, subject, name, "total") for name in names]
        for stage, color in (("luma", _VIOLET), ("detect", _BLUE), ("classify", _ORANGE), ("the rest", _QUIET)):
            if stage == "the rest":
                widths = [max(total - sofar, 0.0) for total, sofar in zip(totals, left, strict=True)]
            else:
                widths = [_stage(report, subject, name, stage) for name in names]
            axes.barh(range(len(names)), widths, left=left, height=0.6, color=color, label=stage)
            left = [sofar + width for sofar, width in zip(left, widths, strict=True)]
        for place, total in enumerate(left):
            axes.annotate(f"{total:.2f}", (total, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
        _name_rows(axes, names)
        axes.set_xlim(0, 1.12 * max(left))
        axes.set_xlabel("milliseconds, median")
        axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=1, columnspacing=1.2)

    return f"A frame, stage by stage, with {_name(subject)}", _svg(plot, 1.2 + 0.3 * max(len(names), 3))


def _peers(report: Report) -> tuple[str, str] | None:
    found = judge(report)
    own = report.find((found.best or found.choices[0]).subject.name, "set, invoke, get") if found else None
    kinds = {subject.name: subject.kind for subject in report.subjects}
    rows = [(f"{s.subject}, {s.operation}", _p50(s)) for s in report.series if kinds[s.subject] == "peer"]
    if own is None or not rows:
        return None
    rows = [(own.subject.removeprefix(f"{report.models[0].name} "), _p50(own)), *sorted(rows, key=lambda row: row[1])]

    def plot(axes: Axes) -> None:
        for place, (_, value) in enumerate(rows):
            # Dots: a bar's length says nothing on a logarithmic axis.
            axes.plot(value / 1e3, place, "o", color=_QUIET if place else _BLUE, markersize=8)
            text, beside = f"{value / 1e3:,.0f}", (8, 0)
            axes.annotate(text, (value / 1e3, place), beside, textcoords="offset points", va="center", fontsize=9)
        axes.set_xscale("log")
        axes.set_xlim(0.5 * min(value for _, value in rows) / 1e3, 10 * max(value for _, value in rows) / 1e3)
        _name_rows(axes, [name for name, _ in rows])
        axes.set_xlabel("µs for one digit, median, logarithmic")

    return "One digit by each", _svg(plot, 0.9 + 0.3 * max(len(rows), 3))


def _pareto(report: Report) -> tuple[str, str] | None:
    found = points(report)
    if all(point.source for point in found):
        return None
    # An artifact in several interpreters is one point.
    own = list({(p.bytes, p.accuracy): p for p in found if not p.source}.values())

    def plot(axes: Axes) -> None:
        best = front(found)
        kinds = [
            (name, quantized) for name, quantized in dict.fromkeys((p.name, p.quantized) for p in found if p.source)
        ]
        for number, (name, quantized) in enumerate(kinds):
            chosen = [p for p in found if p.name == name]
            axes.plot(
                [p.bytes / 1000 for p in chosen],
                [100 * (1 - p.accuracy) for p in chosen],
                "os^D"[number % 4],
                color=(_GREEN, _ORANGE, _VIOLET)[number % 3],
                fillstyle="full" if quantized else "none",
                markersize=6,
                linestyle="none",
                label=name,
            )
        axes.plot(
            [p.bytes / 1000 for p in own], [100 * (1 - p.accuracy) for p in own], "*", color=_BLUE, markersize=12,
            linestyle="none", label="this project",
        )  # fmt: skip
        for p in own:
            text = p.name.split(",")[0]
            axes.annotate(text, (p.bytes / 1000, 100 * (1 - p.accuracy)), (0, -13), textcoords="offset points",
                          fontsize=8, ha="center")  # fmt: skip
        steps = [(p.bytes / 1000, 100 * (1 - p.accuracy)) for p in best]
        axes.step(*zip(*steps, strict=True), where="post", color=_QUIET, linewidth=1, zorder=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
        axes.set_yticks([0.2, 0.3, 0.5, 1.0], ["0.2", "0.3", "0.5", "1"])
        axes.minorticks_off()
        axes.grid()
        axes.set_xlabel("kB (hollow: float)")
        axes.set_ylabel("% wrong on MNIST's test set")
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handletextpad=0.2)

    return "Accuracy for size", _svg(plot, 4.0)


def _timeline(report: Report) -> tuple[str, str] | None:
    reference = report.find(REFERENCE, REFERENCE)
    if reference is None:
        return None
    blocks = [percentile(block, 50) for session in reference.sessions_ns for block in session]
    slower = [block / percentile(blocks, 50) for block in blocks]

    def plot(axes: Axes) -> None:
        axes.axhspan(0.95, 1.05, color=_GREEN, alpha=0.15, linewidth=0)
        axes.plot(range(1, len(slower) + 1), slower, ".-", color=_BLUE, linewidth=1, label="time of the same work")
        axes.set_ylim(min(0.9, 0.98 * min(slower)), max(1.15, 1.02 * max(slower)))
        axes.set_xlabel("round")
        axes.set_ylabel("over its median")
        axes.grid(axis="y")

    return "How steady the machine was: the same work in every round (green: within 5 %)", _svg(plot, 2.2)


def _sustained(report: Report) -> tuple[str, str] | None:
    run = report.sustained
    if run is None:
        return None
    minutes = [window.seconds / 60 for window in run.windows]
    degrees = [window.machine.celsius for window in run.windows if window.machine.celsius is not None]

    def plot(axes: Axes) -> None:
        axes.plot(minutes, [percentile(w.samples_ns, 50) / 1e6 for w in run.windows], ".-", color=_BLUE, linewidth=1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes without a pause")
        axes.set_ylabel("milliseconds, median")
        axes.grid(axis="y")
        if len(degrees) == len(minutes):
            other = axes.twinx()
            other.plot(minutes, degrees, color=_ORANGE, linewidth=1)
            other.set_ylabel("°C", color=_ORANGE)

    return f"{run.operation} without a pause", _svg(plot, 2.6)


def _pipelines(report: Report, subject: SubjectInfo) -> list[str]:
    return [
        s.operation
        for s in report.series
        if s.subject == subject.name and s.stage == "total" and PIPELINE in s.operation
    ]


def _rows(report: Report, operation: str) -> list[tuple[SubjectInfo, Series]]:
    pairs = [(subject, report.find(subject.name, operation)) for subject in report.subjects]
    return [(subject, s) for subject, s in pairs if s is not None and 50 in intervals(s.sessions_ns)]


def _stage(report: Report, subject: SubjectInfo, frame: str, stage: str) -> float:
    series = report.find(subject.name, f"{PIPELINE}, {frame}", stage)
    return _p50(series) / 1e6 if series is not None else 0.0


def _p50(series: Series) -> int:
    return percentile([sample for blocks in series.sessions_ns for block in blocks for sample in block], 50)


def _name(subject: SubjectInfo) -> str:
    return f"{subject.artifact} in {subject.interpreter}" + (f" ×{subject.threads}" if subject.threads > 1 else "")


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")


def _svg(plot: Callable[[Axes], None], height: float) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        plot(figure.add_subplot())
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = content.getvalue().replace(_INK, "currentColor")
    start = svg.index(">", svg.index("<svg")) + 1
    return svg[:start] + _THEME + svg[start:]
