"""What the figures say: whether to trust them, what to ship on this machine, and where others stand."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev

from benchmarks.candidates import REFERENCE
from benchmarks.monitor import throttling
from benchmarks.report import ArtifactInfo, Limits, Report, Series, SubjectInfo
from benchmarks.subjects import CHAIN, PIPELINE
from benchmarks.summary import UNSTABLE, Interval, intervals, session_logs, spread, student

FRAME = "ten digits 640×480"
"""The frame that decides."""

TEN = "ten probabilities"
"""What decides where no frame was read."""

PUBLISHED = Path(__file__).with_name("published.toml")

_INTERRUPTED = 0.05  # share of the blocks, from which a run is called disturbed
_STOLEN = 0.02  # share of the time given to other guests from which a virtual machine is called disturbed


@dataclass(frozen=True, slots=True)
class Ratio:
    """A time as a share of another, with its 95 % interval, by the sessions that had both."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{three_digits(self.value)} × ({three_digits(self.low)}–{three_digits(self.high)})"


@dataclass(frozen=True, slots=True)
class Choice:
    """An artifact in an interpreter, as something to ship.

    Attributes:
        subject: what was timed.
        artifact: the file.
        time: median of what decides, see ``Verdict.measure``.
        misses: the limits that it does not keep, in words.
    """

    subject: SubjectInfo
    artifact: ArtifactInfo
    time: Interval
    misses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to ship.

    Attributes:
        measure: the operation that decides.
        best: the choice; None where nothing keeps the limits.
        choices: all of them, those within the limits first, the fastest first.
    """

    measure: str
    best: Choice | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A network by size and accuracy; ``source`` is empty for this project's own."""

    name: str
    bytes: int
    accuracy: float
    quantized: bool
    source: str
    time_ns: int | None = None


def judge(report: Report) -> Verdict | None:
    """Which artifact and interpreter to ship here; None where none was timed.

    Of those within the limits the fastest; where the run cannot tell others from it, the smallest file of these, unless
    it is less than a tenth smaller.
    """
    measure = f"{PIPELINE}, {FRAME}"
    if not any(series.operation == measure for series in report.series):
        measure = TEN
    choices = []
    for subject in report.subjects:
        series, artifact = report.find(subject.name, measure), report.artifact(subject)
        if series is not None and artifact is not None and subject.threads == report.threads[0]:
            time = intervals(series.sessions_ns).get(50)
            if time is not None:
                choices.append(Choice(subject, artifact, time, _misses(artifact, time, report.limits)))
    if not choices:
        return None
    choices.sort(key=lambda choice: (len(choice.misses) > 0, choice.time.value))
    within = [choice for choice in choices if not choice.misses]
    best = None
    if within:
        times = {choice.subject.name: report.find(choice.subject.name, measure) for choice in within}
        fastest = within[0]
        alike = [fastest]
        for choice in within[1:]:
            share = ratio(times[choice.subject.name], times[fastest.subject.name])
            if share is not None and share.low <= 1:
                alike.append(choice)
        smallest = min(choice.artifact.bytes for choice in alike)
        best = next(choice for choice in alike if choice.artifact.bytes <= 1.1 * smallest)
    return Verdict(measure, best, tuple(choices))


def verdict_lines(report: Report) -> list[str]:
    """The verdict, and what else a reader should take home, a sentence each."""
    found = judge(report)
    if found is None:
        return []
    lines = [_best_line(report, found)]
    lines += _precision_lines(report, found)
    lines += _overhead_lines(report, found)
    return lines


def ratio(one: Series | None, other: Series | None) -> Ratio | None:
    """How long one takes as a share of the other; None where one was not measured.

    The interval is Student's t over the sessions' differences of logarithms: both ran in the same sessions.
    """
    if one is None or other is None:
        return None
    pairs = zip(session_logs(one.sessions_ns), session_logs(other.sessions_ns), strict=False)
    differences = [first - second for first, second in pairs]
    mean = fmean(differences)
    half = math.inf
    if len(differences) > 1:
        half = student(len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def noise(report: Report) -> tuple[float, list[str]]:
    """How restless the machine was, and in words why its figures should not be quoted; none where it was quiet.

    The share is the spread of the reference work's blocks: it does the same in every one.
    """
    reference = report.find(REFERENCE, REFERENCE)
    share = spread([block for blocks in reference.sessions_ns for block in blocks]) if reference else 0.0
    found = []
    if share > UNSTABLE:
        found.append(f"unstable: the same work took up to {share:.0%} longer at times; close other programs, run again")
    shares = [busy for series in report.series if series.stage == "total" for blocks in series.busy for busy in blocks]
    interrupted = sum(busy < 0.9 for busy in shares) / max(len(shares), 1)
    if interrupted > _INTERRUPTED:
        found.append(f"other programs interrupted {interrupted:.0%} of the blocks; close them, run again")
    stolen = [moment.stolen for moment in report.timeline if moment.stolen is not None]
    if stolen and fmean(stolen) > _STOLEN:
        found.append(f"the host gave {fmean(stolen):.0%} of this virtual machine's time to others")
    held = throttling(report.timeline)
    if held:
        found.append(f"the board held back while it was measured: {', '.join(held)}")
    return share, found


def points(report: Report) -> list[Point]:
    """Every measured artifact by size and accuracy, and the published networks, the smallest first."""
    found = []
    for subject in report.subjects:
        artifact = report.artifact(subject)
        if artifact is None or artifact.accuracy is None or subject.threads != report.threads[0]:
            continue
        series = report.find(subject.name, "probabilities")
        time = intervals(series.sessions_ns).get(50) if series else None
        quantized = artifact.precision not in ("float32", "float16", "float32-batch")
        name = f"{subject.model} {artifact.name}, {subject.interpreter}"
        found.append(Point(name, artifact.bytes, artifact.accuracy, quantized, "", time.value if time else None))
    for entry in tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))["point"]:
        sizes = entry.get("sizes") or [4 * count for count in entry["parameters"]]
        for size, accuracy in zip(sizes, entry["accuracies"], strict=True):
            found.append(Point(entry["name"], size, accuracy, not entry["float"], entry["source"]))
    return sorted(found, key=lambda point: (point.bytes, -point.accuracy))


def front(found: Sequence[Point]) -> list[Point]:
    """Those that no other one of fewer bytes equals in accuracy."""
    best, kept = 0.0, []
    for point in sorted(found, key=lambda point: (point.bytes, -point.accuracy)):
        if point.accuracy > best:
            best = point.accuracy
            kept.append(point)
    return kept


def fastest_peer(report: Report) -> tuple[SubjectInfo, Series] | None:
    """The fastest of the other interpreters on one digit, if any was measured."""
    peers = [
        (s, series) for s in report.subjects if s.kind == "peer" for series in report.series if series.subject == s.name
    ]
    return min(peers, key=lambda pair: median(session_logs(pair[1].sessions_ns)), default=None)


def duration(nanoseconds: float) -> str:
    """A time with three digits, in the unit that suits it: 24.1 µs, 2.39 ms, 3.45 s."""
    unit, word = next(
        ((unit, word) for unit, word in ((1e3, "µs"), (1e6, "ms")) if nanoseconds < 999.5 * unit), (1e9, "s")
    )
    return f"{three_digits(nanoseconds / unit)} {word}"


def three_digits(value: float) -> str:
    """0.48, 24.1, 124, 3,886."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def _misses(artifact: ArtifactInfo, time: Interval, limits: Limits) -> tuple[str, ...]:
    missed = []
    if limits.max_ms is not None and time.value > limits.max_ms * 1e6:
        missed.append(f"{duration(time.value)} over {limits.max_ms:g} ms")
    if limits.max_kb is not None and artifact.bytes > limits.max_kb * 1000:
        missed.append(f"{artifact.bytes / 1000:.1f} kB over {limits.max_kb:g} kB")
    if limits.min_accuracy is not None and (artifact.accuracy is None or artifact.accuracy < limits.min_accuracy):
        known = "unknown accuracy" if artifact.accuracy is None else f"{artifact.accuracy:.2%}"
        missed.append(f"{known} under {limits.min_accuracy:.2%}")
    return tuple(missed)


def _best_line(report: Report, found: Verdict) -> str:
    what = f"a frame with ten digits ({FRAME.removeprefix('ten digits ')})" if found.measure != TEN else "ten digits"
    limits = report.limits
    asked = [
        *([f"at most {limits.max_ms:g} ms"] if limits.max_ms is not None else []),
        *([f"at most {limits.max_kb:g} kB"] if limits.max_kb is not None else []),
        *([f"at least {limits.min_accuracy:.2%} on MNIST"] if limits.min_accuracy is not None else []),
    ]
    within = f" within the limits ({', '.join(asked)})" if asked else ""
    if found.best is None:
        nearest = min(found.choices, key=lambda choice: len(choice.misses))
        return f"Nothing keeps{within or ' the limits'}; nearest is {nearest.subject.name}: {', '.join(nearest.misses)}"
    best = found.best
    accuracy = f", {best.artifact.accuracy:.2%} on MNIST" if best.artifact.accuracy is not None else ""
    line = (
        f"Ship {best.artifact.name} of {best.subject.model} in {best.subject.interpreter} here{within}: "
        f"{what} in {duration(best.time.value)} ({duration(best.time.low)}–{duration(best.time.high)}), "
        f"{best.artifact.bytes / 1000:.1f} kB{accuracy}"
    )
    fastest = found.choices[0]
    if fastest is not best:
        line += f"; {fastest.subject.name} cannot be told from it in speed and is larger"
    return line


def _precision_lines(report: Report, found: Verdict) -> list[str]:
    lines = []
    timed = {(c.subject.model, c.subject.interpreter, c.artifact.precision): c.subject for c in found.choices}
    for (model, interpreter, precision), subject in timed.items():
        wide = timed.get((model, interpreter, "float32"))
        if precision != "int8" or wide is None:
            continue
        share = ratio(report.find(subject.name, "probabilities"), report.find(wide.name, "probabilities"))
        if share is not None:
            said = "int8 is faster" if share.high < 1 else "int8 is not faster here"
            lines.append(f"{model} in {interpreter}: {said}, one digit takes {share} of float32's time")
    return lines


def _overhead_lines(report: Report, found: Verdict) -> list[str]:
    lines = []
    subject = (found.best or found.choices[0]).subject
    bare = ratio(report.find(subject.name, TEN), report.find(subject.name, "ten × set, invoke, get"))
    if bare is not None:
        lines.append(f"Probabilities of ten digits take {bare} of ten bare set, invoke, get")
    # The chain runs beside the default artifact, which may not be the best here.
    for other in report.subjects:
        chain = report.find(other.name, f"{CHAIN}, {FRAME}")
        frame = ratio(report.find(other.name, f"{PIPELINE}, {FRAME}"), chain)
        if frame is not None and other.threads == report.threads[0]:
            read = [other.read.get(f"{reader}, {FRAME}", {}).get("right", 0) for reader in (PIPELINE, CHAIN)]
            lines.append(
                f"A frame with ten digits takes {frame} of the plain chain's time with {other.artifact} in "
                f"{other.interpreter}; right: {read[0]} and {read[1]} of 10"
            )
    peer = fastest_peer(report)
    if peer is not None:
        share = ratio(peer[1], report.find(subject.name, "set, invoke, get"))
        if share is not None:
            lines.append(
                f"The fastest of the others on one digit is {peer[0].name} ({peer[1].operation}): {share} of the time "
                f"of {subject.artifact} in {subject.interpreter}"
            )
    return lines
