from __future__ import annotations

import base64
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import render
from benchmarks.render import main, readme_part, renew, write_report
from benchmarks.report import Report, read_report, to_json
from runtime.errors import DataError
from tests.benchmarks.test_sections import slow, whole

MARKED = "before\n<!-- benchmarks here -->\nold\n<!-- /benchmarks -->\nafter\n"


def results(tmp_path: Path, report: Report) -> Path:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "report.json").write_text(to_json(report), encoding="utf-8")
    return tmp_path


def test_a_folder_gets_json_markdown_and_a_page(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = write_report(whole(report), tmp_path)
    assert [path.name for path in written] == ["report.json", "report.md", "report.html"]
    assert read_report(written[0]) == whole(report)
    assert written[1].read_text(encoding="utf-8").startswith("# Reading digits on ")


def test_the_page_needs_no_other_file_and_shows_every_drawing(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    *_, path = write_report(slow(report), tmp_path)
    page = path.read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in re.sub(r"data:[^\"]+", "", page)
    drawings = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(drawings) == 6  # time line, latency, frames, peers, accuracy for size, heat
    for coded in drawings:
        svg = base64.b64decode(coded).decode()
        assert ET.fromstring(svg).tag.endswith("svg")
        assert "prefers-color-scheme:dark" in svg
        assert "currentColor" in svg


def test_what_is_no_tag_is_escaped(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    odd = replace(report, environment=replace(report.environment, cpu="<b>&CPU"))
    *_, path = write_report(odd, tmp_path)
    assert "&lt;b&gt;&amp;CPU" in path.read_text(encoding="utf-8")


def test_without_matplotlib_the_page_is_left_out_and_said(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert [path.name for path in write_report(report, tmp_path)] == ["report.json", "report.md"]
    assert capsys.readouterr().err == (
        'skipped: report.html: matplotlib is not installed; pip install "edge-digits[report]"\n'
    )


def test_parts_between_marks_are_made_anew_and_nothing_else(report: Report, tmp_path: Path) -> None:
    folder = results(tmp_path, report)
    once = renew(MARKED, folder)
    assert once.startswith("before\n<!-- benchmarks here -->\n")
    assert once.endswith("<!-- /benchmarks -->\nafter\n")
    assert "old" not in once
    assert renew(once, folder) == once
    assert renew("no marks", folder) == "no marks"


def test_a_mark_without_a_report_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"python -m benchmarks all --out .*here measures it"):
        renew(MARKED, tmp_path)


def test_the_readmes_part_tells_speed_size_accuracy_and_how(report: Report) -> None:
    text = readme_part(report)
    rows = [line for line in text.splitlines() if line.startswith("| edge litert-int8")]
    assert len(rows) == 1
    assert "litert 2.3.0, XNNPACK" in rows[0]
    assert "| 90.0 kB | 99.68% |" in rows[0]
    assert "medians with 95 % intervals, 1 thread" in text
    assert re.search(r"\| blur \+ Otsu \|.* (ms|µs), 9 of 10 right", text)
    assert "- Ship litert-int8" in text


def test_the_command_shows_a_report_again(report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results(tmp_path, report) / "here" / "report.json"
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.startswith("Verdict\n=======\n")


def test_the_command_renews_a_file(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = results(tmp_path, report)
    monkeypatch.setattr(render, "RESULTS", folder)
    monkeypatch.setattr(render.renew, "__defaults__", (folder,))
    readme = tmp_path / "README.md"
    readme.write_text(MARKED, encoding="utf-8")
    assert main(["--readme", str(readme)]) == 0
    assert "litert-int8" in readme.read_text(encoding="utf-8")


def test_a_file_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--readme", "/absent/README.md"]) == 1
    assert main(["/absent/report.json"]) == 1
    assert capsys.readouterr().err.count("\n") == 2
