"""A subject in a process of its own: ``python -m benchmarks.worker`` speaks JSON lines with ``benchmarks.workers``.

The first line in says what to be; the first line out says what it is, or why it cannot be. Then each line in names an
operation and a number of calls, and each line out gives the nanoseconds, and the share of the block that the process
had a core for. It ends with its stdin.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from runtime.errors import BackendError, EdgeDigitsError
from runtime.pipeline import settle


def main() -> int:
    """Serve one parent; returns its exit code."""
    # Whatever native libraries print to stdout would break the protocol: it goes to stderr.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    wanted = json.loads(sys.stdin.readline())
    if wanted["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {wanted["core"]})
    raised = _raise_priority()
    from benchmarks.serial import build  # after the core is chosen: OpenCV counts the cores when it is imported
    from benchmarks.subjects import Spec, make_subject, operations_of, read_workload

    spec: Spec = build(Spec, wanted["spec"])
    try:
        subject = make_subject(spec, read_workload(Path(wanted["workload"])))
    except EdgeDigitsError as error:
        _say(out, {"error": str(error), "missing": isinstance(error, BackendError)})
        return 1
    settle()  # as runtime.camera does
    _say(
        out,
        {
            "facts": dict(subject.facts) | {"raised": raised},
            "operations": list(operations_of(spec, list(subject.operations))),
        },
    )
    for line in sys.stdin:
        order = json.loads(line)
        run = subject.operations[order["operation"]]
        run(order["settle"])
        began, worked = time.monotonic(), time.process_time()
        samples = run(order["calls"])
        share = (time.process_time() - worked) / max(time.monotonic() - began, 1e-9)
        _say(out, {"samples": samples, "busy": round(share, 4)})
    return 0


def _raise_priority() -> bool:
    """Let no other program interrupt, where the user may ask for that; whether it was granted."""
    try:
        os.nice(-20)
    except OSError:
        return False
    return True


def _say(out: TextIO, content: dict[str, Any]) -> None:
    print(json.dumps(content), file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())
