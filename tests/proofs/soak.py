"""A long run with faults: no crash, memory that stays, every fault counted.

    python -m tests.proofs.soak --frames 1000000 --out docs/proofs/soak.json

Pictures come from 2,000 made beforehand, through the live source with its thread, the whole recognizer and sinks in
threads. Time is virtual: each picture is a thirtieth of a second, so that what takes seconds (a freeze, a loss) costs
frames and not hours.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle, islice
from time import monotonic
from types import MappingProxyType

import cv2
import numpy as np

from runtime import Recognizer, load_classifier
from runtime.background import Background
from runtime.capture import SourceSettings
from runtime.demo import SCENES, demo_frames
from runtime.live import LiveSource
from runtime.monitor import Monitor
from runtime.pipeline import run
from runtime.quiet import native_stderr_silent
from runtime.sinks import JsonSink, Sink
from runtime.unsure import UnsureSink
from runtime.values import Frame, Image, Result
from tests.proofs.result import Proof, parser, resident_bytes

FPS = 30.0
FROZEN_SECONDS = 5.0
SIZE = 320, 240
GROWTH_BYTES = 5 * 1024 * 1024
CHANCES = {
    "drop": 1e-3,
    "truncated": 1e-3,
    "black": 3e-3,
    "saturated": 3e-3,
    "noise": 3e-3,
    "resized": 5e-4,
    "freeze": 2e-5,
    "loss": 2e-5,
}
"""How often each fault begins, per picture."""


PAGES = {0: "4", 1: "7", 5: "3", 7: "29"}
"""Which of the demo's scenes stand before the camera, and what on each. With few digits and without desks and squared
paper, whose grain costs up to twenty times as much to read, a million frames take twenty minutes of a core."""


def premade(count: int) -> list[Image]:
    """A camera's views of the pages, each time with other noise: uint8 BGR."""
    rng = np.random.default_rng(11)
    scenes = [replace(SCENES[i], rows=(text,), sheet=None) for i, text in PAGES.items()]
    demo = list(islice(demo_frames(SIZE, scenes), count))
    noise = rng.integers(0, 6, (SIZE[1] + 64, SIZE[0] + 64, 3), np.uint8)
    pictures = []
    for picture, _ in islice(cycle(demo), count):
        x, y = rng.integers(0, 64, 2)
        pictures.append(cv2.add(picture, noise[y : y + SIZE[1], x : x + SIZE[0]]))
    return pictures


class FaultyCamera:
    """Delivers pictures and faults by chance, the same in every run, one for each that was taken.

    Attributes:
        injected: how often each fault was begun.
        expected: what the source must have counted of it.
    """

    def __init__(self, pictures: Sequence[Image], chances: Mapping[str, float], seed: int = 7) -> None:
        self._pictures, self._chances = pictures, chances
        self._rng = np.random.default_rng(seed)
        self._others = [cv2.resize(pictures[0], size) for size in ((160, 120), (641, 479), (32, 24))]
        self._jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures[:50]]
        self._black, self._white = np.zeros_like(pictures[0]), np.full_like(pictures[0], 255)
        self._noise = [self._rng.integers(0, 256, self._black.shape, np.uint8) for _ in range(20)]
        self._pending: list[Image | None] = []
        self._last: Image | None = None
        self._faulty = self._failures = 0
        self.now = 0.0
        self.injected: Counter[str] = Counter()
        self.expected: Counter[str] = Counter()
        self.taken = threading.Semaphore(1)
        self.ended = False

    def clock(self) -> float:
        """Virtual seconds."""
        return self.now

    def read(self) -> tuple[bool, Image | None]:
        """The next picture, or none; never before the one before was taken."""
        while not self.taken.acquire(timeout=0.2):
            if self.ended:
                return False, None
        self.now += 1 / FPS
        picture = self._pending.pop() if self._pending else self._next()
        if picture is None:
            self._failures += 1
            self.taken.release()  # nobody will take it
            return False, None
        self.expected["unreadable"] += self._failures
        self._failures = 0
        if self._last is not None and picture.shape != self._last.shape:
            self.expected["resized"] += 1
        self._last = picture
        return True, picture

    def release(self) -> None:
        """Opened again, as it were: failures that made the source give up were a loss."""
        if self._failures:
            self.expected["lost"] += 1
            self._failures = 0

    def _next(self) -> Image | None:
        picture = self._pictures[int(self._rng.integers(len(self._pictures)))]
        # One throw decides; nothing else is allocated for the many pictures without a fault.
        throw = float(self._rng.random())
        for fault, chance in self._chances.items():
            if throw < chance:
                self.injected[fault] += 1
                return self._fault(fault, picture)
            throw -= chance
        return picture

    def _fault(self, fault: str, picture: Image) -> Image | None:
        if fault == "drop":
            return None
        if fault == "truncated":
            jpeg = self._jpegs[self._rng.integers(len(self._jpegs))]
            with native_stderr_silent():
                return cv2.imdecode(np.frombuffer(jpeg[: self._rng.integers(2, len(jpeg))], np.uint8), cv2.IMREAD_COLOR)
        if fault == "freeze":
            self._pending = [picture] * (int(FROZEN_SECONDS * FPS) + 2)
            self.expected["frozen"] += 1
        elif fault == "loss":
            self._pending = [None] * int(1.2 * FPS)
            return None
        elif fault == "resized":
            return self._others[self._rng.integers(len(self._others))]
        elif fault != "noise":
            return self._black if fault == "black" else self._white
        else:
            return self._noise[self._rng.integers(len(self._noise))]
        return picture


class Taken:
    """A sink that lets the camera deliver the next picture, and watches memory."""

    def __init__(self, camera: FaultyCamera, total: int) -> None:
        self.camera, self.total = camera, total
        self.count = self.early = self.most = 0

    def __enter__(self) -> Taken:
        return self

    def __exit__(self, *_: object) -> None:
        self.camera.ended = True

    def write(self, frame: Frame, result: Result) -> None:
        self.count += 1
        if self.count == max(self.total // 100, 1):
            self.early = resident_bytes()
        if self.count % 1000 == 0:
            self.most = max(self.most, resident_bytes())
        if self.count % 50_000 == 0:
            print(f"{self.count} frames, {resident_bytes() / 1e6:.1f} MB", file=sys.stderr, flush=True)
        self.camera.taken.release()


def soak(frames: int, pictures: int, chances: Mapping[str, float] = MappingProxyType(CHANCES)) -> Proof:
    """Run it.

    Args:
        frames: to recognize.
        pictures: made beforehand.
        chances: how often each fault begins, per picture.
    """
    proof = Proof("soak")
    camera = FaultyCamera(premade(pictures), chances)
    settings = SourceSettings(frozen_seconds=FROZEN_SECONDS)
    started = monotonic()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        source = stack.enter_context(LiveSource("soak", lambda: camera, settings, clock=camera.clock))
        outputs = [
            Background("--json", JsonSink(os.devnull, "soak")),
            Background("--save-unsure", UnsureSink(folder, 1.0)),
        ]
        monitor = Monitor(source, outputs, camera.clock)
        taken = Taken(camera, frames)
        sinks: list[Sink] = [monitor, *outputs, taken]
        for sink in sinks:
            stack.enter_context(sink)
        summary = run(source, Recognizer(load_classifier()), sinks, max_frames=frames)
        resident = resident_bytes()
    faults = dict(source.faults)
    expected = {fault: count for fault, count in camera.expected.items() if count}
    growth = max(resident, taken.most) - taken.early
    proof.figures = {
        "frames": summary.frames,
        "seconds": round(monotonic() - started, 1),
        "milliseconds_per_frame": round(1000 * summary.recognizing / summary.frames, 3),
        "injected": dict(camera.injected),
        "faults_expected": expected,
        "faults_counted": faults,
        "reconnects": source.reconnects,
        "readings": sum(monitor.readings.values()),
        "hints": dict(monitor.hints),
        "resident_megabytes": {"after_1_percent": round(taken.early / 1e6, 1), "end": round(resident / 1e6, 1)},
        "growth_megabytes": round(growth / 1e6, 2),
    }
    proof.bar("every frame was recognized", summary.frames == frames)
    proof.bar("every fault was counted", faults == expected)
    proof.bar("each loss and freeze was opened again", source.reconnects >= expected.get("lost", 0))
    proof.bar("memory grew by 5 MB at most after the first 1 %", growth <= GROWTH_BYTES)
    return proof


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--frames", type=int, default=1_000_000)
    made.add_argument("--pictures", type=int, default=2000)
    options = made.parse_args(argv)
    logging.getLogger("runtime").setLevel(logging.ERROR)
    return soak(options.frames, options.pictures).finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
