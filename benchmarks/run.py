"""A run: which benchmarks, on what, how long; from options to a report."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.camera import Camera, measure_camera
from benchmarks.candidates import (
    Frames,
    choose_artifacts,
    classifier_specs,
    default_artifact,
    load_here,
    peer_specs,
    reference_spec,
    subject_name,
)
from benchmarks.environment import describe_machine
from benchmarks.labels import LabeledPicture
from benchmarks.monitor import Moment, Monitor, measured_core
from benchmarks.progress import Progress
from benchmarks.report import (
    Limits,
    Report,
    describe_model,
    describe_subjects,
    describe_workload,
    join_series,
)
from benchmarks.sessions import FULL, QUICK, Plan, Session, calls_of, run_session
from benchmarks.size import Size, measure_size
from benchmarks.startup import Launch, Startup, measure_startup
from benchmarks.steps import Steps
from benchmarks.subjects import PIPELINE, Spec, make_workload
from benchmarks.sustained import WINDOW_SECONDS, Sustained, measure_sustained
from benchmarks.verdict import FRAME
from benchmarks.workers import ProcessWorker, Worker
from benchmarks.workload import SIZES, drawn_frames
from runtime.bundle import Artifact, Bundle, load_bundle
from runtime.errors import BackendError

TIMED = ("latency", "pipeline")
"""Benchmarks that are made of sessions."""

LOADS = 20
"""Times that each candidate is loaded in a run, at least: enough for a median."""

STARTS, QUICK_STARTS = 20, 6
IDLE_SECONDS, QUICK_IDLE_SECONDS = 20.0, 4.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to be.

    Attributes:
        benchmarks: of ``latency``, ``pipeline``, ``size``, ``memory``, ``startup``, ``camera``.
        models: names or folders of bundles; the first is the one whose defaults are read with.
        artifacts: names; empty for all.
        threads: numbers of threads; frames are read with the first.
        quick: fewer samples.
        peers: measure what others offer, too.
        pythons: by interpreter or peer, the Python of another environment that has it.
        limits: of the verdict.
        sustained: minutes of a long run; 0 for none.
        labeled: folders of labeled pictures, for ``camera``.
        tutorial: read them the tutorials' way, too.
        slower: share by which classifiers are slowed down, for proofs.
        plan: how much is measured; decided by ``quick`` if None.
    """

    benchmarks: tuple[str, ...]
    models: tuple[str, ...] = ("edge",)
    artifacts: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1,)
    quick: bool = False
    peers: bool = False
    pythons: Mapping[str, str] = dataclasses.field(default_factory=dict)
    limits: Limits = dataclasses.field(default_factory=Limits)
    sustained: float = 0.0
    labeled: Mapping[Path, Sequence[LabeledPicture]] = dataclasses.field(default_factory=dict)
    tutorial: bool = False
    slower: float = 0.0
    plan: Plan | None = None


StartWorker = Callable[[Spec, Path, int | None], Worker]


def measure(options: Options, out: Path | None = None, start: StartWorker = ProcessWorker) -> tuple[Report, Steps]:
    """Measure what the options ask for.

    Args:
        options: what.
        out: folder that keeps the steps of a run, so that it can be stopped and gone on with.
        start: makes a worker out of a spec, a workload's file and a core.

    Returns:
        The report, and the steps, to be forgotten once it is written.

    Raises:
        EdgeDigitsError: a model or artifact is missing or damaged, nothing can be measured, ``out`` is another run's.
    """
    chosen = [(bundle, choose_artifacts(bundle, options.artifacts)) for bundle in map(load_bundle, options.models)]
    plan = options.plan or (QUICK if options.quick else FULL)
    core = measured_core()
    environment = describe_machine()
    models = tuple(describe_model(bundle) for bundle, _ in chosen)
    asked = replace(options, labeled={}, pythons=dict(options.pythons))
    same = dataclasses.asdict(asked) | {
        "labeled": sorted(map(str, options.labeled)),
        "model files": [model.manifest_sha256 for model in models],
        "machine": [environment.cpu, environment.kernel, environment.python],
        "packages": dict(environment.packages),
    }
    steps = Steps(out, same)
    if steps.resumed:
        print("going on with the run that was stopped here", file=sys.stderr)
    started = time.monotonic()
    monitor = Monitor(core)
    created = steps.do("created", str, lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    report = Report(created, 0.0, options.quick, options.threads, core, options.limits, environment, (), models, plan)
    if set(TIMED) & set(options.benchmarks) or options.sustained:
        report = _timed(options, chosen, report, monitor, steps, start)
    if {"memory", "startup"} & set(options.benchmarks):
        report = replace(report, startup=steps.do("startup", tuple[Startup, ...], lambda: _startup(options, chosen[0])))
    if "size" in options.benchmarks:
        report = replace(report, size=steps.do("size", Size, lambda: measure_size(chosen)))
    if "camera" in options.benchmarks:
        report = replace(report, camera=steps.do("camera", Camera, lambda: _camera(options, chosen[0])))
    if not monitor.moments:
        monitor.look()
    timeline = report.timeline or tuple(monitor.moments)
    return replace(report, seconds=round(time.monotonic() - started, 1), timeline=timeline), steps


def plan_specs(options: Options, chosen: Sequence[tuple[Bundle, Sequence[Artifact]]], sessions: int) -> list[Spec]:
    """Everything that a session of the run times."""
    latency = "latency" in options.benchmarks
    specs = [reference_spec()]
    for number, (bundle, artifacts) in enumerate(chosen):
        frames = _frames(options) if number == 0 else Frames(each=_frames(options).each)
        specs += classifier_specs(
            *(bundle, artifacts, options.threads),
            latency=latency,
            frames=frames,
            pythons=options.pythons,
            loads=-(-LOADS // sessions) if latency else 1,
        )
    if options.peers:
        specs += peer_specs(chosen[0][0], latency=latency, frames=_frames(options).others, pythons=options.pythons)
    return [replace(spec, slower=options.slower) if spec.kind == "classifier" else spec for spec in specs]


def _frames(options: Options) -> Frames:
    if "pipeline" not in options.benchmarks:
        return Frames()
    names = [frame.name for frame in drawn_frames(SIZES[:1] if options.quick else SIZES)]
    return Frames(tuple(names), (FRAME,), tuple(names[:3]))


def _timed(
    options: Options,
    chosen: Sequence[tuple[Bundle, Sequence[Artifact]]],
    report: Report,
    monitor: Monitor,
    steps: Steps,
    start: StartWorker,
) -> Report:
    assert report.plan is not None
    plan = report.plan
    bundle, artifacts = chosen[0]
    print("drawing pages and cutting crops out of them", file=sys.stderr)
    workload = make_workload(drawn_frames(SIZES[:1] if options.quick else SIZES), bundle)
    specs = plan_specs(options, chosen, plan.sessions)
    timeline: list[Moment] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workload.npz"
        workload.save(path)

        def begin(spec: Spec) -> Worker:
            # More threads than one need more cores than one.
            return start(spec, path, report.core if spec.threads == 1 else None)

        sessions: list[Session] = []
        if set(TIMED) & set(options.benchmarks):
            with Progress(
                " and ".join(b for b in TIMED if b in options.benchmarks), plan.sessions * plan.rounds
            ) as bar:
                for number in range(plan.sessions):
                    wanted = [s for s in specs if not sessions or s.name in sessions[0].facts]
                    calls = calls_of(sessions[0]) if sessions else {}

                    def after_round() -> None:
                        monitor.look()
                        bar.step()

                    def work(
                        wanted: Sequence[Spec] = wanted, number: int = number, calls: Mapping[str, int] = calls
                    ) -> _Step:
                        before = len(monitor.moments)
                        found = run_session(wanted, plan, number, begin, after_round, calls)
                        return _Step(found, tuple(monitor.moments[before:]))

                    step = steps.do(f"session-{number + 1:02}", _Step, work)
                    sessions.append(step.session)
                    timeline += step.moments
        sustained = None
        if options.sustained:
            sustained = steps.do("sustained", Sustained, lambda: _sustained(options, bundle, artifacts, monitor, begin))
    return replace(
        report,
        timeline=tuple(timeline),
        workload=describe_workload(workload),
        subjects=describe_subjects(specs, sessions),
        series=join_series(sessions) if sessions else (),
        skipped=sessions[0].skipped if sessions else (),
        sustained=sustained,
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """A session and the machine meanwhile."""

    session: Session
    moments: tuple[Moment, ...]


def _sustained(
    options: Options,
    bundle: Bundle,
    artifacts: Sequence[Artifact],
    monitor: Monitor,
    begin: Callable[[Spec], Worker],
) -> Sustained:
    artifact = default_artifact(artifacts)
    interpreter = "onnxruntime" if artifact.backend == "onnx" else "litert"
    name = subject_name(bundle.manifest.name, artifact.name, interpreter, options.threads[0])
    operation = f"{PIPELINE}, {FRAME}"
    known = (name, "classifier", (operation,), str(bundle.folder), artifact.name, interpreter, options.threads[0])
    worker = begin(Spec(*known, python=options.pythons.get(interpreter, "")))
    try:
        with Progress("sustained", round(60 * options.sustained / WINDOW_SECONDS)) as bar:
            return measure_sustained(name, worker, operation, options.sustained, monitor, bar.step)
    finally:
        worker.close()


def _startup(options: Options, chosen: tuple[Bundle, Sequence[Artifact]]) -> tuple[Startup, ...]:
    """Start the default precision in each interpreter that is here."""
    bundle, artifacts = chosen
    precision = default_artifact(artifacts).precision
    launches = []
    for artifact in artifacts:
        if artifact.precision == precision:
            for interpreter in (None,) if artifact.backend == "onnx" else ("litert", "tflite-runtime"):
                shown = interpreter or "onnxruntime"
                launches.append(
                    Launch(
                        f"{artifact.name} in {shown}",
                        *(str(bundle.folder), artifact.backend, artifact.precision, interpreter),
                        options.pythons.get(shown, ""),
                    )
                )
    times = QUICK_STARTS if options.quick else STARTS
    with Progress("startup and memory", times * len(launches)) as bar:
        idle = QUICK_IDLE_SECONDS if options.quick else IDLE_SECONDS
        return measure_startup(launches, times, idle, bar.step)


def _camera(options: Options, chosen: tuple[Bundle, Sequence[Artifact]]) -> Camera:
    bundle, artifacts = chosen
    wanted = artifacts if options.artifacts else [default_artifact(artifacts)]
    classifiers = []
    for artifact in wanted:
        try:
            classifiers.append(load_here(bundle, artifact))
        except BackendError as error:
            print(f"skipped: camera with {artifact.name}: {error}", file=sys.stderr)
    if not classifiers:
        raise BackendError("no artifact can read the camera's pictures here; see the lines above")
    return measure_camera(classifiers, options.labeled, tutorial=options.tutorial)
