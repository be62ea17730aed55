from __future__ import annotations

import pytest

from benchmarks.candidates import REFERENCE
from benchmarks.measure import block_order
from benchmarks.sessions import Plan, calls_of, run_session
from benchmarks.subjects import Spec
from runtime.errors import BackendError, BundleError
from tests.benchmarks.conftest import FakeWorker, Machine

PLAN = Plan(sessions=2, rounds=3, block_ns=1_000_000, least=2, most=50, settle=4)
SPECS = [Spec("a", "classifier", ()), Spec("b", "classifier", ()), Spec(REFERENCE, "reference", ())]
TIMES = {
    "a": {"quick": {"total": 10_000.0}, "staged": {"first": 1_000.0, "total": 100_000.0}},
    "b": {"slow": {"total": 9_000_000.0}},
    REFERENCE: {REFERENCE: {"total": 50_000.0}},
}


class Starter:
    """Starts fakes, keeps them, and logs their blocks in one list."""

    def __init__(self, missing: str = "", broken: str = "") -> None:
        self.workers: dict[str, FakeWorker] = {}
        self.missing, self.broken = missing, broken

    def __call__(self, spec: Spec) -> FakeWorker:
        if spec.name in self.missing.split():
            raise BackendError(f"{spec.name} is not installed; pip install {spec.name}")
        if spec.name == self.broken:
            raise BundleError(f"{spec.name} was altered")
        self.workers[spec.name] = FakeWorker(Machine(call=0.0), TIMES[spec.name], {"version": "1", "kernels": ""})
        return self.workers[spec.name]


def test_every_operation_has_a_block_in_every_round_and_all_stages_are_kept() -> None:
    rounds: list[None] = []
    session = run_session(SPECS, PLAN, 0, Starter(), lambda: rounds.append(None))
    assert len(rounds) == 3
    assert {name: set(operations) for name, operations in session.blocks.items()} == {
        "a": {"quick", "staged"},
        "b": {"slow"},
        REFERENCE: {REFERENCE},
    }
    assert set(session.blocks["a"]["staged"]) == {"first", "total"}
    for operations in session.blocks.values():
        for stages in operations.values():
            assert all(len(blocks) == 3 for blocks in stages.values())


def test_a_block_has_as_many_calls_as_fill_its_time_within_bounds() -> None:
    session = run_session(SPECS, PLAN, 0, Starter(), lambda: None)
    # 1 ms of blocks: 100 calls of 10 µs are cut to 50, ten of 100 µs, two of 9 ms.
    assert calls_of(session) == {"a, quick": 50, "a, staged": 10, "b, slow": 2, "reference, reference": 20}


def test_a_block_has_as_many_calls_as_the_99th_percentile_needs_unless_that_takes_long() -> None:
    plan = Plan(sessions=10, rounds=4, block_ns=1_000_000, least=2, most=50, settle=4)
    session = run_session(SPECS, plan, 0, Starter(), lambda: None)
    # 25 in each of 40 blocks make a thousand; of 9 ms they would take more than eight blocks' time.
    assert calls_of(session) == {"a, quick": 50, "a, staged": 25, "b, slow": 2, "reference, reference": 25}


def test_later_sessions_make_the_calls_of_the_first() -> None:
    starter = Starter()
    known = {"a, quick": 7, "a, staged": 7, "b, slow": 3, "reference, reference": 7}
    assert calls_of(run_session(SPECS, PLAN, 1, starter, lambda: None, known)) == known
    # No trial call was made, and settling calls are never more than those that count.
    assert starter.workers["b"].calls == [("slow", 3, 3)] * 3
    assert {(calls, settle) for _, calls, settle in starter.workers["a"].calls} == {(7, 4)}


def test_the_order_is_that_of_the_seed_and_another_in_another_session() -> None:
    pairs = ["a, quick", "a, staged", "b, slow", "reference, reference"]
    orders = []
    for number in (0, 1):
        seen: list[str] = []
        starter = Starter()

        def start(spec: Spec, starter: Starter = starter, seen: list[str] = seen) -> FakeWorker:
            worker = starter(spec)
            real = worker.run

            def run(operation: str, calls: int, settle: int) -> object:
                seen.append(f"{spec.name}, {operation}")
                return real(operation, calls, settle)

            worker.run = run  # type: ignore[assignment, method-assign]
            return worker

        run_session(SPECS, PLAN, number, start, lambda: None, dict.fromkeys(pairs, 2))
        assert seen == block_order(pairs, 3, PLAN.seed + 1009 * number)
        orders.append(seen)
    assert orders[0] != orders[1]


def test_what_is_missing_is_skipped_with_its_remedy() -> None:
    session = run_session(SPECS, PLAN, 0, Starter(missing="b"), lambda: None)
    assert set(session.facts) == {"a", REFERENCE}
    (skip,) = session.skipped
    assert (skip.subject, skip.reason) == ("b", "b is not installed; pip install b")


def test_without_any_classifier_there_is_nothing_to_measure() -> None:
    starter = Starter(missing="a b")
    with pytest.raises(BackendError, match=r"nothing can be measured here: a is not installed.*b is not installed"):
        run_session(SPECS, PLAN, 0, starter, lambda: None)
    assert starter.workers[REFERENCE].closed == 1


def test_a_damaged_bundle_is_an_error_and_no_worker_is_left() -> None:
    starter = Starter(broken="b")
    with pytest.raises(BundleError, match="was altered"):
        run_session(SPECS, PLAN, 0, starter, lambda: None)
    assert starter.workers["a"].closed == 1


def test_every_worker_is_closed() -> None:
    starter = Starter()
    run_session(SPECS, PLAN, 0, starter, lambda: None)
    assert [worker.closed for worker in starter.workers.values()] == [1, 1, 1]
