"""What one digit costs: loading, the first call, warming up and the steady state, each apart."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.candidates import Candidate, Skipped
from benchmarks.measure import Plan, run_blocks, time_calls
from benchmarks.progress import Progress
from benchmarks.workload import pixels_sha256
from runtime.backends import Classifier
from runtime.errors import UsageError
from runtime.values import Image

OPERATIONS: Mapping[str, Callable[[Classifier], Callable[[Image], object]]] = {
    "probabilities": lambda classifier: classifier.probabilities,
    "logits": lambda classifier: classifier.logits,
}
"""What is called in the steady state, with one crop: uint8 (1, 28, 28)."""


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """How much is measured.

    Attributes:
        loads: times that each candidate is loaded, and that a fresh one is called for the first time.
        warm_up: calls after the first one that are kept apart from the steady state.
        plan: of the steady state.
    """

    loads: int
    warm_up: int
    plan: Plan


FULL_LATENCY = LatencySettings(loads=20, warm_up=50, plan=Plan(rounds=50, calls=100, settle=10))
QUICK_LATENCY = LatencySettings(loads=20, warm_up=50, plan=Plan(rounds=20, calls=50, settle=10))
"""Enough for every percentile, and no more."""


@dataclass(frozen=True, slots=True)
class CandidateLatency:
    """Raw nanoseconds of one candidate.

    Attributes:
        artifact: name in the manifest.
        interpreter: what ran it.
        load_ns: of each load, manifest to golden vectors; the interpreter's package was imported before.
        first_call_ns: ``probabilities`` of one crop, of new classifiers that had answered nothing yet.
        warm_up_ns: the calls that followed the last of these.
        steady_ns: by operation (see ``OPERATIONS``) the blocks in the order of the run.
    """

    artifact: str
    interpreter: str
    load_ns: tuple[int, ...]
    first_call_ns: tuple[int, ...]
    warm_up_ns: tuple[int, ...]
    steady_ns: Mapping[str, tuple[tuple[int, ...], ...]]


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency benchmark of a bundle.

    Attributes:
        settings: how much was measured.
        crops: different crops that were used in turn.
        crops_sha256: of their pixels.
        candidates: the figures.
        skipped: what could not be measured.
    """

    settings: LatencySettings
    crops: int
    crops_sha256: str
    candidates: tuple[CandidateLatency, ...]
    skipped: tuple[Skipped, ...]


def measure_latency(
    candidates: Sequence[Candidate],
    skipped: Sequence[Skipped],
    crops: Image,
    settings: LatencySettings = FULL_LATENCY,
) -> Latency:
    """Measure every candidate on the same crops.

    Args:
        candidates: what to measure.
        skipped: what cannot be, to be reported with it.
        crops: uint8 (n, 28, 28); one a call, in turn.
        settings: how much to measure.

    Raises:
        UsageError: there is no crop.
    """
    if not len(crops):
        raise UsageError("no crops to measure latency on; expected at least one")
    singles = [crop[None] for crop in crops]
    steps = len(candidates) * (settings.loads + len(OPERATIONS) * settings.plan.rounds)
    with Progress("latency", steps) as progress:
        starts = [_start(candidate, singles, settings, progress.step) for candidate in candidates]
        runs = {
            f"{candidate.name}, {operation}": _block(bind(start.classifier), singles)
            for candidate, start in zip(candidates, starts, strict=True)
            for operation, bind in OPERATIONS.items()
        }
        blocks = run_blocks(runs, settings.plan, progress.step)
    results = [
        CandidateLatency(
            candidate.artifact.name,
            candidate.interpreter,
            start.load_ns,
            start.first_call_ns,
            start.warm_up_ns,
            {operation: tuple(map(tuple, blocks[f"{candidate.name}, {operation}"])) for operation in OPERATIONS},
        )
        for candidate, start in zip(candidates, starts, strict=True)
    ]
    return Latency(settings, len(crops), pixels_sha256(crops), tuple(results), tuple(skipped))


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """What came before a candidate's steady state, and the classifier that is warm now."""

    load_ns: tuple[int, ...]
    first_call_ns: tuple[int, ...]
    warm_up_ns: tuple[int, ...]
    classifier: Classifier


def _start(
    candidate: Candidate, singles: Sequence[Image], settings: LatencySettings, step: Callable[[], None]
) -> _Start:
    load_ns = []
    for _ in range(settings.loads):
        started = time.perf_counter_ns()
        # Bound to a name, since letting go of it takes time too.
        _loaded = candidate.load()
        load_ns.append(time.perf_counter_ns() - started)
        step()
    inputs = itertools.cycle(singles)
    # Loading asks the golden vectors, so the first call ever is one of a classifier that was only made.
    first_call_ns = [
        sample for _ in range(settings.loads - 1) for sample in time_calls(candidate.make().probabilities, inputs, 1)
    ]
    classifier = candidate.make()
    first_call_ns += time_calls(classifier.probabilities, inputs, 1)
    warm_up_ns = time_calls(classifier.probabilities, inputs, settings.warm_up)
    return _Start(tuple(load_ns), tuple(first_call_ns), tuple(warm_up_ns), classifier)


def _block(call: Callable[[Image], object], singles: Sequence[Image]) -> Callable[[int], list[int]]:
    inputs = itertools.cycle(singles)
    return lambda count: time_calls(call, inputs, count)
