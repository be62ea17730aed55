"""``python -m benchmarks.compare A B``: what has become slower, faster, larger or worse from one report to another.

A figure of a session is the median over its blocks' lower quartiles, each divided by that of the reference work of
its round where both reports are of one machine, so that a machine that was slower altogether is no finding; blocks
that other programs interrupted do not count. The figures of the sessions are compared by Yuen's t test for trimmed
means with unequal variances (K. Yuen, Biometrika 61, 1974): sessions are what is independent, and one that was
disturbed decides nothing. All figures of a report are one family: p values are corrected by S. Holm's step-down
procedure (Scand. J. Statist. 6, 1979), and each interval is at the level of its figure's step.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.candidates import REFERENCE
from benchmarks.output import JsonOutput
from benchmarks.report import Report, Series, read_report
from benchmarks.subjects import PIPELINE
from benchmarks.summary import flatten, percentile, session_logs
from benchmarks.tables import NONE, Section, Table, to_text
from benchmarks.verdict import duration, noise
from runtime.errors import BackendError, DataError, run_command
from runtime.options import HelpFormatter, probability

ALPHA = 0.02
"""Chance that a comparison of two equal runs reports any change at all, before ``--tolerance``."""

TOLERANCE = 0.05
"""Changes up to this share are never reported: two runs of one machine differ by a few percent for no reason in it."""

TRIM = 0.1
"""Share of the sessions that is left out at each end."""

LEAST = 3
"""Sessions that a figure must have in both reports."""

DISTURBED = 0.9
"""A block during which its process had a core for less than this share of the time tells of other programs."""

OPERATIONS = ("probabilities", "ten probabilities")
"""What is compared beside the stages of the pipeline: this project's own work, not the interpreters' and not peers'."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure in both reports.

    Attributes:
        subject: whose time it is.
        figure: operation and stage.
        before: median of all samples, in nanoseconds.
        after: likewise.
        change: share by which it takes longer, corrected for the machine's speed; negative is faster.
        low: of the interval.
        high: of the interval.
        p: corrected for the number of figures.
        verdict: ``slower``, ``faster``, or empty where the change may be chance or is within the tolerance.
    """

    subject: str
    figure: str
    before: int
    after: int
    change: float
    low: float
    high: float
    p: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports side by side.

    Attributes:
        machine: how much longer the reference work takes; None where that was not measured in both on one machine.
        changes: of times, the largest first.
        worse: in words what is larger or read worse: these are counted, so nothing is left to chance.
        notes: what to know about the comparison.
    """

    machine: float | None
    changes: tuple[Change, ...]
    worse: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def regressed(self) -> bool:
        """Whether anything is worse."""
        return bool(self.worse) or any(change.verdict == "slower" for change in self.changes)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _compare(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Compare two reports of python -m benchmarks. Exit code 1 where the second is worse.",
        epilog="examples:\n"
        "  python -m benchmarks.compare before.json after.json\n"
        "  python -m benchmarks.compare before.json after.json --tolerance 0.1 --json -",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("before", type=Path, help="report.json of the first run")
    parser.add_argument("after", type=Path, help="of the second")
    parser.add_argument(
        "--tolerance", type=probability, default=TOLERANCE, metavar="SHARE", help="changes up to this are not reported"
    )
    parser.add_argument("--json", metavar="OUT", help="write the comparison to this file; with - to stdout instead")
    return parser


def _compare(options: argparse.Namespace) -> int:
    found = compare(read_report(options.before), read_report(options.after), options.tolerance)
    if options.json != "-":
        print(to_text([section(found, options.tolerance)]))
    if options.json is not None:
        with JsonOutput(options.json) as output:
            output.write(json.dumps(asdict(found), indent=1) + "\n")
    return 1 if found.regressed else 0


def compare(before: Report, after: Report, tolerance: float = TOLERANCE) -> Comparison:
    """What changed from one report to the other.

    Args:
        before: the first.
        after: the second.
        tolerance: share up to which a change is not reported.

    Raises:
        DataError: they have no figure in common, or too few sessions.
        BackendError: SciPy is not installed.
    """
    reference = [report.find(REFERENCE, REFERENCE) for report in (before, after)]
    notes = _differences(before, after)
    machine = None
    if not notes and reference[0] is not None and reference[1] is not None:
        first, second = (session_logs(series.sessions_ns) for series in reference if series is not None)
        machine = math.exp(median(second) - median(first)) - 1
    pairs = [(one, other) for one in _compared(before) if (other := after.find(one.subject, one.operation, one.stage))]
    for name, report in (("first", before), ("second", after)):
        notes += [f"the {name} run: {doubt}" for doubt in noise(report)[1]]
    if not pairs and not (before.size and after.size):
        raise DataError("the two reports have no figure in common; run the same benchmarks for both")
    if any(len(series.sessions_ns) < LEAST for pair in pairs for series in pair):
        raise DataError(f"a report has fewer than {LEAST} sessions; nothing can be said of chance")
    tests, told_pairs = [], []
    for one, other in pairs:
        logs = [
            _undisturbed(series, beside if machine is not None else None)
            for series, beside in zip((one, other), reference, strict=True)
        ]
        if min(map(len, logs)) >= LEAST:
            tests.append(_Test(logs[1], logs[0]))
            told_pairs.append((one, other))
    if len(told_pairs) < len(pairs):
        notes.append(
            f"{len(pairs) - len(told_pairs)} times were not compared: other programs interrupted too many blocks"
        )
    pairs = told_pairs
    order = sorted(range(len(tests)), key=lambda i: tests[i].p)
    corrected, least = {}, 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(tests) - rank) * tests[i].p))
        corrected[i] = (least, 1 - ALPHA / (len(tests) - rank))
    changes = []
    for i, (one, other) in enumerate(pairs):
        p, level = corrected[i]
        change, low, high = (math.exp(value) - 1 for value in (tests[i].difference, *tests[i].interval(level)))
        told = p < ALPHA and abs(change) > tolerance
        figure = one.operation + (f", {one.stage}" if one.stage != "total" else "")
        old, new = (percentile(flatten(series.sessions_ns), 50) for series in (one, other))
        verdict = ("slower" if change > 0 else "faster") if told else ""
        changes.append(Change(one.subject, figure, old, new, change, low, high, p, verdict))
    changes.sort(key=lambda change: (change.verdict == "", -abs(change.change)))
    return Comparison(machine, tuple(changes), tuple(_worse(before, after, tolerance)), tuple(notes))


def section(found: Comparison, tolerance: float) -> Section:
    """The comparison for a person to read."""
    headers = tuple(("", name) for name in ("time of", "before", "after", "change", "interval", "p", ""))
    tables = []
    for subject in dict.fromkeys(change.subject for change in found.changes):
        rows = [
            (
                *(c.figure, duration(c.before), duration(c.after), f"{c.change:+.1%}"),
                *(f"{c.low:+.0%} to {c.high:+.0%}", f"{c.p:.3f}", c.verdict),
            )
            for c in found.changes
            if c.subject == subject
        ]
        tables.append(Table(headers, tuple(rows), caption=subject))
    slower = sum(c.verdict == "slower" for c in found.changes)
    faster = sum(c.verdict == "faster" for c in found.changes)
    lines = [
        f"{slower} slower, {faster} faster by more than {tolerance:.0%}, of {len(found.changes)} times; "
        f"{len(found.worse)} counted figures worse",
        *([] if found.machine is None else [f"the machine itself: {found.machine:+.1%}, taken out of every change"]),
        *found.worse,
    ]
    notes = {
        "change": "of the sessions' trimmed mean, the machine's own taken out; medians of all samples before it",
        "interval": f"together they hold with {1 - ALPHA:.0%} confidence (Holm); p: corrected likewise",
    }
    return Section("Comparison", tuple(lines), tuple(tables), notes, found.notes)


class _Test:
    """Yuen's test of two samples of logarithms."""

    def __init__(self, after: Sequence[float], before: Sequence[float]) -> None:
        try:
            from scipy import stats
        except ImportError as error:
            raise BackendError('SciPy is not installed; pip install "edge-digits[report]"') from error
        self.difference = float(stats.trim_mean(after, TRIM) - stats.trim_mean(before, TRIM))
        self._constant = len(set(after)) == 1 and len(set(before)) == 1
        if self._constant:
            self.p = 1.0 if self.difference == 0 else 0.0
        else:
            self._found = stats.ttest_ind(after, before, equal_var=False, trim=TRIM)
            self.p = float(self._found.pvalue)

    def interval(self, level: float) -> tuple[float, float]:
        """Confidence interval of the difference."""
        if self._constant:
            return self.difference, self.difference
        low, high = self._found.confidence_interval(level)
        return float(low), float(high)


def _undisturbed(series: Series, reference: Series | None) -> list[float]:
    """The figures of the sessions, by those blocks that no other program interrupted, nor the reference work beside."""
    besides = reference.busy if reference else series.busy
    kept = [
        [min(pair) >= DISTURBED for pair in zip(own, beside, strict=True)]
        for own, beside in zip(series.busy, besides, strict=True)
    ]
    return session_logs(series.sessions_ns, reference.sessions_ns if reference else None, kept)


def _compared(report: Report) -> list[Series]:
    kinds = {subject.name: subject.kind for subject in report.subjects}
    return [
        series
        for series in report.series
        if kinds.get(series.subject) == "classifier"
        and (series.operation in OPERATIONS or series.operation.startswith(f"{PIPELINE}, "))
        and series.stage != "luma"  # OpenCV's own work
    ]


def _differences(before: Report, after: Report) -> list[str]:
    """Why the machine's own speed cannot be taken out, or figures not be compared at all."""
    one, other = before.environment, after.environment
    found = []
    if (one.cpu, one.architecture, one.board) != (other.cpu, other.architecture, other.board):
        found.append(f"two machines, {one.cpu} and {other.cpu}: times are compared as they are")
    changed = [
        f"{name} {one.packages.get(name, NONE)} and {other.packages.get(name, NONE)}"
        for name in sorted(set(one.packages) | set(other.packages))
        if name != "edge-digits" and one.packages.get(name) != other.packages.get(name)
    ]
    if one.python != other.python:
        changed.append(f"{one.python} and {other.python}")
    if changed:
        found.append(f"different packages ({'; '.join(changed)}): times are compared as they are")
    if before.workload and after.workload and before.workload.frames != after.workload.frames:
        found.append("the frames differ: times of the pipeline are of other work")
    return found


def _worse(before: Report, after: Report, tolerance: float) -> list[str]:
    found = []
    sizes = {(a.model, a.artifact): a.bytes for a in (before.size.artifacts if before.size else ())}
    for a in after.size.artifacts if after.size else ():
        old = sizes.get((a.model, a.artifact))
        if old is not None and a.bytes > old * (1 + tolerance):
            found.append(f"larger: {a.model} {a.artifact} has {a.bytes:,} bytes, before {old:,}")
    read = {(s.name, operation): counts for s in before.subjects for operation, counts in s.read.items()}
    for subject in after.subjects:
        for operation, counts in subject.read.items():
            old_counts = read.get((subject.name, operation))
            if old_counts is not None and operation.startswith(f"{PIPELINE}, "):
                for key, sign in (("right", -1), ("invented", 1)):
                    if sign * (counts[key] - old_counts[key]) > 0:
                        found.append(
                            f"read worse: {subject.name}, {operation}: {counts[key]} {key}, before {old_counts[key]}"
                        )
    return found


if __name__ == "__main__":
    sys.exit(main())
