"""Outputs in trouble cost recognition nothing.

python -m tests.proofs.cost --out docs/proofs/cost.json
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from runtime import Recognizer, load_classifier
from runtime.background import Background
from runtime.broadcast import Broadcast
from runtime.capture import SourceSettings
from runtime.errors import SinkError
from runtime.live import LiveSource
from runtime.mqtt import MqttSettings, MqttSink
from runtime.pages import draw_page
from runtime.pipeline import run
from runtime.recording import Overlay, VideoSink
from runtime.sinks import Closing, JsonSink, Sink
from runtime.values import Frame, Image, Result
from tests.proofs.result import Proof, parser

KEPT_SHARE = 0.90


class Fast:
    """A camera faster than recognition: what is measured is recognition alone."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        page = draw_page(["407", "1985"], (640, 480), rng).pixels
        self._pictures = [np.roll(page, shift, axis=1) for shift in range(8)]
        self._index = 0

    def read(self) -> tuple[bool, Image]:
        """A picture, at 500 a second."""
        time.sleep(0.002)
        self._index += 1
        return True, self._pictures[self._index % len(self._pictures)]

    def release(self) -> None:
        """Nothing to let go of."""


class FullDisk(Closing):
    """Writes with an inner sink as far as a disk that is full goes: it draws, encodes, and fails to write."""

    def __init__(self, draw: Overlay) -> None:
        self._draw = draw

    def write(self, frame: Frame, result: Result) -> None:
        self._draw.jpeg(frame, result)
        raise SinkError(f"cannot write the recording: {os.strerror(errno.ENOSPC)}")


def frame_rate(make_sinks: Callable[[ExitStack, Overlay], list[Sink]], frames: int) -> float:
    """Frames per second of a run with these sinks."""
    with ExitStack() as stack:
        source = stack.enter_context(LiveSource("fast", Fast, SourceSettings(frozen_seconds=0)))
        sinks = make_sinks(stack, Overlay())
        recognizer = Recognizer(load_classifier())
        started = time.monotonic()
        run(source, recognizer, sinks, max_frames=frames)
        return frames / (time.monotonic() - started)


def healthy(stack: ExitStack, overlay: Overlay) -> list[Sink]:
    """JSON lines and a recording, all well."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    sinks: list[Sink] = [
        Background("--json", JsonSink(os.devnull, "fast")),
        Background("--record", VideoSink(f"{folder}/out.mkv", overlay, live=True)),
    ]
    return [stack.enter_context(sink) for sink in sinks]


def full_disk(stack: ExitStack, overlay: Overlay) -> list[Sink]:
    """JSON lines to a device that is always full, and a recording likewise."""
    sinks = [Background("--json", JsonSink("/dev/full", "fast")), Background("--record", FullDisk(overlay))]
    for sink in sinks:
        stack.callback(_closed, sink)
    return list(sinks)


def dead_broker(stack: ExitStack, overlay: Overlay) -> list[Sink]:
    """A broker that takes the connection and never answers, beside what is well."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    settings = MqttSettings(f"mqtt://127.0.0.1:{server.getsockname()[1]}", quiet_seconds=0.0)
    return [*healthy(stack, overlay), stack.enter_context(MqttSink(settings, "fast"))]


def slow_viewers(stack: ExitStack, overlay: Overlay) -> list[Sink]:
    """Three viewers, one after the other over a connection that takes nothing, beside what is well."""
    sinks = healthy(stack, overlay)
    broadcast = stack.enter_context(Broadcast(overlay))
    for _ in range(3):
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        stack.callback(theirs.close)
        threading.Thread(target=_view, args=(broadcast, ours), daemon=True).start()
    return [*sinks, broadcast]


def slow_sink(stack: ExitStack, overlay: Overlay) -> list[Sink]:
    """A sink that takes a tenth of a second for each frame, beside what is well."""

    class Slow(Closing):
        def write(self, frame: Frame, result: Result) -> None:
            time.sleep(0.1)

    return [*healthy(stack, overlay), stack.enter_context(Background("slow", Slow(), capacity=4))]


FAULTS = {"full disk": full_disk, "dead broker": dead_broker, "slow viewers": slow_viewers, "slow sink": slow_sink}


def _closed(sink: Background) -> None:
    try:
        sink.close()
    except SinkError:
        return


def _view(broadcast: Broadcast, connection: socket.socket) -> None:
    with broadcast.viewer() as pictures:
        for picture in pictures:
            try:
                if picture:
                    connection.sendall(picture[0])
            except OSError:
                return


def kept_shares(rounds: int, frames: int) -> dict[str, float]:
    """For each fault the frame rate as a share of that without, by turns in one process; medians of the rounds."""
    shares: dict[str, list[float]] = {name: [] for name in FAULTS}
    for _ in range(rounds):
        for name, make_sinks in FAULTS.items():
            before = frame_rate(healthy, frames)
            with_fault = frame_rate(make_sinks, frames)
            after = frame_rate(healthy, frames)
            shares[name].append(with_fault / ((before + after) / 2))
    return {name: round(float(np.median(found)), 3) for name, found in shares.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--frames", type=int, default=400, help="of each turn")
    options = made.parse_args(argv)
    proof = Proof("cost")
    shares = kept_shares(options.rounds, options.frames)
    proof.figures["share of the frame rate kept"] = shares
    for name, share in shares.items():
        proof.bar(f"{name}: recognition keeps {KEPT_SHARE:.0%} of its frame rate", share >= KEPT_SHARE)
    return proof.finish(options.out)


if __name__ == "__main__":
    sys.exit(main())
