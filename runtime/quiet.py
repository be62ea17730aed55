"""Keep what native libraries print on stderr away from users, who get one line of ours instead."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_lock = threading.Lock()
_kept: int | None = None  # where standard error really goes, while it is silent
_silencing = 0


@contextmanager
def native_stderr_silent() -> Iterator[None]:
    """Send file descriptor 2 nowhere for a while: libpng, libtiff and LiteRT print there and cannot be told not to.

    What Python itself would print meanwhile is lost as well; errors are raised, and so are not. Several threads may be
    in it at once: the last one to leave brings it back.
    """
    _silence()
    try:
        yield
    finally:
        _bring_back()


def silence_opencv() -> None:
    """Silence the logs of OpenCV and its FFmpeg, unless the environment asks for them.

    ``OPENCV_LOG_LEVEL`` and ``OPENCV_FFMPEG_LOGLEVEL`` bring them back.
    """
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # The function's place in OpenCV 4, then in 5; 0 is silence in both.
        set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_level(0)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read when FFmpeg is first used


def _silence() -> None:
    global _kept, _silencing  # noqa: PLW0603 - the descriptor is the process's own
    with _lock:
        _silencing += 1
        if _silencing > 1:
            return
        try:
            _kept = os.dup(2)
        except OSError:  # no stderr at all: nothing to keep silent
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


def _bring_back() -> None:
    global _kept, _silencing  # noqa: PLW0603
    with _lock:
        _silencing -= 1
        if _silencing or _kept is None:
            return
        os.dup2(_kept, 2)
        os.close(_kept)
        _kept = None
