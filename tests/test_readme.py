"""What README tells users to type works, and the figures it shows are those of the shipped bundle."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.render import RESULTS, renew
from runtime.bundle import load_bundle
from runtime.pages import draw_page

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for _, block in BLOCKS
        for line in block.splitlines()
        if line.startswith(("python -m ", "make "))
    }
)


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module as README does, from another folder and with no display."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("python")])
def test_every_option_that_readme_names_is_explained_by_help(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    done = run("-m", words[2], "--help", folder=tmp_path)
    assert done.returncode == 0
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", done.stdout), f"{words[2]} --help does not explain {option}"


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make")])
def test_every_make_target_that_readme_names_exists(command: str) -> None:
    target = shlex.split(command)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_a_photo_is_read_and_marked_as_readme_shows(tmp_path: Path) -> None:
    page = draw_page(["407", "1985"], (640, 480), np.random.default_rng(5))
    cv2.imwrite(str(tmp_path / "photo.jpg"), page.pixels)
    done = run("-m", "runtime.image", "photo.jpg", "--annotate", "marked", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "407" in done.stdout
    assert "1985" in done.stdout
    assert len(list((tmp_path / "marked").iterdir())) == 1


def test_a_video_becomes_an_annotated_video_as_readme_shows(tmp_path: Path) -> None:
    page = draw_page(["407"], (320, 240), np.random.default_rng(5))
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (320, 240))
    for _ in range(5):
        writer.write(page.pixels)
    writer.release()
    done = run("-m", "runtime.camera", "--source", "clip.mp4", "--record", "read.mkv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert cv2.VideoCapture(str(tmp_path / "read.mkv")).get(cv2.CAP_PROP_FRAME_COUNT) == 5


def test_the_lines_of_python_run(tmp_path: Path) -> None:
    (code,) = [block for language, block in BLOCKS if language == "python"]
    done = run("-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[5].startswith("['")


def test_the_parity_table_is_that_of_the_shipped_bundle() -> None:
    manifest = load_bundle("edge").manifest
    parities = {parity["artifact"]: parity for parity in manifest.provenance["parity"]}
    for artifact in manifest.artifacts:
        test, parity = artifact.metrics["mnist_test"], parities[artifact.name]
        low, high = test["interval95"]
        row = (
            f"| {artifact.name} | {artifact.bytes / 1000:.1f} kB | {test['accuracy']:.2%} ({low:.2%}–{high:.2%}) "
            f"| {parity['disagreement']:.3%} | {parity['drop_bound']:.3%} |"
        )
        assert row in README


def test_the_benchmarks_tables_are_those_of_the_committed_reports() -> None:
    machines = re.findall(r"<!-- benchmarks ([\w/.-]+) -->", README)
    assert machines
    missing = [machine for machine in machines if not (RESULTS / machine / "report.json").is_file()]
    if missing:
        pytest.skip(f"no report is committed yet of {', '.join(missing)}")
    assert renew(README) == README


def test_the_committed_parity_report_is_of_the_shipped_bundle_and_says_ship() -> None:
    folder = ROOT / "models" / "edge"
    report = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    manifest = load_bundle("edge").manifest
    assert {a["name"]: a["sha256"] for a in report["artifacts"]} == {a.name: a.sha256 for a in manifest.artifacts}
    verified = {c["artifact"]: c["disagreement"] for c in report["comparisons"] if c["set"] == "gate"}
    exported = {parity["artifact"]: parity["disagreement"] for parity in manifest.provenance["parity"]}
    assert verified == pytest.approx(exported)
    assert report["ship"] is True
    assert "**Ship it" in (folder / "parity.md").read_text(encoding="utf-8")


def test_the_configuration_of_the_service_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "service.toml").write_text(toml.replace('"0"', '"gone.mp4"').replace("/var/lib", str(tmp_path)))
    done = run("-m", "runtime.camera", "--config", "service.toml", folder=tmp_path)
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"].startswith("cannot open gone.mp4")
    assert done.returncode == 1
    unit = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert unit
    assert "-m runtime.camera --config" in unit[1]
