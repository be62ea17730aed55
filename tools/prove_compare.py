"""Prove on this machine that ``benchmarks.compare`` neither cries wolf nor sleeps.

It measures a baseline, then pairs of runs: a plain repeat, which must raise no alarm, and one whose classifier takes a
tenth longer, which must be caught. At most one false alarm in twenty and at least eighteen caught are what the project
promises; exit code 1 where they are not met. Twenty of each take a quarter of an hour.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.compare import Comparison, compare
from benchmarks.report import Report, to_json
from benchmarks.run import Options, measure
from benchmarks.sessions import FULL
from runtime.errors import run_command
from runtime.options import positive_integer, positive_number


def main(argv: list[str] | None = None) -> int:
    """Measure and compare; returns the exit code."""
    parser = argparse.ArgumentParser(description="Prove that benchmarks.compare neither cries wolf nor sleeps.")
    parser.add_argument("--runs", type=positive_integer, default=20, metavar="N", help="repeats, and slowed runs")
    parser.add_argument("--slower", type=positive_number, default=0.1, metavar="SHARE", help="of the classifier's time")
    parser.add_argument("--artifact", default="litert-int8", metavar="NAME", help="that is measured")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep every report there")
    options = parser.parse_args(argv)
    return run_command(lambda: _prove(options))


def _prove(options: argparse.Namespace) -> int:
    plain = Options(("latency", "pipeline"), artifacts=(options.artifact,), quick=True, plan=FULL)
    slowed = Options(
        ("latency", "pipeline"), artifacts=(options.artifact,), quick=True, plan=FULL, slower=options.slower
    )
    before = _run(plain, options.out, "plain-00")
    alarms = caught = 0
    for number in range(1, options.runs + 1):
        slow = _run(slowed, options.out, f"slowed-{number:02}")
        found = compare(before, slow)
        hit = any(
            c.verdict == "slower" and ("classify" in c.figure or "probabilities" in c.figure) for c in found.changes
        )
        caught += hit
        _tell(f"slowed {number}: {'caught' if hit else 'MISSED'}", found)
        repeat = _run(plain, options.out, f"plain-{number:02}")
        found = compare(before, repeat)
        alarm = any(change.verdict for change in found.changes)
        alarms += alarm
        _tell(f"repeat {number}: {'FALSE ALARM' if alarm else 'quiet'}", found)
        before = repeat
    print(f"false alarms: {alarms} of {options.runs}; caught: {caught} of {options.runs}")
    return 0 if 20 * alarms <= options.runs and 20 * caught >= 18 * options.runs else 1


def _run(options: Options, out: Path | None, name: str) -> Report:
    report, _ = measure(options)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.json").write_text(to_json(report), encoding="utf-8")
    return report


def _tell(what: str, found: Comparison) -> None:
    told = [f"{change.figure} {change.change:+.0%}" for change in found.changes if change.verdict]
    machine = "" if found.machine is None else f", machine {found.machine:+.0%}"
    print(f"{what}{machine}{': ' + '; '.join(told) if told else ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
