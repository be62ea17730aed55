"""HTML pages that need no other file: the look that every report of this project shares.

A page is a title and a list of parts, each a string of HTML from the functions below. Text is escaped unless a function
says that it takes HTML. Pages read on light and dark screens and on a phone, where each row of a table becomes a block.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import cv2

from runtime.values import Image

CARDS = 400
"""Pictures that a gallery shows unless told otherwise; something broken has tens of thousands."""

_STYLES = Path(__file__).with_suffix(".css")


def document(title: str, parts: Iterable[str]) -> str:
    """The whole page, its title as heading; ``parts`` are HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{_STYLES.read_text(encoding='utf-8')}</style></head>\n<body>\n"
        + "\n".join([f"<h1>{escape(title)}</h1>", *parts])
        + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """The heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is ``quiet`` for remarks."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def verdict(text: str, parts: Iterable[str], *, good: bool = True) -> str:
    """The answer that the page gives, in a box; ``parts`` are HTML."""
    kind = "verdict" if good else "verdict bad"
    return f'<div class="{kind}"><strong>{escape(text)}</strong>\n' + "\n".join(parts) + "\n</div>"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    head, *body = rows
    cells = [
        "".join(f'<td data-label="{escape(label)}">{escape(cell)}</td>' for label, cell in zip(head, row, strict=True))
        for row in body
    ]
    titles = "".join(f"<th>{escape(label)}</th>" for label in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody><tr>{'</tr><tr>'.join(cells)}</tr></tbody></table>"


def grid(rows: Sequence[Sequence[str]], heat: Sequence[Sequence[float]], caption: str) -> str:
    """A matrix that stays one on a phone.

    Args:
        rows: its cells, with a row of titles first and a title before each row.
        heat: 0 to 1 for each cell that is no title: how strongly it is marked.
        caption: how to read it.
    """
    head, *body = rows
    lines = []
    for (title, *cells), row in zip(body, heat, strict=True):
        styles = [f' style="--heat:{60 * min(warmth, 1) ** 0.5:.0f}%"' if warmth else "" for warmth in row]
        marked = "".join(f"<td{style}>{escape(cell)}</td>" for cell, style in zip(cells, styles, strict=True))
        lines.append(f"<tr><th>{escape(title)}</th>{marked}</tr>")
    titles = "".join(f"<th>{escape(label)}</th>" for label in head)
    return (
        f'<div class="wide"><table class="grid"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def items(lines: Iterable[str], *, safe: bool = False, kind: str = "") -> str:
    """A list, or nothing where there are no lines; with ``safe`` they are HTML."""
    listed = "".join(f"<li>{line if safe else escape(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{listed}</ul>' if listed else ""


def figures(drawings: Mapping[str, str]) -> str:
    """Plots beside each other: caption to SVG."""
    each = (f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in drawings.items())
    return f'<div class="plots">{"".join(each)}</div>'


def gallery(cards: Sequence[str], nothing: str, most: int = CARDS) -> str:
    """Cards beside each other, the first ``most`` of them; or a line that says why there is none."""
    if not cards:
        return paragraph(nothing)
    more = f"<p>The first {most:,} of {len(cards):,}.</p>" if len(cards) > most else ""
    return f'<div class="gallery">{"".join(cards[:most])}</div>{more}'


def card(pixels: Image, title: str, text: str) -> str:
    """A small picture, uint8 gray or BGR, beside HTML; the title is for those who do not see it."""
    return f'<div class="card">{picture(pixels, title)}<div>{text}</div></div>'


def sheet(pixels: Image, title: str) -> str:
    """A picture of many small ones, as wide as the page."""
    return f'<div class="sheet">{picture(pixels, title)}</div>'


def picture(pixels: Image, title: str) -> str:
    """A drawn picture, uint8 gray or BGR, inside the page."""
    return _embedded(cv2.imencode(".png", pixels)[1].tobytes(), "png", title)


def photo(pixels: Image, title: str) -> str:
    """A picture as a camera sees it, uint8 gray or BGR, inside the page."""
    return _embedded(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes(), "jpeg", title)


def _embedded(data: bytes, kind: str, title: str) -> str:
    return f'<img alt="{escape(title)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
