from __future__ import annotations

import pytest

from benchmarks.candidates import choose_artifacts, default_candidate, find_candidates
from benchmarks.measure import Plan
from benchmarks.pipeline import STAGES, Pipeline, measure_pipeline
from benchmarks.summary import flatten
from benchmarks.workload import drawn_frames
from runtime.bundle import load_bundle
from tests.benchmarks.conftest import MakeCandidate

SMALL = Plan(rounds=3, calls=2, settle=1)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """The shipped model on the three frames."""
    bundle = load_bundle()
    candidates, _ = find_candidates(bundle, choose_artifacts(bundle, ()), threads=1)
    return measure_pipeline([default_candidate(candidates)], drawn_frames(), SMALL)


def test_what_was_drawn_is_read(pipeline: Pipeline) -> None:
    blank, ten, full = pipeline.frames
    assert (blank.digits, blank.right, blank.invented) == (0, 0, 0)
    assert ten.digits == 10
    assert ten.right >= 9
    assert full.digits >= 60
    assert full.right >= 0.9 * full.digits
    for frame in pipeline.frames:
        assert frame.right + frame.wrong + frame.missed == frame.digits
        assert frame.crops >= frame.right


def test_every_frame_gives_a_sample_of_every_stage(pipeline: Pipeline) -> None:
    for frame in pipeline.frames:
        assert tuple(frame.stages_ns) == STAGES
        for blocks in frame.stages_ns.values():
            assert [len(block) for block in blocks] == [2, 2, 2]


def test_the_total_holds_its_stages(pipeline: Pipeline) -> None:
    for frame in pipeline.frames:
        detect, classify, total = (flatten(frame.stages_ns[stage]) for stage in STAGES)
        # Each was rounded to a nanosecond.
        assert all(whole + 2 >= sum(parts) for whole, *parts in zip(total, detect, classify, strict=True))


def test_more_digits_cost_more(pipeline: Pipeline) -> None:
    blank, _, full = (min(flatten(frame.stages_ns["total"])) for frame in pipeline.frames)
    assert full > 3 * blank


def test_a_slow_classifier_shows_in_its_stage_alone(make_candidate: MakeCandidate) -> None:
    ten = drawn_frames()[1:2]
    measured = measure_pipeline([make_candidate("slow", 0.003), make_candidate("fast")], ten, SMALL)
    slow, fast = measured.frames
    assert (slow.artifact, fast.artifact) == ("slow", "fast")
    # Ten crops of three milliseconds each. On a busy machine anything may take longer at times: the least counts.
    least = {stage: [min(flatten(frame.stages_ns[stage])) for frame in (slow, fast)] for stage in STAGES}
    assert least["classify"][0] >= 30_000_000
    assert least["classify"][0] > 5 * least["classify"][1]
    assert least["total"][0] > least["classify"][0]
    assert least["detect"][0] < 5 * least["detect"][1]


def test_readings_that_are_wrong_are_counted_as_such(make_candidate: MakeCandidate) -> None:
    # The fake says 0 with a probability of e / (e + 9) = 0.23, under every threshold: nothing is read.
    (ten,) = measure_pipeline([make_candidate("zero")], drawn_frames()[1:2], SMALL).frames
    assert (ten.right, ten.wrong, ten.missed, ten.invented) == (0, 0, 10, 0)
