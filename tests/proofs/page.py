"""The page's server under load: twenty clients that post as fast as they may, and what it leaves to the camera.

python -m tests.proofs.page --out docs/proofs/page.json
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.request import urlopen

import cv2
import numpy as np

from runtime.pages import draw_page
from tests.proofs.result import Proof, parser
from tests.proofs.streams import ROOT, StreamCamera

CLIENTS = 20
KEPT_SHARE = 0.80
PAINT_BYTES = 100_000
ADDED_BYTES = 40_000_000
ROUNDS = 4
FILES = ("/", "/page.css", "/page.js", "/icon.svg")
"""What a browser asks for before the page stands."""


def picture() -> bytes:
    """A page of seven digits, 640x480, as JPEG."""
    return cv2.imencode(".jpg", draw_page(["407", "1985"], (640, 480), np.random.default_rng(5)).pixels)[1].tobytes()


def peak_bytes(process: int) -> int:
    """The most memory that a process has held in RAM (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return 1024 * int(found[1]) if found else 0


class Service:
    """``runtime.serve`` before a camera, in a process of its own."""

    def __init__(self, url: str, folder: str) -> None:
        command = [sys.executable, "-m", "runtime.serve", "--source", url, "--port", "0"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()

    def frames(self) -> int:
        """How many frames were read so far."""
        with urlopen(f"{self.address}metrics") as answer:
            found = re.search(rb"^edge_digits_frames_total ([0-9.e+]+)", answer.read(), re.MULTILINE)
        assert found
        return int(float(found[1]))

    def rate(self, seconds: float) -> float:
        """Frames read in a second, over so many."""
        before, started = self.frames(), time.monotonic()
        time.sleep(seconds)
        return (self.frames() - before) / (time.monotonic() - started)


class Client(threading.Thread):
    """Posts a picture again and again, from an address of its own, and waits as long as it is told to."""

    def __init__(self, number: int, port: int, body: bytes, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._source = f"127.0.1.{number + 1}"
        self._port, self._body, self._stop_asked = port, body, stop
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, 30, (self._source, 0))
        while not self._stop_asked.is_set():
            started = time.monotonic()
            try:
                connection.request("POST", "/api/recognize", self._body)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__] += 1
                connection.close()
                continue
            status = str(answer.status)
            if answer.status == 200:
                self.seconds.append(time.monotonic() - started)
                text = [number["text"] for number in json.loads(content)["numbers"]]
                status += "" if text == ["407", "1985"] else " misread"
            self.answers[status] += 1
            if answer.status == 429:
                self._stop_asked.wait(float(answer.headers.get("Retry-After", "0")))
        connection.close()


def post(service: Service, seconds: float, body: bytes) -> tuple[float, Counter[str], list[float]]:
    """The camera's rate while all clients post; their answers, and how long those with readings took."""
    port, stop = int(service.address.rstrip("/").rpartition(":")[2]), threading.Event()
    clients = [Client(number, port, body, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    rate = service.rate(seconds)
    stop.set()
    for client in clients:
        client.join()
    return (
        rate,
        sum((client.answers for client in clients), Counter()),
        [s for client in clients for s in client.seconds],
    )


def load(proof: Proof, service: Service, seconds: float) -> None:
    """Let the clients post for so long, in rounds between which the camera is alone."""
    body = picture()
    time.sleep(3)
    alone, loaded, answers, took = [service.rate(seconds / ROUNDS)], [], Counter[str](), []
    for _ in range(ROUNDS):
        rate, counted, times = post(service, seconds / ROUNDS, body)
        loaded.append(rate)
        answers += counted
        took += times
        alone.append(service.rate(seconds / ROUNDS))
    share = float(np.median([2 * rate / (alone[i] + alone[i + 1]) for i, rate in enumerate(loaded)]))
    proof.figures |= {
        "clients": CLIENTS,
        "seconds": seconds,
        "answers": dict(answers),
        "answer_seconds": {"median": round(float(np.median(took)), 3), "most": round(max(took), 3)},
        "camera_fps": {"alone": [round(rate, 1) for rate in alone], "loaded": [round(rate, 1) for rate in loaded]},
        "share_of_the_camera_rate_kept": round(share, 3),
    }
    proof.bar("no answer but 200 and 429", set(answers) <= {"200", "429"} and answers["200"] > 0)
    proof.bar(f"the camera keeps {KEPT_SHARE:.0%} of its rate", share >= KEPT_SHARE)


def paint(proof: Proof, address: str) -> None:
    """How many bytes a browser needs to paint the page."""
    sizes = {}
    for path in FILES:
        with urlopen(address.rstrip("/") + path) as answer:
            sizes[path] = len(answer.read())
    proof.figures["first_paint_bytes"] = {**sizes, "all": sum(sizes.values())}
    proof.bar(f"first paint needs {PAINT_BYTES:,} bytes at most", sum(sizes.values()) <= PAINT_BYTES)


def camera_peak(url: str, seconds: float) -> int:
    """The most memory that ``runtime.camera`` holds before the same camera."""
    command = [sys.executable, "-m", "runtime.camera", "--source", url, "--display", "none", "--json", os.devnull]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        time.sleep(seconds)
        return peak_bytes(process.pid)
    finally:
        process.terminate()
        process.wait()


def serve(seconds: float) -> Proof:
    """Measure it all.

    Args:
        seconds: that the clients post in all.
    """
    proof = Proof("page")
    with StreamCamera(30.0, "--page") as camera:
        without = camera_peak(camera.url, 15)
        with tempfile.TemporaryDirectory() as folder, Service(camera.url, folder) as service:
            time.sleep(8)
            paint(proof, service.address)
            idle = peak_bytes(service.process.pid)
            load(proof, service, seconds)
            most = peak_bytes(service.process.pid)
    proof.figures["peak_resident_megabytes"] = {
        "runtime.camera": round(without / 1e6, 1),
        "runtime.serve": round(idle / 1e6, 1),
        "runtime.serve, after the load": round(most / 1e6, 1),
    }
    proof.bar(f"the server adds {ADDED_BYTES / 1e6:.0f} MB at most", idle - without <= ADDED_BYTES)
    return proof


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=60.0, help="how long the clients post")
    options = made.parse_args(argv)
    return serve(options.seconds).finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
