from __future__ import annotations

import dataclasses

import pytest

from benchmarks.candidates import Skipped
from benchmarks.environment import describe_machine
from benchmarks.latency import CandidateLatency, Latency, LatencySettings
from benchmarks.measure import Plan
from benchmarks.pipeline import FramePipeline, Pipeline
from benchmarks.report import ArtifactInfo, ModelInfo, Report
from benchmarks.size import ArtifactSize, DeviceSize, PackageSize, Size
from benchmarks.tables import WIDTH, render, table


def constant(value: int, rounds: int = 10, calls: int = 100) -> tuple[tuple[int, ...], ...]:
    return ((value,) * calls,) * rounds


@pytest.fixture
def report() -> Report:
    """Long names and a slow device: a Pi Zero's figures."""
    settings = LatencySettings(20, 50, Plan(10, 100, 10))
    slow = CandidateLatency(
        *("litert-float32", "tflite-runtime"),
        *((912_345_678,) * 20, (88_123_456,) * 20, (9_123_456,) * 50),
        {"probabilities": constant(8_765_432), "logits": constant(7_654_321)},
    )
    frame = FramePipeline(
        *("litert-float32", "tflite-runtime", "full page", "f" * 64, 640, 480),
        *(78, 120, 70, 5, 3, 12),
        {"detect": constant(234_567_890), "classify": constant(698_765_432), "total": constant(1_234_567_890)},
    )
    return Report(
        "2026-11-21T00:00:00+00:00",
        *(90.0, False, 1),
        dataclasses.replace(describe_machine(), load_average=(0.0, 0.0, 0.0), governor="", emulation=""),
        ModelInfo("edge", "a" * 64, (ArtifactInfo("litert-float32", "f", "b" * 64, 1, "litert", "float32"),)),
        Latency(settings, 150, "c" * 64, (slow,), (Skipped("onnxruntime", ("onnx-int8",), "not installed; pip …"),)),
        Size(
            (ArtifactSize("litert-float32", "edge-float32.tflite", 1_298_816, 274_997),),
            *(800_000, 200_000),
            (PackageSize("opencv-contrib-python-headless", "5.0.0.93", 159_510_922), PackageSize("apt", "1", 0)),
            (DeviceSize("tflite-runtime", ("numpy",), 298_600_000),),
        ),
        Pipeline(Plan(10, 100, 2), (frame,)),
    )


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(start) and line.split()[-1].endswith("%")]
    return line.split()


def test_columns_are_aligned_under_their_headers() -> None:
    text = table([("", "name"), ("µs", "p50"), ("µs", "p90")], [["a", "1.0", "22.0"], ["long name", "300.0", "4.0"]])
    assert text.splitlines() == [
        "                µs",
        "name         p50   p90",
        "----------------------",
        "a            1.0  22.0",
        "long name  300.0   4.0",
    ]


def test_a_group_wider_than_its_columns_makes_room() -> None:
    text = table([("", "a"), ("a wide group", "b"), ("", "c")], [["1", "2", "3"]])
    header, names, rule, figures = text.splitlines()
    assert header == "   a wide group"
    assert names.index("b") == figures.index("2") == header.index("p")
    assert len(rule) == len(figures)


def test_every_line_fits_the_terminal_even_with_a_slow_devices_figures(report: Report) -> None:
    assert max(map(len, render(report).splitlines())) <= WIDTH


def test_the_figures_stand_in_the_units_of_their_headers(report: Report) -> None:
    text = render(report)
    assert row(text, "litert-float32") == [
        *("litert-float32", "tflite-runtime", "912", "88,123", "9,123", "8,765", "8,765", "8,765", "7,654", "0%")
    ]
    assert row(text, "full page") == [
        *("full", "page", "70", "of", "78", "5", "12", "120", "235", "699", "1,235", "1,235", "1,235", "0%")
    ]
    assert "1,298,816" in text
    assert "159.5" in text


def test_a_percentile_that_the_count_does_not_support_is_a_dash(report: Report) -> None:
    assert report.latency is not None
    (slow,) = report.latency.candidates
    few = dataclasses.replace(
        slow, steady_ns={"probabilities": constant(5_000, 5, 20), "logits": constant(5_000, 1, 19)}
    )
    text = render(dataclasses.replace(report, latency=dataclasses.replace(report.latency, candidates=(few,))))
    assert row(text, "litert-float32")[5:9] == ["5.0", "5.0", "–", "–"]


def test_a_steady_run_raises_no_doubt(report: Report) -> None:
    assert "note:" not in render(report)


def test_a_restless_run_says_so_and_by_how_much(report: Report) -> None:
    assert report.pipeline is not None
    (frame,) = report.pipeline.frames
    # Medians 100, 100, …, 130, 130: the spread is 30 %.
    restless = (*constant(100, rounds=6), *constant(130, rounds=4))
    frame = dataclasses.replace(frame, stages_ns=dict(frame.stages_ns) | {"total": restless})
    text = render(dataclasses.replace(report, pipeline=dataclasses.replace(report.pipeline, frames=(frame,))))
    assert row(text, "full page")[-1] == "30%"
    assert "note: unstable: blocks of 1 row differ by more than 10% (up to 30%, full page" in text


def test_what_was_skipped_is_named_with_its_reason(report: Report) -> None:
    assert "skipped: onnx-int8 in onnxruntime: not installed; pip …" in render(report)


def test_only_what_was_measured_is_shown(report: Report) -> None:
    text = render(dataclasses.replace(report, latency=None, pipeline=None))
    assert "Latency" not in text
    assert "Pipeline" not in text
    assert text.startswith("machine")
