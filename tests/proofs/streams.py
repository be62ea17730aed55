"""A stream killed, stalled and frozen again and again comes back each time.

python -m tests.proofs.streams --times 50 --out docs/proofs/streams.json
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from runtime.capture import SourceSettings
from runtime.live import LiveSource
from runtime.quiet import silence_opencv
from runtime.sources import open_source
from tests.proofs.result import Proof, parser
from tests.proofs.stream_camera import age

FPS = 30.0
RESUMED_SECONDS = 2.0
FROZEN_SECONDS = 1.0
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A TCP port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class StreamCamera:
    """The tormented camera's process."""

    def __init__(self, fps: float = FPS, *flags: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/live"
        self._command = [sys.executable, "-m", "tests.proofs.stream_camera", str(self.port), str(fps), *flags]
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "serving\n"

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()

    def signal(self, number: int) -> None:
        """Stop it, let it go on, or freeze and thaw its picture."""
        self._process.send_signal(number)


class Watcher(threading.Thread):
    """Takes every frame, and notes when its picture was made."""

    def __init__(self, source: LiveSource) -> None:
        super().__init__(daemon=True)
        self._source = source
        self.changed = threading.Condition()
        self.made_at = 0.0

    def run(self) -> None:
        for frame in self._source:
            now = time.monotonic()
            with self.changed:
                self.made_at = now - age(frame.luma, now)
                self.changed.notify_all()

    def seconds_until_newer(self, moment: float, timeout: float = 30.0) -> float:
        """How long after this moment a picture came that was made after it."""
        with self.changed:
            self.changed.wait_for(lambda: self.made_at >= moment - 0.002, timeout)
            return time.monotonic() - moment


def torment(times: int) -> Proof:
    """Kill, stall and freeze a stream so many times each."""
    proof = Proof("streams")
    rng = np.random.default_rng(5)
    with StreamCamera() as camera:
        source = open_source(camera.url, SourceSettings(frozen_seconds=FROZEN_SECONDS))
        assert isinstance(source, LiveSource)
        with source:
            watcher = Watcher(source)
            watcher.start()

            def killed() -> None:
                camera.kill()
                time.sleep(rng.uniform(0.2, 4))
                camera.start()

            def stalled() -> None:
                camera.signal(signal.SIGSTOP)
                time.sleep(rng.uniform(0.2, 8))
                camera.signal(signal.SIGCONT)

            def frozen() -> None:
                camera.signal(signal.SIGUSR1)
                time.sleep(rng.uniform(FROZEN_SECONDS + 0.3, 3))
                camera.signal(signal.SIGUSR1)

            torments: dict[str, Callable[[], None]] = {"killed": killed, "stalled": stalled, "frozen": frozen}
            for name, act in torments.items():
                resumed = []
                for _ in range(times):
                    act()
                    resumed.append(watcher.seconds_until_newer(time.monotonic()))
                    time.sleep(rng.uniform(0.1, 0.5))
                print(name, [round(seconds, 2) for seconds in resumed], file=sys.stderr, flush=True)
                proof.figures[name] = {
                    "times": times,
                    "resumed_seconds": {"median": round(float(np.median(resumed)), 3), "most": round(max(resumed), 3)},
                }
                proof.bar(f"{name}: resumed within {RESUMED_SECONDS:g} s each time", max(resumed) <= RESUMED_SECONDS)
            proof.figures["faults_counted"] = dict(source.faults)
            proof.figures["reconnects"] = source.reconnects
            proof.bar("each freeze was noticed", source.faults["frozen"] >= times)
    return proof


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--times", type=int, default=50, help="how often each torment")
    options = made.parse_args(argv)
    silence_opencv()
    return torment(options.times).finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
