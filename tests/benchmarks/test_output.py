from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.output import JsonOutput
from runtime.errors import SinkError


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with JsonOutput(str(path)) as output:
        assert path.read_text() == "old"
        output.write("new µ")
    assert path.read_text(encoding="utf-8") == "new µ"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), JsonOutput(str(path)):
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "report.json", tmp_path):
        with pytest.raises(SinkError, match=f"cannot write --json {path}: .*; name a file in a folder"):
            JsonOutput(str(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_of_one_line() -> None:
    with (
        pytest.raises(SinkError, match="cannot write --json /dev/full: No space left on device; make room"),
        JsonOutput("/dev/full") as output,
    ):
        output.write("x" * 100_000)


def test_a_device_is_written_to_and_not_replaced() -> None:
    with JsonOutput("/dev/null") as output:
        output.write("text")
    assert Path("/dev/null").is_char_device()


def test_a_dash_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonOutput("-") as output:
        output.write("text")
    print("still open")
    assert capsys.readouterr().out == "textstill open\n"
