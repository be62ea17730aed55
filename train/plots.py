"""Plots as SVG that takes its text color from the page, so that it reads on light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

QUIET = "#8a8f98"
"""Of axes, grids and what stands behind; reads on light and dark."""

BLUE, ORANGE = "#3b82f6", "#e0632f"
"""What is shown, and the limit or the other that it is compared with; apart for color-blind eyes too."""

PURPLE = "#a855b8"
"""A third, where three lines share a plot."""

_INK = "#010203"  # stands for the page's own text color
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-digits",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": QUIET,
    "grid.alpha": 0.35,
}


def svg(name: str, draw: Callable[[Axes], None], height: float, width: float = 4.6) -> str:
    """A drawing as an SVG element.

    Args:
        name: makes each id in it unique in a page that holds several.
        draw: draws on the axes that it is given.
        height: in inches at 9-point text; the page scales the whole to its column.
        width: likewise.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda each: f' id="{name}-{each[1]}"' if each[1] in used else "", text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    return text.replace(_INK, "currentColor").strip()
