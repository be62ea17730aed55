"""The plots of the report."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from export.report_tables import comparisons
from train.plots import BLUE, ORANGE, QUIET, svg

_SMALLEST = 1e-9  # what is less is drawn as this, on a logarithmic axis


def loss_plot(values: dict[str, Any], name: str) -> str:
    """How much accuracy each file may lose at most, beside its limit."""
    rows = comparisons(values, name)
    limits = _limits(values, "accuracy_drop")

    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            axes.barh(place, 100 * max(row["drop_bound"], 0), height=0.5, color=BLUE)
            limit = 100 * limits[row["artifact"]]
            axes.plot([limit, limit], [place - 0.4, place + 0.4], color=ORANGE, linewidth=2)
        _name_rows(axes, rows)
        axes.set_xlabel("accuracy loss at most, points (95 %)")
        axes.set_xlim(left=0)

    return svg("loss", draw, _height(rows))


def recall_plot(values: dict[str, Any], name: str) -> str:
    """Change of each class's recall, a dot for each file, and the tightest limit of those that quantize."""
    everyone = comparisons(values, name)
    rows = [row for row in everyone if any(row["recall_change"].values())] or everyone[:1]
    limits = _limits(values, "recall_drop")

    def draw(axes: Axes) -> None:
        for number, row in enumerate(rows):
            shift = 0.5 * (number / max(len(rows) - 1, 1) - 0.5)
            places = [int(label) + shift for label in row["recall_change"]]
            marker = "osD^vPX"[number % 7]
            changes = [100 * change for change in row["recall_change"].values()]
            axes.plot(places, changes, marker, markersize=4, label=row["artifact"])
        axes.axhline(0, color=QUIET, linewidth=1)
        limit = min(limits[row["artifact"]] for row in rows)
        axes.axhline(-100 * limit, color=ORANGE, linewidth=2)
        axes.set_xticks(range(10))
        axes.set_xlabel("class")
        axes.set_ylabel("change of recall, points")
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    return svg("recall", draw, 2.9)


def probability_plot(values: dict[str, Any], name: str) -> str:
    """Differences of probability: median, 99th percentile and largest of each file."""
    rows = [row for row in comparisons(values, name) if row["probability"]]

    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            ends = [max(row["probability"][key], _SMALLEST) for key in ("median", "p99", "largest")]
            axes.plot(ends, [place] * 3, color=QUIET, linewidth=1)
            for end, marker in zip(ends, "o|D", strict=True):
                axes.plot([end], [place], marker, color=BLUE, markersize=5, markeredgewidth=2)
        axes.set_xscale("log")
        _name_rows(axes, rows)
        axes.set_xlabel("difference of probability: ● median, | 99 %, ◆ largest")

    return svg("probability", draw, _height(rows))


def _limits(values: dict[str, Any], key: str) -> dict[str, float]:
    by_precision = values["limits"]["precision"]
    return {each["name"]: by_precision[each["precision"].removesuffix("-batch")][key] for each in values["artifacts"]}


def _name_rows(axes: Axes, rows: list[dict[str, Any]]) -> None:
    axes.set_yticks(range(len(rows)), [row["artifact"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _height(rows: list[dict[str, Any]]) -> float:
    return 0.7 + 0.27 * max(len(rows), 3)
