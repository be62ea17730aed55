"""Videos that are readable whatever ends their writing: motion JPEG in Matroska, each picture written through at once.

What OpenCV's VideoWriter has written lies in a buffer of 256 kB, minutes of a page that lies still, and is lost when
the process is killed. Here a picture is a cluster of its own, written in one piece. Elements and their numbers: RFC
9559; their coding: RFC 8794.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

_EBML = 0x1A45DFA3
_SEGMENT = 0x18538067
_INFO, _TIMESTAMP_SCALE, _DURATION, _MUXING_APP, _WRITING_APP = 0x1549A966, 0x2AD7B1, 0x4489, 0x4D80, 0x5741
_TRACKS, _ENTRY, _NUMBER, _UID, _TYPE, _CODEC = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83, 0x86
_LACING, _DEFAULT_DURATION, _VIDEO, _WIDTH, _HEIGHT = 0x9C, 0x23E383, 0xE0, 0xB0, 0xBA
_CLUSTER, _TIMESTAMP, _SIMPLE_BLOCK = 0x1F43B675, 0xE7, 0xA3
_UNKNOWN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"


class MatroskaWriter:
    """Writes JPEG pictures of one size, each with its own time, into a .mkv file."""

    def __init__(self, path: str, size: tuple[int, int], fps: float) -> None:
        """Begin the file, replacing what was there.

        Args:
            path: where.
            size: width, height of the pictures.
            fps: rate that players are told; each picture stands as long as its time says.

        Raises:
            OSError: it cannot be written.
        """
        video = _element(_WIDTH, _number(size[0])) + _element(_HEIGHT, _number(size[1]))
        track = (
            _element(_NUMBER, b"\x01")
            + _element(_UID, b"\x01")
            + _element(_TYPE, b"\x01")  # video
            + _element(_LACING, b"\x00")
            + _element(_DEFAULT_DURATION, _number(round(1e9 / fps)))
            + _element(_CODEC, b"V_MJPEG")
            + _element(_VIDEO, video)
        )
        # Milliseconds; the duration is known when the file is closed, and where it never is, players measure it.
        start = _element(_TIMESTAMP_SCALE, _number(1_000_000)) + _element(_MUXING_APP, b"edge-digits")
        start += _element(_WRITING_APP, b"edge-digits")
        info = _element(_INFO, start + _element(_DURATION, struct.pack(">d", 0.0)))
        header = _element(_EBML, _element(0x4282, b"matroska") + _element(0x4287, b"\x04") + _element(0x4285, b"\x02"))
        header += _SEGMENT.to_bytes(4, "big") + _UNKNOWN_SIZE + info
        self._duration_at = len(header) - 8
        self._frame_milliseconds = 1000 / fps
        self._last = -1
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        self._end = 0
        try:
            self._write(header + _element(_TRACKS, _element(_ENTRY, track)))
        except OSError:
            os.close(self._file)
            raise

    def write(self, jpeg: bytes, seconds: float) -> None:
        """Write a picture: it is in the file as a whole, or not at all.

        Args:
            jpeg: the picture, of the size that was said.
            seconds: since the first picture; never less than before.

        Raises:
            OSError: it cannot be written.
        """
        milliseconds = max(round(1000 * seconds), self._last + 1)
        block = b"\x81\x00\x00\x80" + jpeg  # track 1, 0 after the cluster's timestamp, a key frame
        self._write(_element(_CLUSTER, _element(_TIMESTAMP, _number(milliseconds)) + _element(_SIMPLE_BLOCK, block)))
        self._last = milliseconds

    def close(self) -> None:
        """Note the duration and close the file."""
        duration = struct.pack(">d", self._last + self._frame_milliseconds)
        with suppress(OSError):  # it can be read without
            os.pwrite(self._file, duration, self._duration_at)
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.pwrite(self._file, view, self._end + len(data) - len(view)) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end += len(data)


def _element(number: int, content: bytes) -> bytes:
    """An element: its number, the size of its content in eight bytes, the content."""
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (1 << 56 | len(content)).to_bytes(8, "big") + content


def _number(value: int) -> bytes:
    return value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big")
