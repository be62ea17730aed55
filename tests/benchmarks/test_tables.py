from __future__ import annotations

from benchmarks.tables import WIDTH, Section, Table, markdown_table, text_notes, text_table, to_markdown, to_text

TABLE = Table((("", "name"), ("µs", "p50"), ("µs", "p90")), (("a|b", "1.0", "22.0"), ("long name", "300.0", "4.0")))


def test_columns_are_aligned_under_their_headers() -> None:
    assert text_table(TABLE).splitlines() == [
        "                µs",
        "name         p50   p90",
        "----------------------",
        "a|b          1.0  22.0",
        "long name  300.0   4.0",
    ]


def test_a_group_wider_than_its_columns_makes_room() -> None:
    text = text_table(Table((("", "a"), ("a wide group", "b"), ("", "c")), (("1", "2", "3"),)))
    header, names, rule, figures = text.splitlines()
    assert header == "   a wide group"
    assert names.index("b") == figures.index("2")
    assert len(rule) == len(figures)


def test_groups_after_a_wide_one_stay_above_their_columns() -> None:
    headers = (("", "a"), ("a wide group", "b"), ("a wide group", "c"), ("next", "d"), ("next", "e"))
    header, names, *_ = text_table(Table(headers, (("1", "2", "3", "44444", "55555"),))).splitlines()
    assert names.index("d") - 4 <= header.index("next") <= names.index("e")


def test_a_table_in_markdown_names_groups_and_keeps_bars_inside_cells() -> None:
    assert markdown_table(TABLE).splitlines() == [
        "| name | µs p50 | µs p90 |",
        "| --- | ---: | ---: |",
        "| a\\|b | 1.0 | 22.0 |",
        "| long name | 300.0 | 4.0 |",
    ]


def test_notes_are_wrapped_under_themselves_and_empty_ones_left_out() -> None:
    text = text_notes({"one": "word " * 40, "longer": "short", "none": ""})
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[1].startswith(" " * 8 + "word")
    assert lines[-1] == "longer  short"


def test_a_section_has_everything_in_both_forms() -> None:
    warned = Section("Title", ("a line",), (TABLE,), {"name": "what it is"}, ("beware",))
    text, markdown = to_text([warned]), to_markdown([warned])
    for words in ("Title", "a line", "long name", "what it is", "note: beware"):
        assert words in text
    for words in ("## Title", "- a line", "| long name |", "- *name*: what it is", "> **Note:** beware"):
        assert words in markdown


def test_nothing_is_wider_than_the_terminal() -> None:
    long = Section("T", ("word " * 60,), (), {"n": "word " * 60}, ("word " * 60,))
    assert max(map(len, to_text([long]).splitlines())) <= WIDTH
