"""An evaluation as a page: the answer first, then figures, plots and every mistake."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from train import page
from train.data import LABELS
from train.evaluation import Evaluation, Robustness
from train.plots import BLUE, ORANGE, PURPLE, QUIET, svg

MISTAKES = 2_000
"""Mistakes shown at the most, the surest first; the JSON lists all."""

_SAMPLES = 20
_LEAST = 1e-6  # what is less is drawn as this, on a logarithmic axis


def evaluation_page(found: Evaluation, families: Sequence[Robustness] = ()) -> str:
    """The page.

    Args:
        found: the evaluation.
        families: of ``robustness``, where that was asked for.
    """
    title = f"{found.model} on {found.images.name}"
    return page.document(title, [*evaluation_parts(found), *(robustness_parts(families) if families else [])])


def evaluation_parts(found: Evaluation) -> list[str]:
    """The page's parts, for a page that holds more."""
    wrong = len(found.mistakes)
    count = len(found.answers)
    parts = [
        page.verdict(f"{found.accuracy} right", [page.paragraph(line) for line in _summary(found)]),
        page.heading("Classes"),
        page.table(class_table(found)),
        page.heading("What is answered"),
        page.grid(*_confusion(found), "truth by row, answer by column; wrong answers are marked"),
        page.figures(
            {
                "Precision against recall, one class against the others": _recall_plot(found),
                "Is it as sure as it should be?": _doubt_plot(found),
                "Wrong answers among those kept, the surest first": _risk_plot(found),
            }
        ),
    ]
    if count > wrong:
        parts += [page.heading("Some it gets right"), page.gallery(_samples(found), "")]
    parts += [
        page.heading(f"Every mistake, the surest first: {wrong:,}"),
        page.gallery(_mistakes(found), "No picture is answered wrongly.", MISTAKES),
    ]
    return parts


def class_table(found: Evaluation) -> list[list[str]]:
    """Figures of each class."""
    rows = [["class", "pictures", "recall (95 %)", "precision (95 %)", "F1", "average precision"]]
    return rows + [
        [
            each.label,
            f"{each.recall.of:,}",
            str(each.recall),
            str(each.precision),
            f"{each.f1:.4f}",
            f"{each.average_precision:.5f}",
        ]
        for each in found.classes
    ]


def robustness_table(families: Sequence[Robustness]) -> list[list[str]]:
    """Figures of each family, and their mean without the pictures as they are."""
    rows = [["family", "right (95 %)", "said “none”", "right, must name a digit", "training saw"]]
    rows += [
        [
            each.name.replace("_", " "),
            str(each.right),
            f"{each.none.value:.1%}".replace("%", " %"),
            f"{each.digit_right.value:.1%}".replace("%", " %"),
            each.seen or "nothing like it",
        ]
        for each in families
    ]
    corrupted = [each for each in families if each.name != "identity"]
    means = [np.mean([getattr(each, key).value for each in corrupted]) for key in ("right", "none", "digit_right")]
    right, none, digit = (f"{mean:.1%}".replace("%", " %") for mean in means)
    return [*rows, [f"mean of {len(corrupted)}", right, none, digit, ""]]


def robustness_parts(families: Sequence[Robustness]) -> list[str]:
    """The table of the families, and what they look like."""
    examples = [
        f"<p><b>{escape(each.name.replace('_', ' '))}</b></p>" + page.picture(np.hstack(list(each.examples)), each.name)
        for each in families
    ]
    return [
        page.heading("Corrupted as in MNIST-C"),
        page.paragraph(
            "The fifteen families at their published severities, drawn anew. Answering “none” counts as wrong; where a "
            "digit must be named, it is the likeliest of the ten.",
            "quiet",
        ),
        page.table(robustness_table(families)),
        f'<div class="strips">{"".join(f"<div>{each}</div>" for each in examples)}</div>',
    ]


def _summary(found: Evaluation) -> list[str]:
    reading = found.reading
    lines = [f"{len(found.answers) - found.accuracy.count:,} of {len(found.answers):,} pictures are answered wrongly."]
    if reading.right.of:
        lines.append(
            f"Reading only what is at least {reading.threshold:.0%} sure: {reading.right} of the digits read right, "
            f"{reading.wrong} read wrong, {reading.passed} passed over."
        )
    if reading.false.of:
        lines.append(f"Of what is no digit, {reading.false} is read as one.")
    if reading.auroc is not None:
        lines.append(f"A digit seems more of a digit than what is none in {reading.auroc:.2%} of pairs (AUROC).")
    lines.append(f"Expected calibration error: {found.calibration_error:.2%}.")
    return [line.replace("%", " %").replace("  %", " %") for line in lines]


def _confusion(found: Evaluation) -> tuple[list[list[str]], list[list[float]]]:
    rows = [i for i in range(len(LABELS)) if found.table[i].any()]
    columns = [i for i in range(len(LABELS)) if found.table[:, i].any() or i in rows]
    cells = [["", *(LABELS[i] for i in columns)]]
    heat = []
    worst = max((found.table[i, j] for i in rows for j in columns if i != j), default=1) or 1
    for i in rows:
        cells.append([LABELS[i], *(f"{found.table[i, j]:,}" if found.table[i, j] else "" for j in columns)])
        heat.append([0.0 if i == j else float(found.table[i, j] / worst) for j in columns])
    return cells, heat


def _recall_plot(found: Evaluation) -> str:
    worst = sorted(found.classes, key=lambda each: each.average_precision)[:3]
    colors = dict(zip((each.label for each in worst), (ORANGE, BLUE, PURPLE), strict=False))
    # Down to where the worst class's precision and recall meet, and as much again.
    meeting = min((float(np.minimum(curve.x, curve.y).max()) for curve in found.curves.values()), default=1.0)
    floor = max(1 - 3 * (1 - meeting) - 0.002, 0)

    def draw(axes: Axes) -> None:
        for label, curve in sorted(found.curves.items(), key=lambda item: item[0] in colors):
            color = colors.get(label, QUIET)
            axes.plot(curve.x, curve.y, color=color, linewidth=1.6 if label in colors else 0.8, drawstyle="steps-pre")
        for each in worst:
            axes.plot([], [], color=colors[each.label], label=f"{each.label}: {each.average_precision:.5f}")
        axes.plot([], [], color=QUIET, linewidth=0.8, label="the others")
        axes.set_xlim(floor, 1 + (1 - floor) / 50)
        axes.set_ylim(floor, 1 + (1 - floor) / 50)
        axes.set_xlabel("recall, %")
        axes.set_ylabel("precision, %")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, symbol=""))
        axes.grid()
        axes.legend(frameon=False, fontsize=8, loc="lower left", title="average precision", title_fontsize=8)

    return svg("recall", draw, 3.0)


def _doubt_plot(found: Evaluation) -> str:
    def draw(axes: Axes) -> None:
        axes.plot([_LEAST, 1], [_LEAST, 1], color=QUIET, linewidth=1, linestyle="--")
        for each in found.bins:
            x = max(each.expected, _LEAST)
            axes.plot([x, x], [max(each.wrong.low, _LEAST), each.wrong.high], color=BLUE, linewidth=1.5)
            if each.wrong.count:
                axes.plot([x], [each.wrong.value], "o", color=BLUE, markersize=5)
            else:
                axes.plot([x], [each.wrong.high], "_", color=BLUE, markersize=9)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(_LEAST / 1.5, 1.2)
        low = min((max(b.wrong.low, _LEAST) if b.wrong.count else b.wrong.high / 3 for b in found.bins), default=_LEAST)
        axes.set_ylim(max(low / 2, _LEAST / 1.5), 1.2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
        axes.set_xlabel("should be wrong, by its confidence, %")
        axes.set_ylabel("is wrong, % (line: 95 %)")
        axes.grid()

    return svg("doubt", draw, 3.0)


def _risk_plot(found: Evaluation) -> str:
    kept = float((found.confidence >= found.reading.threshold).mean())

    def draw(axes: Axes) -> None:
        axes.plot(100 * found.risk.x, 100 * found.risk.y, color=BLUE, linewidth=1.8)
        at = int(np.searchsorted(found.risk.x, kept - 1e-9))
        if at < len(found.risk.x):
            axes.plot([100 * found.risk.x[at]], [100 * found.risk.y[at]], "o", color=ORANGE)
            axes.annotate(
                f"at least {found.reading.threshold:.0%} sure".replace("%", " %"),
                (100 * found.risk.x[at], 100 * found.risk.y[at]),
                xytext=(-8, 10),
                textcoords="offset points",
                ha="right",
                fontsize=8,
            )
        some = found.risk.x[found.risk.y > 0]
        axes.set_xlim(max(100 * float(some[0]) - 2, 0) if len(some) else 90, 100)
        axes.set_ylim(0, max(120 * float(found.risk.y.max()), 0.1))
        axes.set_xlabel("answers kept, %")
        axes.set_ylabel("of these wrong, %")
        axes.grid()

    return svg("risk", draw, 3.0)


def _samples(found: Evaluation) -> list[str]:
    """Right answers, each class in turn."""
    right = np.flatnonzero(found.answers == found.images.labels)
    by_class = [right[found.answers[right] == label] for label in np.unique(found.answers[right])]
    chosen = [int(each[i]) for i in range(_SAMPLES) for each in by_class if i < len(each)][:_SAMPLES]
    return [
        page.card(
            found.images.images[i],
            f"a {LABELS[found.images.labels[i]]}",
            f"<p>{escape(found.images.origins[i])}</p><p><b>{found.labels[found.answers[i]]}</b> "
            f"{_percent(found.confidence[i])}</p>",
        )
        for i in chosen
    ]


def _mistakes(found: Evaluation) -> list[str]:
    return [
        page.card(
            found.images.images[each.index],
            f"a {each.truth}",
            f"<p>{escape(found.images.origins[each.index])}: a <b>{each.truth}</b></p>"
            f'<p><span class="lost">{each.answer}</span> {_percent(each.confidence)}</p>',
        )
        for each in found.mistakes[:MISTAKES]
    ]


def _percent(value: float) -> str:
    return f"{100 * float(value):.1f} %"
