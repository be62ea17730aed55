from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.candidates import REFERENCE
from benchmarks.labels import DRAWN, read_labels
from benchmarks.run import Options, measure, plan_specs
from benchmarks.sessions import FULL, QUICK, Plan
from benchmarks.subjects import Spec
from benchmarks.summary import PERCENTILES, supports
from benchmarks.workers import Worker
from runtime.bundle import load_bundle
from runtime.errors import BackendError, UsageError
from tests.benchmarks.conftest import FakeWorker, Machine, facts

PLAN = Plan(sessions=4, rounds=2, block_ns=1, least=10, most=10, settle=1)
TIMED = Options(("latency", "pipeline"), quick=True, plan=PLAN)


class Starter:
    """Starts fakes that do what their spec wants; may be stopped by the user at one of them."""

    def __init__(self, stop_at: int = -1) -> None:
        self.specs: list[Spec] = []
        self.cores: list[int | None] = []
        self.stop_at = stop_at

    def __call__(self, spec: Spec, workload: Path, core: int | None) -> Worker:
        assert workload.is_file()
        if len(self.specs) == self.stop_at:
            raise KeyboardInterrupt
        self.specs.append(spec)
        self.cores.append(core)
        if spec.kind == "peer":
            raise BackendError(f"{spec.name} is not installed; pip install {spec.name}")
        times = {operation: {"total": 50_000.0} for operation in spec.operations or (REFERENCE,)}
        return FakeWorker(Machine(), times, facts(times))


def test_every_subject_is_started_in_every_session_and_every_sample_is_in_the_report() -> None:
    starter = Starter()
    report, _ = measure(TIMED, start=starter)
    names = [spec.name for spec in plan_specs(TIMED, [(load_bundle(), load_bundle().manifest.artifacts)], 4)]
    assert [spec.name for spec in starter.specs] == names * 4
    assert {series.subject for series in report.series} == set(names)
    for series in report.series:
        assert [[len(block) for block in session] for session in series.sessions_ns] == [[10, 10]] * 4
    assert report.plan == PLAN
    assert report.timeline
    assert [subject.name for subject in report.subjects] == names


def test_one_thread_stays_on_one_core_and_more_do_not() -> None:
    starter = Starter()
    report, _ = measure(replace(TIMED, threads=(1, 2)), start=starter)
    for spec, core in zip(starter.specs, starter.cores, strict=True):
        assert core == (report.core if spec.threads == 1 else None)


def test_what_is_not_installed_is_tried_once_and_named() -> None:
    starter = Starter()
    report, _ = measure(replace(TIMED, peers=True), start=starter)
    peers = [spec.name for spec in starter.specs if spec.kind == "peer"]
    assert peers == ["opencv-dnn", "openvino", "ncnn", "tensorflow"]
    assert [each.subject for each in report.skipped] == peers


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = Starter()
    measure(TIMED, start=whole)
    stopped = Starter(stop_at=len(whole.specs) // 2 + 1)  # in the third session
    with pytest.raises(KeyboardInterrupt):
        measure(TIMED, tmp_path, stopped)
    again = Starter()
    report, steps = measure(TIMED, tmp_path, again)
    assert len(again.specs) == len(whole.specs) // 2
    assert all(len(series.sessions_ns) == 4 for series in report.series)
    steps.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_other_options_does_not_go_on_with_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        measure(TIMED, tmp_path, Starter(stop_at=1))
    with pytest.raises(UsageError, match="an unfinished run with other threads;"):
        measure(replace(TIMED, threads=(2,)), tmp_path, Starter())


def test_a_long_run_is_of_the_default_at_ten_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    starter = Starter()
    report, _ = measure(Options(("size",), sustained=1e-9, plan=PLAN), start=starter)
    assert report.sustained is not None
    assert report.sustained.subject == "edge litert-int8 in litert"
    assert report.sustained.operation == "pipeline, ten digits 640×480"
    assert [spec.operations for spec in starter.specs] == [("pipeline, ten digits 640×480",)]


def test_the_camera_alone_starts_no_worker() -> None:
    report, _ = measure(Options(("camera",), labeled={DRAWN: read_labels(DRAWN)[:2]}), start=Starter(stop_at=0))
    assert report.camera is not None
    assert [run.artifact for run in report.camera.runs] == ["litert-int8"]
    assert report.series == ()


@pytest.mark.parametrize(("plan", "percents"), [(FULL, PERCENTILES), (QUICK, PERCENTILES[:2])])
def test_the_plans_support_the_percentiles_that_they_are_for(plan: Plan, percents: tuple[int, ...]) -> None:
    count = plan.sessions * plan.rounds * plan.most
    assert all(supports(count, percent) for percent in percents)
