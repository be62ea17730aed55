"""The window: what was read drawn on the picture, with keys; and whether a window can be shown here at all."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2

from runtime.annotate import banner, panel
from runtime.errors import SinkError
from runtime.sinks import Closing, unused_path
from runtime.values import Frame, Image, Result

log = logging.getLogger(__name__)

KEYS = (
    *("q, Esc\tquit", "space\tpause, go on", "s\tsave the picture"),
    *("o\thide or show what was read", "h\tshow or hide this"),
)
"""What the keys do: key, tab, meaning."""


class WindowSink(Closing):
    """A window with what was read drawn on the picture; its keys pause, save and quit.

    Attributes:
        stop_asked: whether the user wants to end: pressed q or Escape, or closed the window.
    """

    title = "edge-digits"

    def __init__(
        self,
        draw: Callable[[Frame, Result], Image],
        *,
        live: bool = True,
        windows: WindowSystem | None = None,
        clock: Callable[[], float] = time.monotonic,
        folder: Path = Path(),
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare the window; it opens with the first frame.

        Args:
            draw: makes the picture, uint8 BGR (H, W, 3), of a frame and its result.
            live: show each frame at once; else wait until it is due by the source's time.
            windows: shows windows; OpenCV by default.
            clock: seconds from any start.
            folder: where the key s saves pictures.
            stop: asked, while a file's picture waits for its time or a key, whether to end instead.

        Raises:
            SinkError: no window can be shown here.
        """
        if windows is None:
            obstacle = window_obstacle()
            if obstacle:
                raise SinkError(f"cannot show a window: {obstacle}")
        self.stop_asked = False
        self._windows = windows or OpenCvWindows()
        self._draw = draw
        self._live, self._stop = live, stop
        self._clock = clock
        self._folder = folder
        self._opened, self._started = False, 0.0
        self._picture: Image | None = None
        self._index = 0
        self._trouble = ""
        self._help = self._paused = self._bare = False
        self._frames = 0

    def write(self, frame: Frame, result: Result) -> None:
        """Show the picture and handle keys until the next one is due.

        Paused, a file waits until the user goes on; a live source is read on, and its picture stands still here alone.
        """
        if self._picture is None or not self._paused:
            self._picture, self._index = self._drawn(frame, result), frame.index
        self._frames += 1
        self._trouble = ""
        if not self._opened:
            self._windows.open(self.title, self._picture.shape[1::-1])
            self._opened, self._started = True, self._clock() - frame.seconds
        self._show()
        if self._live:
            self._poll()
            return
        while not (self.stop_asked or self._stop()):
            wait = frame.seconds - (self._clock() - self._started)
            self._handle(self._windows.key(min(max(wait, 0.001), 0.1)))
            if wait <= 0.1:
                break
        # Having fallen behind, go on from here rather than hurry after.
        self._started = max(self._started, self._clock() - frame.seconds - 0.1)

    def idle(self, trouble: str) -> None:
        """Stay responsive while no frame comes, and show why none does."""
        if self._opened:
            self._trouble = trouble
            self._show()
            self._poll()

    def close(self) -> None:
        """Close the window; a single picture stays until a key is pressed."""
        if not self._opened:
            return
        if self._frames == 1 and not self._live and not self.stop_asked:
            while not self._windows.key(0.1) and self._windows.is_open(self.title):
                if self._stop():
                    break
        self._opened = False
        self._windows.close(self.title)

    def _drawn(self, frame: Frame, result: Result) -> Image:
        if not self._bare:
            return self._draw(frame, result)
        return cv2.cvtColor(frame.luma, cv2.COLOR_GRAY2BGR) if frame.color is None else frame.color

    def _poll(self) -> None:
        """Handle a key of a live source's window, if one was pressed."""
        key = self._windows.key(0.001)
        self._paused ^= key == " "
        self._act(key)

    def _handle(self, key: str) -> None:
        self._act(key)
        if key != " ":
            return
        paused = self._clock()
        self._paused = True
        self._show()
        key = ""
        while not (self.stop_asked or self._stop()) and key != " ":
            key = self._windows.key(0.1)
            if key != " ":
                self._act(key)
        self._paused = False
        self._started += self._clock() - paused

    def _act(self, key: str) -> None:
        if key in ("q", "esc") or not self._windows.is_open(self.title):
            self.stop_asked = True
        elif key == "h":
            self._help = not self._help
            self._show()
        elif key == "o":
            self._bare = not self._bare
        elif key == "s" and self._picture is not None:
            path = unused_path(self._folder / f"edge-digits-{self._index:06d}.png")
            if cv2.imwrite(str(path), self._picture):
                log.info("saved %s", path)
            else:
                log.warning("cannot save %s", path)

    def _show(self) -> None:
        picture = self._picture
        if picture is None:
            return
        if self._help:
            picture = panel(picture, "Keys", KEYS)
        if self._paused:
            picture = banner(picture, "Paused", "space: go on")
        elif self._trouble:
            picture = banner(picture, "No picture", self._trouble)
        self._windows.show(self.title, picture)


class WindowSystem(Protocol):
    """The part of OpenCV that shows windows; ``OpenCvWindows`` is it, tests hand in another."""

    def open(self, title: str, size: tuple[int, int]) -> None:
        """Open a window for pictures of this size (width, height)."""
        ...

    def show(self, title: str, picture: Image) -> None:
        """Show a picture."""
        ...

    def key(self, seconds: float) -> str:
        """Wait for a key as long as this; the key, ``"esc"``, or ``""`` where none was pressed."""
        ...

    def is_open(self, title: str) -> bool:
        """Whether the user has left the window open."""
        ...

    def close(self, title: str) -> None:
        """Close the window."""
        ...


class OpenCvWindows:
    """Windows by OpenCV's highgui."""

    def open(self, title: str, size: tuple[int, int]) -> None:
        """Open a window, at most as large as a small screen."""
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        scale = min(1280 / size[0], 800 / size[1], 1.0)
        cv2.resizeWindow(title, round(size[0] * scale), round(size[1] * scale))

    def show(self, title: str, picture: Image) -> None:
        """Show a picture."""
        cv2.imshow(title, picture)

    def key(self, seconds: float) -> str:
        """Wait for a key; windows are drawn meanwhile."""
        code = cv2.waitKey(max(round(seconds * 1000), 1)) & 0xFF
        return {255: "", 27: "esc"}.get(code, chr(code))

    def is_open(self, title: str) -> bool:
        """Whether the window is still there."""
        try:
            return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # so says Qt once the last window is closed
            return False

    def close(self, title: str) -> None:
        """Close the window."""
        if self.is_open(title):
            cv2.destroyWindow(title)


def window_obstacle(framework: str | None = None, display: str | None = None) -> str:
    """Why no window can be shown here, with what to do; empty where one can.

    To be asked before any window is opened: without a display, OpenCV's windows end the whole process.

    Args:
        framework: what shows OpenCV's windows, empty for a build without; this build's by default.
        display: the X display; that of the environment by default.
    """
    framework = cv2.currentUIFramework() if framework is None else framework
    if sys.platform.startswith("linux"):
        display = os.environ.get("DISPLAY", "") if display is None else display
        if not display:
            # The wheel's Qt speaks X alone; on Wayland desktops Xwayland sets DISPLAY.
            return "no display: DISPLAY is not set (a desktop sets it, and so does ssh -X)"
        if not _display_answers(display):
            return f"no display answers at DISPLAY={display}"
    if not framework:
        return (
            "this OpenCV was built without windows: sudo apt install libgl1 libglib2.0-0 libsm6 libxext6, then "
            "pip uninstall opencv-python-headless and pip install opencv-python"
        )
    return ""


def _display_answers(display: str) -> bool:
    """Whether an X server listens, at the socket named after the display's number or at TCP port 6000 + number."""
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdecimal():
        return False
    if host in ("", "unix") or host.startswith("/"):
        path = f"/tmp/.X11-unix/X{number}"
        attempts = [(socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + path)]
    else:
        attempts = []
    for family, address in attempts:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            if not connection.connect_ex(address):
                return True
    try:
        socket.create_connection((host or "localhost", 6000 + int(number)), timeout=1).close()
    except OSError:
        return False
    return True
