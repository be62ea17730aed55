"""Where frames come from: cameras, videos, pictures, streams and the built-in demo, behind one protocol.

Files never drop a frame; live sources keep the latest and count what they drop. A source that was named is never
replaced by another: only ``auto`` may fall back to the demo, and says so.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import cv2

from runtime.capture import (
    AS_THEY_COME,
    Capture,
    PicameraCapture,
    SourceSettings,
    camera_names,
    open_camera,
    open_stream,
    without_password,
)
from runtime.errors import SourceError, UsageError
from runtime.files import VideoSource, open_file
from runtime.live import LiveSource
from runtime.pictures import UPRIGHT, Orientation, to_frame
from runtime.values import Frame, Image

if TYPE_CHECKING:
    from runtime.pages import DrawnDigit

log = logging.getLogger(__name__)

AUTO_SECONDS = 2.0
"""How long ``auto`` waits for each camera's first picture."""


class FrameSource(Protocol):
    """A context manager that yields Frames.

    Attributes:
        name: what the user called it.
        live: True where pictures come by themselves and are lost if not taken in time.
        fps: pictures per second: the file's own, or the rate asked for.
        dropped: pictures lost so far: not taken in time, or unreadable.
    """

    name: str
    live: bool
    fps: float
    dropped: int

    def __enter__(self) -> Self:
        """Return itself: a source is open from its making on."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of device, file and thread."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the source ends; a live one ends only by an error.

        Raises:
            SourceError: the camera vanished, or the file breaks off.
        """
        ...


def open_source(text: str, settings: SourceSettings = AS_THEY_COME, *, allow_demo: bool = True) -> FrameSource:
    """Open a source by its name.

    Args:
        text: ``auto``; a camera's index (``0``) or device (``/dev/video0``); a video file, a picture or a folder of
            pictures; an address (``http…``, ``rtsp…``); ``picamera``; ``demo``.
        settings: what is asked of it.
        allow_demo: whether ``auto`` may become the demo where there is no camera.

    Returns:
        The source, open: use it in a ``with`` statement. A camera or stream that goes away is opened again.

    Raises:
        SourceError: it cannot be opened, or delivers nothing.
        UsageError: the demo was to be turned, or there is no such turn.
    """
    orientation = Orientation(settings.rotate, settings.flip)
    if text == "auto":
        return _open_auto(settings, allow_demo)
    if text == "demo":
        if orientation != UPRIGHT:
            raise UsageError("the demo is drawn upright: leave out --rotate and --flip, or name another --source")
        return DemoSource(settings.size)
    if text == "picamera" or text.isdecimal() or text.startswith("/dev/"):
        log.info("opening camera %s …", text)
        return LiveSource(text, lambda: _open_named(text, settings), settings)
    if "://" in text:
        return _open_url(text, settings)
    return open_file(text, settings.fps, orientation)


class DemoSource:
    """The built-in clip: digits drawn by ``runtime.strokes``, finite, the same each time, with known truth."""

    name = "demo"
    live = False
    fps = 30.0
    dropped = 0

    def __init__(
        self,
        size: tuple[int, int] = (640, 480),
        frames: Iterable[tuple[Image, tuple[DrawnDigit, ...]]] | None = None,
    ) -> None:
        """Draw at this size (width, height), or take these frames and what is written on them."""
        if frames is None:
            from runtime.demo import demo_frames  # here, since only the demo needs to draw

            frames = demo_frames(size)
        self._frames = frames
        self._truth: list[tuple[DrawnDigit, ...]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        """Yield the clip's frames."""
        for index, (picture, digits) in enumerate(self._frames):
            self._truth.append(digits)
            yield to_frame(picture, index, index / self.fps)

    def truth(self, index: int) -> tuple[DrawnDigit, ...]:
        """What is written on a frame already yielded."""
        return self._truth[index]


def auto_source(
    names: Iterable[str], open_camera: Callable[[str], FrameSource], open_demo: Callable[[], FrameSource] | None
) -> FrameSource:
    """The first camera that delivers a picture; without one the demo, where that is allowed.

    Args:
        names: cameras in the order in which to try them.
        open_camera: opens one, or raises SourceError.
        open_demo: opens the demo; None where a missing camera is an error.

    Raises:
        SourceError: no camera delivered a picture, and the demo is not allowed.
    """
    failures = []
    for name in names:
        log.info("trying camera %s …", name)
        try:
            return open_camera(name)
        except SourceError as error:
            failures.append(str(error))
    found = "; ".join(failures[:3]) or "none is connected"  # a Pi has a dozen devices that are no cameras
    if open_demo is None:
        raise SourceError(
            f"no camera ({found}): plug one in, or name a --source; where results are written, "
            "the demo takes no camera's place unless named"
        )
    log.warning("NO CAMERA (%s): showing the built-in demo instead", found)
    return open_demo()


def _open_named(name: str, settings: SourceSettings) -> Capture:
    return PicameraCapture(settings) if name == "picamera" else open_camera(name, settings)


def _open_auto(settings: SourceSettings, allow_demo: bool) -> FrameSource:
    def open_demo() -> DemoSource:
        if (settings.rotate, settings.flip) != (0, "none"):
            log.warning("--rotate and --flip are left out: the demo is drawn upright")
        return DemoSource(settings.size)

    def open_live(name: str) -> LiveSource:
        return LiveSource(name, lambda: _open_named(name, settings), settings, timeout_seconds=AUTO_SECONDS)

    if settings.wait:
        return LiveSource("auto", lambda: _first_that_delivers(settings), settings)
    return auto_source(_auto_names(), open_live, open_demo if allow_demo else None)


def _auto_names() -> list[str]:
    on_pi = sys.platform == "linux" and find_spec("picamera2")
    return ["picamera", *camera_names()] if on_pi else camera_names()


def _first_that_delivers(settings: SourceSettings) -> Capture:
    for name in _auto_names():
        try:
            capture = _open_named(name, settings)
        except SourceError:
            continue
        try:
            delivers = capture.read()[0]
        except cv2.error:
            delivers = False
        if delivers:
            return capture
        capture.release()
    raise SourceError("no camera is connected, or none delivers a picture")


def _open_url(url: str, settings: SourceSettings) -> FrameSource:
    """A stream; or, where the address leads to a video with an end, that video, of which no frame is dropped."""
    name = without_password(url)
    log.info("opening %s …", name)
    if settings.wait:
        return LiveSource(name, lambda: open_stream(url), settings)
    capture = open_stream(url)
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
        return VideoSource(name, capture, orientation=Orientation(settings.rotate, settings.flip))
    opened = iter([capture])
    return LiveSource(name, lambda: next(opened, None) or open_stream(url), settings)
