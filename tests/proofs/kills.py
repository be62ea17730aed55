"""A recording service killed at random moments: no JSON line torn, the video readable to within two seconds of the end.

python -m tests.proofs.kills --times 100 --out docs/proofs/kills.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.quiet import silence_opencv
from tests.proofs.result import Proof, parser
from tests.proofs.streams import ROOT, StreamCamera

LOST_SECONDS = 2.0


def video_seconds(path: Path) -> tuple[int, float]:
    """How many pictures of a video can be read, and the time of the last; (0, 0) where it is no video."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count, seconds = 0, 0.0
    while capture.isOpened() and capture.read()[0]:
        count, seconds = count + 1, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    return count, seconds


def kill_one(url: str, folder: Path, wait_seconds: float) -> tuple[int, int, float, int]:
    """Run the service, kill it so long after its first line; whole lines, torn lines, seconds lost, pictures."""
    lines, video = folder / "out.jsonl", folder / "out.mkv"
    for path in (lines, video):
        path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "runtime.camera", "--source", url, "--display", "none"]
    command += ["--json", str(lines), "--record", str(video)]
    service = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(wait_seconds)
    service.kill()
    service.wait()
    content = lines.read_bytes()
    torn = 0 if content.endswith(b"\n") else 1
    values = []
    for line in content.splitlines():
        try:
            values.append(json.loads(line))
        except ValueError:
            torn += 1
    pictures, seconds = video_seconds(video)
    read_seconds = values[-1]["seconds"] - values[0]["seconds"] if values else 0.0
    return len(values), torn, read_seconds - seconds, pictures


def kills(times: int) -> Proof:
    """Kill the service so many times."""
    proof = Proof("kills")
    rng = np.random.default_rng(8)
    lost, torn, unreadable, written = [], 0, 0, 0
    with StreamCamera(30.0, "--page") as camera, tempfile.TemporaryDirectory() as folder:
        for number in range(times):
            count, broken, seconds, pictures = kill_one(camera.url, Path(folder), rng.uniform(0.05, 4))
            written, torn = written + count, torn + broken
            unreadable += not pictures
            lost.append(seconds)
            print(f"{number}: {count} lines, {pictures} pictures, {seconds:.2f} s lost", file=sys.stderr, flush=True)
    proof.figures = {
        "times": times,
        "json_lines": written,
        "torn_lines": torn,
        "videos_unreadable": unreadable,
        "video_seconds_lost": {"median": round(float(np.median(lost)), 3), "most": round(max(lost), 3)},
    }
    proof.bar("no JSON line torn", torn == 0)
    proof.bar(f"video readable up to the last {LOST_SECONDS:g} s", not unreadable and max(lost) <= LOST_SECONDS)
    return proof


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--times", type=int, default=100)
    options = made.parse_args(argv)
    silence_opencv()
    return kills(options.times).finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
