"""Keep what native libraries print on stderr away from users, who get one line of ours instead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def native_stderr_silent() -> Iterator[None]:
    """Send file descriptor 2 nowhere for a while: libpng, libtiff and LiteRT print there and cannot be told not to.

    What Python itself would print meanwhile is lost as well; errors are raised, and so are not.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all: nothing to keep silent
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def silence_opencv() -> None:
    """Silence the logs of OpenCV and its FFmpeg, unless the environment asks for them.

    ``OPENCV_LOG_LEVEL`` and ``OPENCV_FFMPEG_LOGLEVEL`` bring them back.
    """
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # The function's place in OpenCV 4, then in 5; 0 is silence in both.
        set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_level(0)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read when FFmpeg is first used
