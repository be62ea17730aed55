"""What the tests of the benchmarks share: machines that are as noisy as one says, and reports of them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import pytest

from benchmarks.candidates import REFERENCE
from benchmarks.environment import Environment, describe_machine
from benchmarks.monitor import Moment
from benchmarks.report import (
    ArtifactInfo,
    FrameInfo,
    Limits,
    ModelInfo,
    Report,
    WorkloadInfo,
    describe_subjects,
    join_series,
)
from benchmarks.sessions import Plan, run_session
from benchmarks.subjects import Spec
from benchmarks.verdict import FRAME
from benchmarks.workers import Block

MODEL = ModelInfo(
    "edge",
    "a" * 64,
    (
        ArtifactInfo("litert-int8", "int8.tflite", "b" * 64, 90_000, "litert", "int8", 0.9968, 0.9955, 0.9977),
        ArtifactInfo("litert-float32", "float.tflite", "c" * 64, 320_000, "litert", "float32", 0.997, 0.9957, 0.998),
    ),
)

PLAN = Plan(sessions=10, rounds=4, block_ns=40_000_000, least=2, most=20, settle=1)

FRAMES = (
    FrameInfo("blank page 640×480", "d" * 64, 640, 480, 0),
    FrameInfo(FRAME, "e" * 64, 640, 480, 10),
    FrameInfo("full page 640×480", "f" * 64, 640, 480, 78),
)


@dataclass
class Machine:
    """A machine with moods: drift from round to round, luck of each process, restless blocks, slow calls.

    Attributes:
        seed: of chance.
        speed: time of everything, as a share of what it is.
        drift: standard deviation of a random walk from block to block that hits everything.
        process: standard deviation of what a process has by luck, as a logarithm.
        block: of a block likewise.
        call: of a call.
        slow: share of the calls that take three times as long.
        busy: share of the blocks that other programs interrupt: they take three times as long.
    """

    seed: int = 0
    speed: float = 1.0
    drift: float = 0.0
    process: float = 0.0
    block: float = 0.0
    call: float = 0.02
    slow: float = 0.0
    busy: float = 0.0
    _mood: float = 0.0
    _chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def luck(self) -> float:
        """Of a new process."""
        return math.exp(self._chance.gauss(0, self.process))

    def interrupted(self) -> bool:
        """Whether another program is at work."""
        return self._chance.random() < self.busy

    def samples(self, nanoseconds: float, count: int) -> list[int]:
        """A block of calls."""
        self._mood += self._chance.gauss(0, self.drift)
        level = self.speed * math.exp(self._mood + self._chance.gauss(0, self.block)) * nanoseconds
        return [
            round(level * math.exp(self._chance.gauss(0, self.call)) * (3 if self._chance.random() < self.slow else 1))
            for _ in range(count)
        ]


class FakeWorker:
    """A subject that takes as long as one says: by operation and stage, nanoseconds."""

    def __init__(self, machine: Machine, times: Mapping[str, Mapping[str, float]], facts: Mapping[str, Any]) -> None:
        self.facts, self.operations = facts, tuple(times)
        self._machine, self._times, self._luck = machine, times, machine.luck()
        self.calls: list[tuple[str, int, int]] = []
        self.closed = 0

    def run(self, operation: str, calls: int, settle: int) -> Block:
        self.calls.append((operation, calls, settle))
        samples = {
            stage: self._machine.samples(self._luck * nanoseconds, calls)
            for stage, nanoseconds in self._times[operation].items()
        }
        if self._machine.interrupted():
            return Block({stage: [3 * ns for ns in times] for stage, times in samples.items()}, 0.33)
        return Block(samples, 0.99)

    def close(self) -> None:
        self.closed += 1


Times: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By subject, operation and stage, nanoseconds."""


def usual_times(int8: float = 24_000, float32: float = 50_000, detect: float = 2_000_000) -> dict[str, Any]:
    """Of two artifacts in LiteRT, and of the reference work."""
    times: dict[str, Any] = {REFERENCE: {REFERENCE: {"total": 60_000}}}
    for name, digit in (("litert-int8", int8), ("litert-float32", float32)):
        times[f"edge {name} in litert"] = {
            "invoke": {"total": 0.7 * digit},
            "set, invoke, get": {"total": 0.8 * digit},
            "probabilities": {"total": digit},
            "ten × set, invoke, get": {"total": 8 * digit},
            "ten probabilities": {"total": 8.5 * digit},
        }
        for frame in FRAMES[: 3 if name == "litert-int8" else 2]:
            crops = frame.digits or 1
            stages = {"luma": 90_000, "detect": detect, "classify": 0.85 * crops * digit}
            total = sum(stages.values()) + 100_000
            times[f"edge {name} in litert"][f"pipeline, {frame.name}"] = stages | {"total": total}
    for frame in FRAMES:
        for reader, share in (("blur + Otsu", 0.4), ("blur + adaptive", 1.5)):
            times["edge litert-int8 in litert"][f"{reader}, {frame.name}"] = {"total": share * 2_000_000}
    return times


def facts(times: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker says of itself."""
    counts = {"digits": 10, "crops": 12, "right": 9, "wrong": 1, "missed": 0, "invented": 2}
    return {
        "version": "2.3.0",
        "kernels": "XNNPACK",
        "load_ns": [1_600_000, 1_700_000],
        "first_call_ns": [48_000, 49_000],
        "warm_up_ns": [25_000] * 3,
        "read": {operation: counts for operation in times if ", " in operation and "invoke" not in operation},
    }


def specs_of(times: Times) -> list[Spec]:
    """Subjects for every entry."""
    return [
        Spec(name, "reference" if name == REFERENCE else "classifier", (), "", *(name.split()[1::2] or ("", "")))
        for name in times
    ]


def quiet_environment() -> Environment:
    """This machine, as if nothing disturbed it."""
    return replace(describe_machine(), load_average=(0.0, 0.0, 0.0), governor="", emulation="")


def simulate(machine: Machine, times: Times | None = None, plan: Plan = PLAN, **changes: Any) -> Report:
    """The report of a run on such a machine."""
    times = usual_times() if times is None else times
    specs = specs_of(times)

    def start(spec: Spec) -> FakeWorker:
        return FakeWorker(machine, times[spec.name], facts(times[spec.name]))

    sessions = [run_session(specs, plan, number, start, lambda: None) for number in range(plan.sessions)]
    subjects = tuple(
        replace(each, model="" if each.name == REFERENCE else "edge") for each in describe_subjects(specs, sessions)
    )
    report = Report(
        created="2026-11-21T00:00:00+00:00",
        seconds=90.0,
        quick=False,
        threads=(1,),
        core=1,
        limits=Limits(),
        environment=quiet_environment(),
        timeline=(Moment(0.0, 2400, 48.5, 0, 0.1, 7_000_000_000, 0.0),),
        models=(MODEL,),
        plan=plan,
        workload=WorkloadInfo(139, "9" * 64, FRAMES),
        subjects=subjects,
        series=join_series(sessions),
    )
    return replace(report, **changes)


MakeReport: TypeAlias = Callable[..., Report]


@pytest.fixture(scope="session")
def report() -> Report:
    """A run on a quiet machine."""
    return simulate(Machine(seed=1))


def blocks(*medians: int, calls: int = 5) -> tuple[tuple[int, ...], ...]:
    """Blocks of equal calls."""
    return tuple((value,) * calls for value in medians)


def names(values: Sequence[Any]) -> list[str]:
    """Of what has one."""
    return [value.name for value in values]
