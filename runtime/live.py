"""Cameras and streams: the only capture thread of the project, and what hands it pictures.

The thread keeps the latest picture alone, so that a slow consumer sees the present and not a queue of the past.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2

from runtime.errors import SourceError
from runtime.pictures import UPRIGHT, Orientation, natural_key, to_frame
from runtime.values import Frame, Image

log = logging.getLogger(__name__)

STREAM_TIMEOUT_SECONDS = 5.0
"""How long opening a stream, or one read from it, may take. (OpenCV's default is 30.)"""

CAMERA_TIMEOUT_SECONDS = 10.0
"""How long a camera may take to its first picture."""

_ON_LINUX = sys.platform.startswith("linux")
_GRACE_SECONDS = 1.0  # failed reads in a row for so long are the end; one corrupt JPEG is one failed read
_RETRY_SECONDS = 0.02
_CLOSE_SECONDS = 2.0


class Capture(Protocol):
    """What delivers pictures one after the other; ``cv2.VideoCapture`` is one."""

    def read(self) -> tuple[bool, Image | None]:
        """Wait for the next picture: (True, uint8 BGR (H, W, 3) or luma (H, W)), or (False, None) on failure."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


class LiveSource:
    """A camera or stream, read by a thread of its own into a one-slot mailbox.

    The thread opens the capture, so a driver that hangs delays nobody for longer than the time-out. What the thread
    meets, it raises in whoever iterates.

    Attributes:
        name: what the user called it.
        live: True: pictures not taken in time are dropped.
        dropped: pictures that arrived and were never taken.
        fps: the rate asked for.
    """

    live = True

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], Capture],
        *,
        fps: float = 30.0,
        orientation: Orientation = UPRIGHT,
        timeout_seconds: float = CAMERA_TIMEOUT_SECONDS,
    ) -> None:
        """Start the thread and wait for the first picture.

        Raises:
            SourceError: the capture did not open, or delivered no picture within the time-out.
        """
        self.name = name
        self.fps = fps
        self.dropped = 0
        self._orientation = orientation
        self._changed = threading.Condition()
        self._slot: tuple[Image, int, float] | None = None
        self._error: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._capture, args=(open_capture,), name=f"capture {name}", daemon=True)
        self._thread.start()
        try:
            self._await_first(timeout_seconds)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the latest picture each time; ends only by an error or ``close``."""
        first: float | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot or self._error or self._stopping)
                taken, self._slot = self._slot, None
            if taken is None:
                if self._error:
                    raise self._error
                return
            picture, index, at = taken
            first = at if first is None else first
            yield to_frame(picture, index, at - first, self._orientation)

    def close(self) -> None:
        """Ask the thread to end and wait for it; it releases the device after the read that it is in."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)

    def _await_first(self, timeout_seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._slot or self._error, timeout_seconds)
            if self._slot:
                return
            raise self._error or SourceError(
                f"{self.name} delivered no picture within {timeout_seconds:g} seconds: "
                "is another program using it? Try --size 640x480"
            )

    def _capture(self, open_capture: Callable[[], Capture]) -> None:
        """The thread: open, read until asked to stop, release."""
        try:
            capture = open_capture()
            try:
                self._read(capture)
            finally:
                capture.release()
        except BaseException as error:  # noqa: BLE001 - handed over: the consumer raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _read(self, capture: Capture) -> None:
        index = 0
        last = time.monotonic()
        while not self._stopping:
            arrived, picture = capture.read()
            now = time.monotonic()
            if not arrived or picture is None:
                if now - last > _GRACE_SECONDS:
                    raise SourceError(f"{self.name} stopped delivering pictures after {index}: unplugged or ended?")
                time.sleep(_RETRY_SECONDS)
                continue
            last = now
            with self._changed:
                self.dropped += self._slot is not None
                self._slot = picture, index, now
                self._changed.notify_all()
            index += 1


def camera_names() -> list[str]:
    """Cameras that ``--source auto`` tries, in order: on Linux the devices that exist, elsewhere the first indices."""
    if _ON_LINUX:
        return [str(path) for path in sorted(Path("/dev").glob("video[0-9]*"), key=natural_key)]
    return ["0", "1", "2"]


def open_camera(name: str, size: tuple[int, int], fps: float) -> Capture:
    """Open a camera by index (``"0"``) or device path, and ask it for motion JPEG, size and rate.

    Raises:
        SourceError: there is no such camera, it may not be used, or its driver refuses.
    """
    path = Path(f"/dev/video{int(name)}" if name.isdecimal() else name)
    if _ON_LINUX:
        if not path.exists():
            present = ", ".join(camera_names()) or "none"
            raise SourceError(f"no camera at {path} (present: {present}): plug one in, or try --source demo")
        if not os.access(path, os.R_OK | os.W_OK):
            raise SourceError(f"no permission to use {path}: sudo usermod -aG video $USER, then log in again")
        # By index where we can: OpenCV opens a device path too, but leaves it as it is.
        device = path.resolve().name.removeprefix("video")
        capture = cv2.VideoCapture(int(device) if device.isdecimal() else str(path), cv2.CAP_V4L2)
    else:
        capture = cv2.VideoCapture(int(name) if name.isdecimal() else name)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"camera {name} does not open: is it a camera, and is no other program using it?")
    # Motion JPEG first: at raw YUYV, USB 2 carries 640x480 at 30 fps and little more.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def open_stream(url: str) -> cv2.VideoCapture:
    """Open a network stream (MJPEG over HTTP, RTSP, …) with FFmpeg, within ``STREAM_TIMEOUT_SECONDS``.

    Raises:
        SourceError: nothing answers, or what answers is no video.
    """
    milliseconds = int(STREAM_TIMEOUT_SECONDS * 1000)
    options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{url} does not open as a video stream: is the address right, and does the camera answer?")
    return capture


class PicameraCapture:
    """A Raspberry Pi camera by Picamera2, which comes from apt and not from PyPI."""

    def __init__(self, size: tuple[int, int], fps: float, make_camera: Callable[[], Any] | None = None) -> None:
        """Configure and start the camera.

        Args:
            size: width, height.
            fps: pictures per second asked for.
            make_camera: what makes a Picamera2; the real one by default.

        Raises:
            SourceError: Picamera2 is not installed, or finds no camera.
        """
        make_camera = make_camera or _picamera2()
        try:
            self._camera = make_camera()
        except (RuntimeError, IndexError) as error:  # Picamera2 raises IndexError where there is no camera
            raise SourceError(
                f"Picamera2 finds no camera ({error}): check the ribbon cable, then rpicam-hello"
            ) from error
        configuration = self._camera.create_video_configuration(
            main={"size": size, "format": "RGB888"},  # libcamera's name for bytes in the order B, G, R
            controls={"FrameRate": fps},
        )
        self._camera.configure(configuration)
        self._camera.start()

    def read(self) -> tuple[bool, Image | None]:
        """Wait for the next picture, uint8 BGR (H, W, 3)."""
        return True, self._camera.capture_array("main")

    def release(self) -> None:
        """Stop the camera and free it for others."""
        self._camera.stop()
        self._camera.close()


def _picamera2() -> Callable[[], Any]:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise SourceError(
            f"--source picamera needs Picamera2 ({error}): sudo apt install python3-picamera2, "
            "and make the environment with python3 -m venv --system-site-packages"
        ) from error
    make: Callable[[], Any] = Picamera2
    return make
