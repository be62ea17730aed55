from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks.camera import Camera, CameraRun
from benchmarks.candidates import REFERENCE
from benchmarks.graph import Graph
from benchmarks.matching import Mistake, PictureScore
from benchmarks.monitor import Moment
from benchmarks.report import Report, SubjectInfo
from benchmarks.sections import sections
from benchmarks.sessions import Plan, Skipped
from benchmarks.size import ArtifactSize, DeviceSize, PackageSize, Size
from benchmarks.startup import Start, Startup
from benchmarks.sustained import Sustained, Window
from benchmarks.tables import WIDTH, to_markdown, to_text
from tests.benchmarks.conftest import Machine, facts, simulate, usual_times


def whole(report: Report) -> Report:
    """With something in every part."""
    picture = PictureScore(
        "a.jpg", "pen", ("clean",), False, 2, 2, 1, 3, 1, 0, (Mistake("wrong", "a.jpg", (1, 2, 3, 4), "7", "1", 0.9),)
    )
    start = Start(
        (13_000_000, 220_000_000, 16_000_000, 26_000_000), (61_000_000, 74_000_000, 89_000_000), 89_500_000, 10, 0.071
    )
    moment = Moment(0.0, 2400, 48.5, 0, 0.1, 7_000_000_000, 0.0)
    return replace(
        report,
        skipped=(Skipped("ncnn", "ncnn is not installed; pip install ncnn pnnx"),),
        size=Size(
            (
                ArtifactSize(
                    "edge", "litert-float32", "f.tflite", 1_298_816, 274_997, Graph(2_206_656, 316_600, 31_232)
                ),
            ),
            *(800_000, 200_000),
            (PackageSize("opencv-contrib-python-headless", "5.0.0.93", 159_510_922), PackageSize("apt", "1", 0)),
            (DeviceSize("tflite-runtime", ("numpy",), 298_600_000),),
        ),
        startup=(Startup("litert-float32 in tflite-runtime", (start,) * 20),),
        sustained=Sustained(
            "edge litert-int8 in litert",
            "pipeline, ten digits 640×480",
            (Window(0.0, (2_000_000,) * 20, moment), Window(600.0, (3_000_000,) * 20, replace(moment, celsius=82.0))),
        ),
        camera=Camera((CameraRun("frames", "pipeline", "litert-int8", (picture,)),)),
    )


def slow(report: Report) -> Report:
    """A Pi Zero's figures, long names, and peers."""
    times = usual_times(int8=8_765_432, float32=98_765_432, detect=734_567_890)
    times["tensorflow"] = {"tf.function, XLA": {"total": 123_456_789}, "Keras predict": {"total": 3_456_789_012}}
    times["Tesseract"] = {"Tesseract, ten digits 640×480": {"total": 9_876_543_210}}
    run = simulate(Machine(), {name.replace("in litert", "in tflite-runtime"): each for name, each in times.items()})
    peer = SubjectInfo("tensorflow", "peer", "", "", "tensorflow", 1, "2.21.0", "", True, (), (), (), {})
    other = SubjectInfo(
        "Tesseract", "tesseract", "", "", "", 1, "", "", True, (), (), (), facts(times["Tesseract"])["read"]
    )
    kept = [s for s in run.subjects if s.name not in ("tensorflow", "Tesseract")]
    return whole(replace(run, subjects=(*kept, peer, other), environment=report.environment))


def section(report: Report, start: str) -> str:
    (found,) = [each for each in sections(report) if each.title.startswith(start)]
    return to_text([found])


def row(text: str, *start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.split()[: len(start)] == list(start)]
    return line.split()


def test_every_line_fits_the_terminal_even_with_a_slow_devices_figures(report: Report) -> None:
    for each in (whole(report), slow(report)):
        text = to_text(sections(each))
        assert [line for line in text.splitlines() if len(line) > WIDTH] == []


def test_the_verdict_comes_first(report: Report) -> None:
    first, *_ = sections(whole(report))
    assert first.title == "Verdict"
    assert first.lines[0].startswith("Ship litert-int8")
    assert first.warnings == ("skipped: ncnn: ncnn is not installed; pip install ncnn pnnx",)


def test_only_what_was_measured_is_shown(report: Report) -> None:
    titles = [each.title for each in sections(replace(report, series=(), subjects=(), size=whole(report).size))]
    assert titles == ["Machine", "Size"]


def test_the_figures_stand_in_the_units_of_their_headers(report: Report) -> None:
    text = section(slow(report), "One digit")
    cells = row(text, "litert-int8", "tflite-runtime", "XNNPACK")
    invoke, bare, p50, _, p90, _, outlying, share = cells[3:]
    assert [round(float(cell) / 8.765, 1) for cell in (invoke, bare, p50, p90)] == [0.7, 0.8, 1.0, 1.0]
    assert outlying == "0"
    assert share.endswith("%")


def test_a_percentile_that_the_count_does_not_support_is_a_dash(report: Report) -> None:
    few = simulate(Machine(), plan=Plan(sessions=4, rounds=1, block_ns=1, least=5, most=5, settle=0))
    cells = row(section(few, "One digit"), "litert-int8", "litert", "XNNPACK")
    assert cells[7:9] == ["–", "–"]
    assert cells[5] != "–"


def test_frames_are_told_with_what_was_read_of_them(report: Report) -> None:
    text = section(report, "Whole frames")
    cells = row(text, "full", "page", "640×480", "9/10")
    assert cells[3:7] == ["9/10", "1", "2", "12"]
    detect, classify = map(float, cells[8:10])
    assert detect == pytest.approx(2.0, rel=0.05)
    assert classify == pytest.approx(0.85 * 78 * 0.024, rel=0.05)
    assert "blur + Otsu" in text


def test_finding_and_classifying_are_added(report: Report) -> None:
    tables = [table for each in sections(report) for table in each.tables]
    (table,) = [table for table in tables if table.caption.startswith("Without choosing") and "int8" in table.caption]
    (cells,) = [cells for cells in table.rows if cells[0] == "full page 640×480"]
    assert float(cells[1]) == pytest.approx(2.0 + 0.85 * 78 * 0.024, rel=0.05)
    assert cells[-1] == "–"  # 800 calls


def test_peers_are_held_against_the_best(report: Report) -> None:
    text = section(slow(report), "Others")
    assert row(text, "tensorflow", "Keras")[3:5] == ["3.45", "s"]
    assert re.search(r"tensorflow +tf.function, XLA .* 17\.[5-7] × ", text)


def test_a_restless_run_says_so_and_by_how_much() -> None:
    restless = simulate(Machine(seed=1, block=0.12))
    text = to_text(sections(restless))
    assert "note: unstable: blocks of 2 rows differ by more than 10%" in text
    assert "close other programs" in text


def test_a_steady_run_raises_no_doubt(report: Report) -> None:
    assert "note:" not in to_text(sections(report))


def test_heat_is_told_with_its_share(report: Report) -> None:
    text = section(whole(report), "Sustained")
    assert "2.00 ms at first, 3.00 ms kept up (+50%)" in " ".join(text.split())
    assert "from 48 °C to 82 °C" in text


def test_start_and_memory_are_told_step_by_step(report: Report) -> None:
    text = section(whole(report), "Starting up")
    lines = [line.split() for line in text.splitlines() if line.startswith("litert-float32")]
    assert lines[0][-5:] == ["13.0", "220", "16.0", "26.0", "275"]
    assert lines[1][-5:] == ["61", "74", "89", "90", "7.1%"]


def test_several_models_are_told_apart(report: Report) -> None:
    micro = [replace(s, name=s.name.replace("edge", "micro"), model="micro") for s in report.subjects]
    two = replace(
        report,
        models=(*report.models, replace(report.models[0], name="micro")),
        subjects=(*report.subjects, *micro),
        series=(*report.series, *(replace(s, subject=s.subject.replace("edge", "micro")) for s in report.series)),
    )
    text = section(two, "One digit")
    assert text.index("edge: Steady state") < text.index("micro: Steady state")


def test_markdown_has_every_section(report: Report) -> None:
    found = sections(whole(report))
    text = to_markdown(found)
    assert [line for line in text.splitlines() if line.startswith("## ")] == [f"## {each.title}" for each in found]


def test_the_reference_work_is_in_no_table(report: Report) -> None:
    assert REFERENCE not in section(report, "One digit")
    assert REFERENCE not in section(report, "Whole frames")
