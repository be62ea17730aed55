"""What delivers pictures one after the other: cameras, network streams, the Raspberry Pi camera."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2

from runtime.errors import SourceError
from runtime.pictures import Flip, natural_key
from runtime.values import Image

log = logging.getLogger(__name__)

STREAM_TIMEOUT_SECONDS = 5.0
"""How long opening a stream, or one read from it, may take. (OpenCV's default is 30.)"""

_ON_LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How a source is opened, and how long one that lives is waited for.

    Attributes:
        size: width, height asked of a camera; the demo's size. Files and streams keep their own.
        fps: pictures per second asked of a camera; the rate at which a folder's pictures count as shown.
        rotate: degrees clockwise: 0, 90, 180 or 270.
        flip: ``none``, ``horizontal``, ``vertical`` or ``both``, after the rotation.
        exposure: milliseconds at which a camera's exposure is locked; None leaves it automatic.
        focus: where a camera's focus is locked, in the camera's own steps (a Pi's: diopters); None: automatic.
        color: whether color is needed; a Raspberry Pi camera then delivers luma alone.
        wait: wait for a camera or stream that is not there yet.
        give_up_seconds: how long one that went is tried again before that is an error; None: for ever.
        frozen_seconds: how long a picture may stay the same, bit by bit, until it is opened anew; 0: for ever.
    """

    size: tuple[int, int] = (640, 480)
    fps: float = 30.0
    rotate: int = 0
    flip: Flip = "none"
    exposure: float | None = None
    focus: float | None = None
    color: bool = True
    wait: bool = False
    give_up_seconds: float | None = None
    frozen_seconds: float = 30.0


AS_THEY_COME = SourceSettings()
"""The defaults."""


class Capture(Protocol):
    """What delivers pictures one after the other; ``cv2.VideoCapture`` is one."""

    def read(self) -> tuple[bool, Image | None]:
        """Wait for the next picture: (True, uint8 BGR (H, W, 3) or luma (H, W)), or (False, None) on failure."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


class CameraControls(Protocol):
    """The part of ``cv2.VideoCapture`` that asks a camera for something, by the numbers of OpenCV's properties."""

    def set(self, propId: int, value: float) -> bool:  # noqa: N803 - OpenCV's own name
        """Ask; whether the driver took it."""
        ...

    def get(self, propId: int) -> float:  # noqa: N803
        """What holds now."""
        ...


def camera_names() -> list[str]:
    """Cameras that ``--source auto`` tries, in order: on Linux the devices that exist, elsewhere the first indices."""
    if _ON_LINUX:
        return [str(path) for path in sorted(Path("/dev").glob("video[0-9]*"), key=natural_key)]
    return ["0", "1", "2"]


def open_camera(name: str, settings: SourceSettings = AS_THEY_COME) -> Capture:
    """Open a camera by index (``"0"``) or device path, and ask it for motion JPEG and what the settings say.

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
    configure_camera(capture, name, settings)
    return capture


def configure_camera(capture: CameraControls, name: str, settings: SourceSettings) -> None:
    """Ask an opened camera for motion JPEG, size, rate, exposure and focus, and log what it grants."""
    width, height = settings.size
    # Motion JPEG first: at raw YUYV, USB 2 carries 640x480 at 30 fps and little more.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    # The units are those of Linux's camera controls: 1 is manual exposure, times count in 100 microseconds.
    locks = {
        "exposure": (cv2.CAP_PROP_AUTO_EXPOSURE, 1, cv2.CAP_PROP_EXPOSURE, settings.exposure, 10.0),
        "focus": (cv2.CAP_PROP_AUTOFOCUS, 0, cv2.CAP_PROP_FOCUS, settings.focus, 1.0),
    }
    for what, (automatic, manual, lock, value, unit) in locks.items():
        if value is None:
            continue
        capture.set(automatic, manual)  # refused by cameras that have no automatic, which is as well
        if not capture.set(lock, round(value * unit)):
            log.warning("camera %s does not let its %s be set: it stays as it is", name, what)
    granted = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    code = round(capture.get(cv2.CAP_PROP_FOURCC))
    letters = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24))
    log.info(
        "camera %s: %dx%d at %g pictures per second, %s%s",
        *(name, *granted, capture.get(cv2.CAP_PROP_FPS), letters if letters.isprintable() else "raw"),
        "" if granted == settings.size else f" (asked for {width}x{height})",
    )


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
        name = without_password(url)
        raise SourceError(f"{name} does not open as a video stream: is the address right, and does the camera answer?")
    return capture


def without_password(url: str) -> str:
    """The address as it may be shown: without the password before ``@``, and without all that stands behind ``?``."""
    shown = re.sub(r"(?<=://)([^/?#:]*):[^/?#]*@", r"\1@", url)
    return re.sub(r"\?.*", "?…", shown)


class PicameraCapture:
    """A Raspberry Pi camera by Picamera2, which comes from apt and not from PyPI."""

    def __init__(self, settings: SourceSettings, make_camera: Callable[[], Any] | None = None) -> None:
        """Configure and start the camera.

        Args:
            settings: where no color is needed, the luma of its low-resolution stream is used as it comes.
            make_camera: what makes a Picamera2; the real one by default.

        Raises:
            SourceError: Picamera2 is not installed, finds no camera, or cannot do what is asked of it.
        """
        make_camera = make_camera or _picamera2()
        try:
            self._camera = make_camera()
        except (RuntimeError, IndexError) as error:  # Picamera2 raises IndexError where there is no camera
            raise SourceError(
                f"Picamera2 finds no camera ({error}): check the ribbon cable, then rpicam-hello"
            ) from error
        # Names and units of the controls: libcamera's, as the Picamera2 manual lists them (appendix C).
        controls: dict[str, Any] = {"FrameRate": settings.fps}
        if settings.exposure is not None:
            controls |= {"AeEnable": False, "ExposureTime": round(1000 * settings.exposure)}
        if settings.focus is not None:
            controls |= {"AfMode": 0, "LensPosition": settings.focus}  # 0 is manual
        streams: dict[str, Any] = {"main": {"size": settings.size, "format": "RGB888"}}  # bytes in the order B, G, R
        if not settings.color:
            streams["lores"] = {"size": settings.size, "format": "YUV420"}
        self._size, self._color = settings.size, settings.color
        try:
            self._camera.configure(self._camera.create_video_configuration(**streams, controls=controls))
            self._camera.start()
        except (RuntimeError, ValueError) as error:
            self._camera.close()
            raise SourceError(
                f"Picamera2 does not start ({error}): try --size 640x480, and leave out --focus and --exposure"
            ) from error

    def read(self) -> tuple[bool, Image | None]:
        """Wait for the next picture: uint8 BGR (H, W, 3); luma (H, W) where no color is needed."""
        try:
            picture = self._camera.capture_array("main" if self._color else "lores")
        except RuntimeError:
            return False, None
        # Luma in the first rows, the two halves of chroma below; rows may be padded.
        width, height = self._size
        return True, picture if self._color else picture[:height, :width]

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
