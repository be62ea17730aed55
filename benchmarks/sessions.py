"""Sessions: every subject in a fresh process, their blocks interleaved at random on one core, every sample kept.

A session starts all workers, lets each operation make its blocks of calls in rounds, and ends them. What a process gets
by chance when it starts (where its memory lies) differs between sessions; what drifts (frequency, heat, other programs)
hits every subject of a round alike. So sessions are what statistics count, see ``benchmarks.summary``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import block_order
from benchmarks.subjects import Spec
from benchmarks.summary import BEYOND
from benchmarks.workers import Worker
from runtime.errors import BackendError


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        sessions: fresh starts of every worker.
        rounds: blocks of each operation in a session; every round holds one of each, in a new random order.
        block_ns: how long a block should take; a slow operation makes fewer calls in it, but for as many as p99 needs,
            where that takes no longer than eight blocks, and no more than ``most``.
        least: calls in a block, however slow.
        most: calls in a block, however fast.
        settle: calls before each block that do not count: they bring the subject back into the caches.
        seed: of the orders.
    """

    sessions: int
    rounds: int
    block_ns: int
    least: int
    most: int
    settle: int
    seed: int = 0


FULL = Plan(sessions=12, rounds=4, block_ns=40_000_000, least=2, most=50, settle=3)
QUICK = Plan(sessions=6, rounds=3, block_ns=20_000_000, least=2, most=30, settle=2)


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not measured, and why; the reason says how to change it."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Session:
    """What one session found.

    Attributes:
        facts: by subject, what its worker said of itself.
        blocks: by subject, operation and stage the blocks of nanoseconds, in the order of the rounds.
        busy: by subject and operation, of each block the share of the time that its process had a core for.
        skipped: subjects that could not be had.
    """

    facts: Mapping[str, Mapping[str, Any]]
    blocks: Mapping[str, Mapping[str, Mapping[str, tuple[tuple[int, ...], ...]]]]
    busy: Mapping[str, Mapping[str, tuple[float, ...]]]
    skipped: tuple[Skipped, ...]


def run_session(
    specs: Sequence[Spec],
    plan: Plan,
    number: int,
    start: Callable[[Spec], Worker],
    after_round: Callable[[], None],
    calls: Mapping[str, int] | None = None,
) -> Session:
    """Start every subject, run its blocks, end it.

    Args:
        specs: what to start.
        plan: how much.
        number: of the session, from 0: another gives other orders.
        start: makes a worker.
        after_round: called between rounds, outside of what is timed.
        calls: of a block by ``subject, operation``; found out where absent, and the same in every session then.

    Raises:
        BundleError: a bundle is damaged: nothing worth timing.
        BackendError: not one classifier could be had, or a subject died while it was measured.
    """
    skipped = []
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for spec in specs:
            try:
                workers[spec.name] = start(spec)
            except BackendError as error:
                skipped.append(Skipped(spec.name, str(error)))
            else:
                stack.callback(workers[spec.name].close)
        wanted = [spec.name for spec in specs if spec.kind == "classifier"]
        if wanted and not workers.keys() & set(wanted):
            reasons = {each.reason: None for each in skipped if each.subject in wanted}
            raise BackendError("nothing can be measured here: " + "; ".join(reasons))
        pairs = {
            f"{name}, {operation}": (name, operation) for name in workers for operation in workers[name].operations
        }
        counts = {
            key: (calls or {}).get(key) or _calls(workers[name], operation, plan)
            for key, (name, operation) in pairs.items()
        }
        blocks: dict[str, dict[str, dict[str, list[tuple[int, ...]]]]] = {name: {} for name in workers}
        busy: dict[str, dict[str, list[float]]] = {name: {} for name in workers}
        order = block_order(list(pairs), plan.rounds, plan.seed + 1009 * number)
        for place, key in enumerate(order, 1):
            name, operation = pairs[key]
            settle = min(plan.settle, counts[key])
            block = workers[name].run(operation, counts[key], settle)
            busy[name].setdefault(operation, []).append(block.busy)
            for stage, samples in block.samples.items():
                blocks[name].setdefault(operation, {}).setdefault(stage, []).append(tuple(samples))
            if place % len(pairs) == 0:
                after_round()
        return Session(
            {name: worker.facts for name, worker in workers.items()},
            {
                name: {
                    operation: {stage: tuple(each) for stage, each in stages.items()}
                    for operation, stages in operations.items()
                }
                for name, operations in blocks.items()
            },
            {name: {operation: tuple(each) for operation, each in shares.items()} for name, shares in busy.items()},
            tuple(skipped),
        )


def calls_of(session: Session) -> dict[str, int]:
    """How many calls each block of a session had, by ``subject, operation``."""
    return {
        f"{name}, {operation}": len(next(iter(stages.values()))[0])
        for name, operations in session.blocks.items()
        for operation, stages in operations.items()
    }


def _calls(worker: Worker, operation: str, plan: Plan) -> int:
    """How many calls a block makes, by two after one that does not count."""
    took = max(min(worker.run(operation, 2, 1).samples["total"]), 1)
    needed = -(-100 * BEYOND // (plan.sessions * plan.rounds))
    least = needed if needed <= plan.most and needed * took <= 8 * plan.block_ns else plan.least
    return max(least, min(plan.most, plan.block_ns // took))
