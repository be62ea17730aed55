"""What a camera costs that one leaves running, capture included: 640x480 at 15 pictures per second.

python -m tests.proofs.idle --out docs/proofs/idle.json
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.proofs.result import Proof, parser
from tests.proofs.streams import ROOT, StreamCamera

IDLE_SHARE = 0.10


def cpu_seconds(process: int) -> float:
    """What a process has used of the CPU, its threads too (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(backend: str, seconds: float, *view: str) -> float:
    """Share of one core that the command takes, over so many seconds after it has started.

    Args:
        backend: that reads.
        seconds: to watch.
        view: flags of the camera.
    """
    with StreamCamera(15.0, "--bare", *view) as camera:
        command = [sys.executable, "-m", "runtime.camera", "--source", camera.url, "--display", "none"]
        command += ["--backend", backend, "--json", os.devnull]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            time.sleep(4)
            before, started = cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            return (cpu_seconds(process.pid) - before) / (time.monotonic() - started)
        finally:
            process.terminate()
            process.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=60.0, help="how long to watch each")
    options = made.parse_args(argv)
    proof = Proof("idle")
    for backend in ("litert", "onnx"):
        idle = share(backend, options.seconds)
        proof.figures[f"share of one core, {backend}"] = {
            "blank paper": round(idle, 4),
            "a page of seven digits": round(share(backend, options.seconds, "--page"), 4),
        }
        proof.bar(f"with nothing to read at most {IDLE_SHARE:.0%} of a core, {backend}", idle <= IDLE_SHARE)
    return proof.finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
