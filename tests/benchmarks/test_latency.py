from __future__ import annotations

import numpy as np
import pytest

from benchmarks.candidates import Skipped
from benchmarks.latency import OPERATIONS, Latency, LatencySettings, measure_latency
from benchmarks.measure import Plan
from benchmarks.summary import flatten, percentile
from benchmarks.workload import pixels_sha256
from runtime.errors import UsageError
from tests.benchmarks.conftest import MakeCandidate

CROPS = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
SMALL = LatencySettings(loads=3, warm_up=4, plan=Plan(rounds=5, calls=6, settle=1))


def test_a_slower_classifier_is_measured_slower(make_candidate: MakeCandidate) -> None:
    measured = measure_latency([make_candidate("slow", 0.004), make_candidate("fast")], [], CROPS, SMALL)
    slow, fast = measured.candidates
    for operation in OPERATIONS:
        ratio = percentile(flatten(slow.steady_ns[operation]), 50) / percentile(flatten(fast.steady_ns[operation]), 50)
        assert ratio > 5
        assert min(flatten(slow.steady_ns[operation])) >= 4_000_000


def test_loading_the_first_call_and_the_steady_state_are_apart(make_candidate: MakeCandidate) -> None:
    candidate = make_candidate("staged", 0.001, first_seconds=0.02, load_seconds=0.05)
    (staged,) = measure_latency([candidate], [], CROPS, SMALL).candidates
    assert min(staged.load_ns) >= 50_000_000
    # Each first call is the first of a classifier of its own.
    assert min(staged.first_call_ns) >= 20_000_000
    assert min(staged.warm_up_ns) < 20_000_000
    assert min(flatten(staged.steady_ns["probabilities"])) < 20_000_000


def test_as_many_samples_are_kept_as_were_asked_for(make_candidate: MakeCandidate) -> None:
    for candidate in measure_latency([make_candidate("a"), make_candidate("b")], [], CROPS, SMALL).candidates:
        assert (len(candidate.load_ns), len(candidate.first_call_ns), len(candidate.warm_up_ns)) == (3, 3, 4)
        assert set(candidate.steady_ns) == {"probabilities", "logits"}
        for blocks in candidate.steady_ns.values():
            assert [len(block) for block in blocks] == [6] * 5


def test_what_was_measured_on_and_what_was_not_measured_is_said(latency: Latency) -> None:
    skipped = Skipped("tflite-runtime", ("one",), "not installed")
    measured = measure_latency([], [skipped], CROPS, SMALL)
    assert measured.skipped == (skipped,)
    assert (measured.crops, measured.crops_sha256) == (3, pixels_sha256(CROPS))
    assert [candidate.artifact for candidate in latency.candidates] == ["one", "two"]


def test_latency_on_no_crops_is_refused(make_candidate: MakeCandidate) -> None:
    with pytest.raises(UsageError, match="no crops"):
        measure_latency([make_candidate("a")], [], np.empty((0, 28, 28), np.uint8), SMALL)
