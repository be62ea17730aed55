"""A report as one HTML page that needs no other file: verdict first, then every table and drawing."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from benchmarks.tables import Section, Table

_STYLES = Path(__file__).with_name("page.css")


def to_page(title: str, sections: Sequence[Section], drawings: Mapping[str, tuple[str, str]]) -> str:
    """The page.

    Args:
        title: of it.
        sections: of the report; the first is set apart.
        drawings: by name a caption and an SVG document, shown in the sections that name them.
    """
    body = "\n".join(
        line for number, section in enumerate(sections) for line in _section(section, drawings, number == 0)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>\n{_STYLES.read_text(encoding='utf-8')}</style></head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def _section(section: Section, drawings: Mapping[str, tuple[str, str]], first: bool) -> Iterator[str]:
    yield f'<section class="{"verdict" if first else ""}"><h2>{escape(section.title)}</h2>'
    if section.lines:
        yield "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in section.lines) + "</ul>"
    for warning in section.warnings:
        yield f'<p class="warning">{escape(warning)}</p>'
    for name in section.plots:
        if name in drawings:
            caption, svg = drawings[name]
            coded = base64.b64encode(svg.encode()).decode()
            yield (
                f'<figure><figcaption>{escape(caption)}</figcaption><img alt="{escape(caption)}" '
                f'src="data:image/svg+xml;base64,{coded}"></figure>'
            )
    for table in section.tables:
        yield from _table(table)
    notes = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in section.notes.items() if text]
    if notes:
        yield f"<dl>{''.join(notes)}</dl>"
    yield "</section>"


def _table(table: Table) -> Iterator[str]:
    groups = [(name, len(list(members))) for name, members in itertools.groupby(group for group, _ in table.headers)]
    above = "".join(f'<th colspan="{count}">{escape(name)}</th>' for name, count in groups)
    names = "".join(_cell(i, name, table, "th") for i, (_, name) in enumerate(table.headers))
    rows = "".join(f"<tr>{''.join(_cell(i, c, table, 'td') for i, c in enumerate(row))}</tr>" for row in table.rows)
    if table.caption:
        yield f"<h3>{escape(table.caption)}</h3>"
    head = (f'<tr class="groups">{above}</tr>' if any(name for name, _ in groups) else "") + f"<tr>{names}</tr>"
    yield f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _cell(column: int, text: str, table: Table, tag: str) -> str:
    return f"<{tag}{' class=text' if column < table.left else ''}>{escape(text)}</{tag}>"
