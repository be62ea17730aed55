"""Tables and sections as values, and as text for a terminal or as Markdown; ``benchmarks.page`` makes HTML of them."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WIDTH = 100
"""Columns of a terminal that every table fits."""

NONE = "–"
"""In a cell: not measured, or too few samples to say."""


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text.

    Attributes:
        headers: of each column its group and its name; a group stands once, above all of its columns.
        rows: as many cells as there are headers.
        left: how many columns are aligned to the left (text); the others are aligned to the right (figures).
        caption: above it; empty for none.
    """

    headers: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Attributes:
        title: of it.
        lines: sentences before the tables.
        tables: of it.
        notes: what each name stands for.
        warnings: what to beware of, a sentence each.
        plots: names of the drawings that belong here.
    """

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()


def to_text(sections: Sequence[Section]) -> str:
    """Sections for a terminal, ``WIDTH`` columns at most, without a final line break."""
    parts = []
    for section in sections:
        blocks = ["\n".join(_filled(line, "  ") for line in section.lines)]
        blocks += ["\n\n".join(filter(None, [each.caption, text_table(each)])) for each in section.tables]
        blocks.append(text_notes(section.notes))
        blocks.append("\n".join(_filled(f"note: {line}", "  ") for line in section.warnings))
        parts.append("\n\n".join([f"{section.title}\n{'=' * len(section.title)}", *filter(None, blocks)]))
    return "\n\n\n".join(parts)


def to_markdown(sections: Sequence[Section], level: int = 2) -> str:
    """Sections as Markdown, with a final line break.

    Args:
        sections: what to write.
        level: of their headings.
    """
    parts = []
    for section in sections:
        blocks = [f"{'#' * level} {section.title}", "\n".join(f"- {line}" for line in section.lines)]
        for each in section.tables:
            blocks += [f"**{each.caption}**" if each.caption else "", markdown_table(each)]
        blocks.append("\n".join(f"- *{name}*: {text}" for name, text in section.notes.items() if text))
        blocks.append("\n".join(f"> **Note:** {line}" for line in section.warnings))
        parts.append("\n\n".join(filter(None, blocks)))
    return "\n\n".join(parts) + "\n"


def text_table(table: Table) -> str:
    """Columns as wide as they must be, two spaces apart."""
    widths = [max(map(len, cells)) for cells in zip([name for _, name in table.headers], *table.rows, strict=True)]
    above = []
    for group, members in itertools.groupby(range(len(widths)), key=lambda i: table.headers[i][0]):
        columns = list(members)
        span = sum(widths[i] for i in columns) + 2 * len(columns) - 2
        widths[columns[0]] += max(len(group) - span, 0)
        span = max(span, len(group))
        above.append(group.center(span) if len(columns) > 1 else group.rjust(span))

    def line(cells: Sequence[str]) -> str:
        placed = [
            cell.ljust(width) if i < table.left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(placed).rstrip()

    names = [line([name for _, name in table.headers])]
    if any(group for group, _ in table.headers):
        names.insert(0, "  ".join(above).rstrip())
    return "\n".join([*names, "-" * (sum(widths) + 2 * len(widths) - 2), *map(line, table.rows)])


def text_notes(texts: Mapping[str, str]) -> str:
    """What each name stands for, a line each, wrapped under itself."""
    indent = max(map(len, texts), default=0) + 2
    return "\n".join(
        textwrap.fill(text, WIDTH, initial_indent=name.ljust(indent), subsequent_indent=" " * indent)
        for name, text in texts.items()
        if text
    )


def markdown_table(table: Table) -> str:
    """A table in GitHub's Markdown; groups stand before their columns' names."""
    names = [" ".join(filter(None, pair)).replace("|", "\\|") for pair in table.headers]
    rule = ["---" if i < table.left else "---:" for i in range(len(names))]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, rule, *rows))


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
