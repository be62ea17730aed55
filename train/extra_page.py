"""What the user's own digits brought, as a table and as a page."""

from __future__ import annotations

from html import escape

from train import page
from train.data import LABELS
from train.extra import ExtraResult, f1


def extra_table(found: ExtraResult) -> list[list[str]]:
    """Before and after on each set."""
    rows = [["measured on", "n", "before (95 %)", "after (95 %)", "gained", "lost", "p"]]
    for each in (found.own, found.mnist):
        counts = [f"{each.gained:,}", f"{each.lost:,}", f"{each.p:.2g}"]
        rows.append([each.name, f"{each.before.of:,}", str(each.before), str(each.after), *counts])
    before, after = found.frames
    rows.append(
        ["rendered frames, F1 of digits", f"{before.shown:,}", f"{f1(before):.3f}", f"{f1(after):.3f}", "", "", ""]
    )
    return rows


def extra_page(found: ExtraResult) -> str:
    """The page: whether it is better, the figures, and every held-back picture with both answers."""
    note = f"{found.trained:,} pictures were learned, {len(found.held.labels):,} held back. No model was replaced."
    cards = [
        page.card(
            image,
            f"a {LABELS[truth]}",
            f"<p>{escape(origin)}</p><p>before {_answer(int(before), int(truth))}</p>"
            f"<p>after {_answer(int(after), int(truth))}</p>",
        )
        for image, truth, origin, before, after in zip(
            found.held.images, found.held.labels, found.held.origins, *found.answers, strict=True
        )
    ]
    parts = [
        page.verdict(found.verdict, [page.paragraph(note)], good=found.better),
        page.heading("Before and after"),
        page.table(extra_table(found)),
        page.heading("Your digits that were held back"),
        page.gallery(cards, "None were held back."),
    ]
    return page.document(f"Learning {found.name}", parts)


def _answer(answer: int, truth: int) -> str:
    kind = "gained" if answer == truth else "lost"
    return f'<span class="{kind}">{LABELS[answer]}</span>'
