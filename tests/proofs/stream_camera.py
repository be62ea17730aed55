"""A network camera to torment: motion JPEG over HTTP, each picture saying when it was made.

    python -m tests.proofs.stream_camera PORT FPS [--page] [--bare]

A process of its own, so that it can be killed and stopped. SIGUSR1 freezes the picture, and thaws it. The upper left of
each picture holds the time in milliseconds, modulo 2^20, as twenty squares of black or white; but for ``--bare``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

from runtime.pages import draw_page
from runtime.values import Image

SQUARE = 16
BITS = 20
PERIOD = 2**BITS / 1000
"""Seconds after which the stamp begins anew."""


def stamp(picture: Image, seconds: float) -> None:
    """Write a time into a picture, uint8 (H, W, 3), in place."""
    milliseconds = int(seconds * 1000) % 2**BITS
    for bit in range(BITS):
        picture[:SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = 255 * (milliseconds >> bit & 1)


def age(luma: Image, now: float) -> float:
    """Seconds since a stamped picture, uint8 (H, W), was made."""
    half = SQUARE // 2
    milliseconds = sum(1 << bit for bit in range(BITS) if luma[half, bit * SQUARE + half] > 127)
    return (now - milliseconds / 1000) % PERIOD


class Camera:
    """Makes a picture every so often; each client is sent the latest."""

    def __init__(self, fps: float, page: bool, bare: bool) -> None:
        self.fps, self._bare = fps, bare
        rng = np.random.default_rng(3)
        self._page = (
            draw_page(["407", "1985"], (640, 480), rng).pixels if page else np.full((480, 640, 3), 220, np.uint8)
        )
        self._grain = rng.integers(0, 8, (480 + 32, 640 + 32, 3), np.uint8)
        self._rng = rng
        self.frozen = threading.Event()
        self.changed = threading.Condition()
        self.jpeg = b""

    def run(self) -> None:
        due = time.monotonic()
        while True:
            if not self.frozen.is_set() or not self.jpeg:
                x, y = self._rng.integers(0, 32, 2)
                picture = cv2.add(self._page, self._grain[y : y + 480, x : x + 640])
                if not self._bare:
                    stamp(picture, time.monotonic())
                self.jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            with self.changed:
                self.changed.notify_all()
            due = max(due + 1 / self.fps, time.monotonic() - 0.1)
            time.sleep(max(due - time.monotonic(), 0))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until killed; a line on standard output says that it does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("fps", type=float)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--bare", action="store_true")
    options = parser.parse_args(argv)
    camera = Camera(options.fps, options.page, options.bare)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
            self.end_headers()
            try:
                while True:
                    with camera.changed:
                        camera.changed.wait()
                        jpeg = camera.jpeg
                    head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                    self.wfile.write(head + jpeg + b"\r\n")
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    def toggle(*_: object) -> None:
        if camera.frozen.is_set():
            camera.frozen.clear()
        else:
            camera.frozen.set()

    signal.signal(signal.SIGUSR1, toggle)
    server = Server(("127.0.0.1", options.port), Handler)
    threading.Thread(target=camera.run, daemon=True).start()
    print("serving", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
