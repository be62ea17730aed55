"""What a page must be, wherever it is looked at."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "img", "br", "hr", "input", "path", "use", "rect"}


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.outside: list[str] = []
        self.without_text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in _VOID:
            self.open.append(tag)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name in ("src", "href", "xlink:href"):
            target = values.get(name) or ""
            if target and not target.startswith(("data:", "#")):
                self.outside.append(target)
        if tag == "img" and not values.get("alt"):
            self.without_text.append(str(values))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


def check_page(path: Path) -> str:
    """The text of a page that is whole, needs no other file, and has no id twice."""
    text = path.read_text(encoding="utf-8")
    checker = _Checker()
    checker.feed(text)
    assert checker.open == []
    assert checker.outside == []
    assert checker.without_text == []
    assert len(checker.ids) == len(set(checker.ids))
    assert not re.search(r"\bnan\b|\bNone\b", text)
    return text
