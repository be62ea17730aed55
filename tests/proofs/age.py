"""A consumer that sleeps now and then reads the present afterwards, not a queue of the past.

python -m tests.proofs.age --out docs/proofs/age.json
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from runtime import Recognizer, load_classifier
from runtime.quiet import silence_opencv
from runtime.sources import open_source
from tests.proofs.result import Proof, parser
from tests.proofs.stream_camera import age
from tests.proofs.streams import FPS, StreamCamera

AGE_FRAMES = 2.0
SLEPT_SECONDS = 0.2
STALL_SECONDS = 0.015
"""Half a frame: where a process that only waits was not woken for longer, the machine was late, and not the program."""

WATCH = f"""
import time
while True:
    due = time.monotonic() + 0.005
    time.sleep(0.005)
    late = time.monotonic() - due
    if late > {STALL_SECONDS}:
        print(due, due + late, flush=True)
"""


def reading_age(seconds: float) -> Proof:
    """Sleep now and then while frames come, and look how old the frame after that is once it is read.

    Sleeps during which the machine held up a process beside it are told apart: of those the age says nothing.
    """
    proof = Proof("age")
    rng = np.random.default_rng(6)
    after: list[tuple[float, float, float]] = []
    watch = subprocess.Popen([sys.executable, "-c", WATCH], stdout=subprocess.PIPE, text=True)
    try:
        with StreamCamera(FPS, "--page") as camera, open_source(camera.url) as source:
            recognizer = Recognizer(load_classifier())
            slept, next_sleep, started = 0.0, time.monotonic() + 1, time.monotonic()
            for frame in source:
                recognizer(frame)
                now = time.monotonic()
                if slept:
                    after.append((slept, now, age(frame.luma, now) * FPS))
                slept = now if now >= next_sleep else 0.0
                if slept:
                    time.sleep(SLEPT_SECONDS)
                    next_sleep = now + rng.uniform(0.5, 1.5)
                if now - started > seconds:
                    break
            proof.figures["dropped"] = source.dropped
    finally:
        watch.kill()
        stalls = [[float(moment) for moment in line.split()] for line in watch.communicate()[0].splitlines()]
    held = [any(a < end and b > begin for a, b in stalls) for begin, end, _ in after]
    calm = [frames for (*_, frames), late in zip(after, held, strict=True) if not late]
    proof.figures["age_in_frames"] = {
        "machine in time": _spread(calm),
        "machine late": _spread([frames for (*_, frames), late in zip(after, held, strict=True) if late]),
    }
    proof.bar(f"age of the reading after a sleep at most {AGE_FRAMES:g} frames", max(calm) <= AGE_FRAMES)
    proof.bar("twenty sleeps and more count", len(calm) >= 20)
    return proof


def _spread(ages: Sequence[float]) -> dict[str, Any]:
    return {"n": len(ages)} | (
        {"median": round(float(np.median(ages)), 2), "most": round(max(ages), 2)} if len(ages) else {}
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=60.0, help="how long to look")
    options = made.parse_args(argv)
    silence_opencv()
    return reading_age(options.seconds).finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
