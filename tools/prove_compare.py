"""Prove on this machine that ``benchmarks.compare`` neither cries wolf nor sleeps.

python tools/prove_compare.py --reports runs/compare --out docs/proofs/compare.json

It measures a baseline, then pairs of runs: a plain repeat, which must raise no alarm, and one whose classifier takes a
tenth longer, which must be caught. At most one false alarm in twenty and at least eighteen caught are what the project
promises; exit code 1 where they are not met. Twenty of each take twenty minutes; a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.compare import Comparison, compare
from benchmarks.report import Report, read_report, to_json
from benchmarks.run import Options, measure
from benchmarks.sessions import FULL
from runtime.errors import run_command
from runtime.options import positive_integer, positive_number
from train.evaluate import write_files


def main(argv: list[str] | None = None) -> int:
    """Measure and compare; returns the exit code."""
    parser = argparse.ArgumentParser(description="Prove that benchmarks.compare neither cries wolf nor sleeps.")
    parser.add_argument("--runs", type=positive_integer, default=20, metavar="N", help="repeats, and slowed runs")
    parser.add_argument("--slower", type=positive_number, default=0.1, metavar="SHARE", help="of the classifier's time")
    parser.add_argument("--artifact", default="litert-int8", metavar="NAME", help="that is measured")
    parser.add_argument(
        "--reports", type=Path, default=Path("runs/compare"), metavar="DIR", help="every run; those there are kept"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON of what was found")
    options = parser.parse_args(argv)
    return run_command(lambda: _prove(options))


def _prove(options: argparse.Namespace) -> int:
    plain = Options(("latency", "pipeline"), artifacts=(options.artifact,), quick=True, plan=FULL)
    slowed = Options(
        ("latency", "pipeline"), artifacts=(options.artifact,), quick=True, plan=FULL, slower=options.slower
    )
    folder = options.reports / f"{options.artifact}-{options.slower:g}"
    before = _run(plain, folder / "plain-00.json")
    runs: list[dict[str, Any]] = []
    for number in range(1, options.runs + 1):
        slow = compare(before, _run(slowed, folder / f"slowed-{number:02}.json"))
        repeat = _run(plain, folder / f"plain-{number:02}.json")
        again = compare(before, repeat)
        caught = any(
            change.verdict == "slower" and ("classify" in change.figure or "probabilities" in change.figure)
            for change in slow.changes
        )
        alarm = any(change.verdict for change in again.changes)
        print(f"{number}: slowed {'caught' if caught else 'MISSED'}, repeat {'FALSE ALARM' if alarm else 'quiet'}")
        runs.append({"caught": caught, "false_alarm": alarm, "slowed": _told(slow), "repeat": _told(again)})
        before = repeat
    alarms, hits = sum(run["false_alarm"] for run in runs), sum(run["caught"] for run in runs)
    bars = {
        "false alarms: at most 1 of 20 repeats": 20 * alarms <= options.runs,
        f"{options.slower:.0%} slower: at least 18 of 20 caught": 20 * hits >= 18 * options.runs,
    }
    proof = {
        "proof": "compare",
        "machine": before.environment.cpu,
        "slower": options.slower,
        "runs": runs,
        "bars": bars,
    }
    write_files(options.out.parent, {options.out.name: json.dumps(proof, indent=1, ensure_ascii=False) + "\n"})
    print(f"false alarms: {alarms} of {options.runs}; caught: {hits} of {options.runs}")
    return 0 if all(bars.values()) else 1


def _run(options: Options, path: Path) -> Report:
    if path.is_file():
        return read_report(path)
    report, _ = measure(options)
    write_files(path.parent, {path.name: to_json(report)})
    return report


def _told(found: Comparison) -> dict[str, str]:
    """The change of the machine, and of each figure that is said to have changed, with its sign."""
    changed = {change.figure: f"{change.change:+.0%}" for change in found.changes if change.verdict}
    return changed if found.machine is None else {"machine": f"{found.machine:+.0%}", **changed}


if __name__ == "__main__":
    sys.exit(main())
