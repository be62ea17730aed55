from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.clips import Clip, ClipFrame
from export.formats import FORMATS
from export.parity import Parities
from export.report import SCHEMA
from export.verify import main
from runtime.pages import draw_page
from train.data import Mnist

ROOT = Path(__file__).resolve().parents[2]


def clip(name: str, load: object, cache: object) -> Clip:
    """Three times the same page."""
    page = draw_page(["407"], (320, 240), np.random.default_rng(5))
    return Clip(name, 3, [ClipFrame(page.pixels[:, :, 1], page.digits)] * 3, moving=name == "demo")


@pytest.fixture(scope="module")
def folder(exported: tuple[Path, Parities]) -> Path:
    return exported[0]


@pytest.fixture(scope="module")
def ran(folder: Path, drawn: Mnist, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """Exit code, standard output and the report's folder of a run over everything."""
    out, stdout = tmp_path_factory.mktemp("report") / "new", io.StringIO()
    arguments = ["--model", str(folder), "--gate-count", "300", "--out", str(out)]
    code = main(arguments, load=lambda _: drawn, clip=clip, stdout=stdout)
    return code, stdout.getvalue(), out


@pytest.fixture(scope="module")
def values(ran: tuple[int, str, Path]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ran[2] / "parity.json").read_text(encoding="utf-8"))
    return found


class TestTheReport:
    def test_the_code_says_whether_a_limit_is_broken(self, ran: tuple[int, str, Path], values: dict[str, Any]) -> None:
        assert ran[0] == (1 if values["breaches"] else 0)
        assert values["ship"] == (not values["breaches"])

    def test_the_tables_name_every_file_on_every_set(self, ran: tuple[int, str, Path]) -> None:
        for name in FORMATS:
            beside = name in ("onnx-float32", "onnx-int8")  # LiteRT's, in the table of kernels
            assert len(re.findall(rf"^  {name}  ", ran[1], re.MULTILINE)) == 5 + beside
            assert re.search(rf"^  {name} without XNNPACK  ", ran[1], re.MULTILINE) or name.startswith("onnx")
        assert "gate, 300 images\n" in ran[1]
        assert "mnist, 100 images (reported only)\n" in ran[1]
        assert "none, 60 images\n" in ran[1]
        assert "demo, 3 frames\n" in ran[1]
        assert "frames, 3 frames\n" in ran[1]

    def test_the_json_has_its_version_and_every_figure(self, values: dict[str, Any], folder: Path) -> None:
        assert values["schema"] == SCHEMA == 2
        assert values["reference"] == "keras"
        assert [each["name"] for each in values["artifacts"]] == list(FORMATS)
        assert len(values["comparisons"]) == 3 * len(FORMATS)
        for each in values["comparisons"]:
            low, high = each["interval"]
            assert low < each["accuracy"] <= high
            assert set(each["recall_change"]) == ({"none"} if each["set"] == "none" else set("0123456789"))
            assert set(each["probability"]) == {"median", "p99", "largest"}
        assert [each["layer"] for each in values["layers"] if each["layer"]] == [1, 2, 3, 4, 5, 6]
        assert [each["layer"] for each in values["repairs"]] == [0, 1, 2, 3, 4, 5, 6]
        manifest = json.loads((folder / "manifest.json").read_text())
        assert values["calibration"] == manifest["provenance"]["calibration"]

    def test_where_nothing_is_held_to_a_limit_it_does_not_say_to_ship(
        self, folder: Path, drawn: Mnist, tmp_path: Path
    ) -> None:
        stdout = io.StringIO()
        arguments = ["--model", str(folder), "--sets", "mnist", "--out", str(tmp_path)]
        assert main(arguments, load=lambda _: drawn, clip=clip, stdout=stdout) == 0
        assert "Nothing was held to a limit: what was asked is only reported." in stdout.getvalue()
        assert json.loads((tmp_path / "parity.json").read_text())["ship"] is False

    def test_two_runs_write_the_same(
        self, ran: tuple[int, str, Path], folder: Path, drawn: Mnist, tmp_path: Path
    ) -> None:
        main(
            ["--model", str(folder), "--gate-count", "300", "--out", str(tmp_path)],
            load=lambda _: drawn,
            clip=clip,
            stdout=io.StringIO(),
        )
        for name in ("parity.json", "parity.md", "parity.html"):
            assert (tmp_path / name).read_bytes() == (ran[2] / name).read_bytes()

    def test_the_markdown_holds_a_well_formed_table_for_each_set(self, ran: tuple[int, str, Path]) -> None:
        lines = (ran[2] / "parity.md").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "# Parity of some"
        widths = []
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith("|"):
                widths.append(line.count("|"))
                if not after.startswith("|"):
                    assert len(set(widths)) == 1
                    assert len(widths) >= 2
                    widths = []

    def test_the_page_is_well_formed_and_needs_no_other_file(self, ran: tuple[int, str, Path]) -> None:
        text = (ran[2] / "parity.html").read_text(encoding="utf-8")
        checker = _Checker()
        checker.feed(text)
        assert checker.open == []
        assert checker.addresses  # pictures, all of them inside
        assert all(address.startswith(("data:", "#")) for address in checker.addresses)
        assert len(checker.ids) == len(set(checker.ids))
        assert text.count("<svg") == 3
        assert "prefers-color-scheme: dark" in text
        assert 'name="viewport"' in text

    def test_every_flip_has_its_card(self, ran: tuple[int, str, Path], values: dict[str, Any]) -> None:
        text = (ran[2] / "parity.html").read_text(encoding="utf-8")
        for flip in values["flips"]:
            assert f"{flip['set']} {flip['index']}: a <b>{flip['truth']}</b>" in text


class _Checker(HTMLParser):
    """Which elements are still open, and what the page points to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class TestTheCommand:
    def test_it_prints_json_alone_and_a_line_for_each_broken_limit_on_stderr(
        self, folder: Path, drawn: Mnist, capsys: pytest.CaptureFixture[str]
    ) -> None:
        blank = Mnist(**{name: getattr(drawn, name) for name in Mnist.__slots__} | {"test_labels": drawn.test_labels})
        arguments = ["--model", str(folder), "--gate-count", "100", "--sets", "gate", "--reference", "onnx", "--json"]
        code = main(arguments, load=lambda _: blank)
        out, err = capsys.readouterr()
        values = json.loads(out)
        assert (values["reference"], values["replays"]) == ("onnx", [])
        assert [line for line in err.splitlines() if line.startswith("broken: ")] == [
            f"broken: {line}" for line in values["breaches"]
        ]
        assert code == (1 if values["breaches"] else 0)

    def test_a_broken_file_ends_with_1_and_its_name(
        self, folder: Path, drawn: Mnist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        copy = tmp_path / "some"
        copy.mkdir()
        for path in folder.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        (copy / "some-int8.onnx").write_bytes(b"nothing")
        report = tmp_path / "report"
        arguments = ["--model", str(copy), "--gate-count", "100", "--sets", "gate", "--reference", "onnx"]
        assert main([*arguments, "--out", str(report)], load=lambda _: drawn) == 1
        out, err = capsys.readouterr()
        (line,) = [line for line in err.splitlines() if line.startswith("broken: onnx-int8")]
        assert "was altered" in line
        assert "Do not ship" in out
        assert "was altered" in (report / "parity.html").read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["--sets", "gate,photos"], 2, "--sets is 'gate,photos'"),
            (["--sets", ""], 2, "expected a list with commas of gate, none, mnist, demo, frames"),
            (["--gate-count", "99"], 2, "--gate-count is 99"),
            (["--model", "nowhere"], 1, "no model nowhere"),
        ],
    )
    def test_what_cannot_work_is_one_line(
        self, arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1
        assert err.startswith("error: ")
        assert text in err

    def test_a_folder_that_cannot_be_written_is_one_line(
        self, folder: Path, drawn: Mnist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").touch()
        arguments = ["--model", str(folder), "--sets", "demo", "--reference", "onnx", "--out", str(tmp_path / "file")]
        assert main(arguments, load=lambda _: drawn, clip=clip) == 1
        assert f"cannot write {tmp_path / 'file'}" in capsys.readouterr().err

    def test_with_the_onnx_reference_it_runs_where_no_tensorflow_is(self, folder: Path, tmp_path: Path) -> None:
        script = f"""
import sys
for name in ("tensorflow", "keras", "onnx", "tf2onnx", "matplotlib"):
    sys.modules[name] = None  # importing it is an ImportError, as where it is not installed
from export.verify import main
from tests.mnist import drawn_digits
from tests.export.test_verify_command import clip
code = main(
    ["--model", {str(folder)!r}, "--gate-count", "100", "--reference", "onnx"],
    load=lambda _: drawn_digits(), clip=clip,
)
print("ended with", code)
"""
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^ended with [01]$", done.stdout, re.MULTILINE)
        assert "Traceback" not in done.stderr

    def test_help_loads_no_tensorflow(self) -> None:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "export.verify", "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0
        assert not re.search(r"\b(tensorflow|keras|onnx|matplotlib)$", done.stderr, re.MULTILINE)
        for option in ("--model", "--reference", "--sets", "--data", "--gate-count", "--out", "--json"):
            assert option in done.stdout
