"""Starting up and staying up: a fresh process to its first reading, the memory that it takes, and an idle camera's CPU.

``python -m benchmarks.startup`` is that process; a device starts no other way. Clocks of parent and child agree, since
both read the system's monotonic one.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtime.errors import BackendError

FRAMES_PER_SECOND = 15
"""Of the camera that idles."""

STEPS = ("python", "packages", "load", "reading")
"""Until Python runs; NumPy, OpenCV and the runtime are imported; the classifier is loaded; the first frame is read."""

_CHILD = """
import time; began = time.monotonic_ns()
import json, sys
wanted = json.loads(sys.argv[1])
steps, memory = [began], []
def step():
    steps.append(time.monotonic_ns())
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        memory.append([1024 * int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM")])
    except OSError:
        memory.append([0, 0])
import numpy as np
from runtime import Recognizer, load_classifier
from runtime.pictures import read_picture, to_frame
step()
classifier = load_classifier(wanted["model"], backend=wanted["backend"], precision=wanted["precision"],
    interpreter=wanted["interpreter"])
step()
recognizer = Recognizer(classifier)
picture = read_picture(wanted["picture"])[::2, ::2]
result = recognizer(to_frame(np.ascontiguousarray(picture), 0, 0.0))
step()
def camera(seconds, rate):
    due, count = time.monotonic(), 0
    end, cpu = due + seconds, time.process_time()
    while due < end:
        recognizer(to_frame(picture, count, 0.0))
        count += 1
        due += 1 / rate
        time.sleep(max(due - time.monotonic(), 0))
    return (time.process_time() - cpu) / seconds
picture = np.ascontiguousarray(picture)
idle = camera(wanted["seconds"], wanted["rate"]) if wanted["seconds"] else None
print(json.dumps({"steps": steps, "memory": memory, "digits": len(result.readings), "cpu": idle}))
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started: a bundle's folder, a backend, a precision, an interpreter (None is the backend's own)."""

    name: str
    model: str
    backend: str
    precision: str
    interpreter: str | None
    python: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """One fresh process.

    Attributes:
        steps_ns: of each of ``STEPS``, from the end of the one before; the first from the call that starts Python.
        resident_bytes: after each step but the first.
        peak_bytes: of resident memory, up to the end.
        digits: that the first frame gave.
        idle_cpu: share of one core that a camera of ``FRAMES_PER_SECOND`` takes; None where it was not run.
    """

    steps_ns: tuple[int, ...]
    resident_bytes: tuple[int, ...]
    peak_bytes: int
    digits: int
    idle_cpu: float | None


@dataclass(frozen=True, slots=True)
class Startup:
    """All starts of one launch."""

    name: str
    starts: tuple[Start, ...]


def measure_startup(
    launches: Sequence[Launch],
    times: int,
    idle_seconds: float,
    step: Callable[[], None],
    start: Callable[[Launch, float], Start] | None = None,
) -> tuple[Startup, ...]:
    """Start each launch so many times, in an order of chance; the last of each also idles as a camera.

    Args:
        launches: what to start; one whose interpreter is not installed is left out.
        times: fresh processes of each.
        idle_seconds: that the camera runs; 0 for none.
        step: called after each start.
        start: starts one; a process of its own if None.
    """
    start = start or start_process
    starts: dict[str, list[Start]] = {}
    missing: set[str] = set()
    chance = random.Random(0)
    for number in range(times):
        for launch in chance.sample(launches, len(launches)):
            if launch.name not in missing:
                try:
                    found = start(launch, idle_seconds if number == times - 1 else 0.0)
                except BackendError:
                    missing.add(launch.name)
                else:
                    starts.setdefault(launch.name, []).append(found)
            step()
    return tuple(Startup(each.name, tuple(starts[each.name])) for each in launches if each.name in starts)


def start_process(launch: Launch, idle_seconds: float) -> Start:
    """Start one process and wait for its end.

    Raises:
        BackendError: it failed, as where the interpreter is not installed.
    """
    from benchmarks.workers import child_environment
    from benchmarks.workload import PAGES

    wanted = {
        "model": launch.model,
        "backend": launch.backend,
        "precision": launch.precision,
        "interpreter": launch.interpreter,
        "picture": str(PAGES / "ten-digits.jpg"),
        "seconds": idle_seconds,
        "rate": FRAMES_PER_SECOND,
    }
    started = time.monotonic_ns()
    done = subprocess.run(
        [launch.python or sys.executable, "-c", _CHILD, json.dumps(wanted)],
        env=child_environment(launch.python),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise BackendError(f"{launch.name}: {lines[-1] if lines else 'its process ended'}")
    found = json.loads(done.stdout)
    stamps = [started, *found["steps"]]
    return Start(
        tuple(later - sooner for sooner, later in itertools.pairwise(stamps)),
        tuple(resident for resident, _ in found["memory"]),
        found["memory"][-1][1],
        found["digits"],
        found["cpu"],
    )
