"""Pictures: read safely from files, turned upright, made into Frames. Nothing is decoded before its size is known."""

from __future__ import annotations

import contextlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

import cv2
import numpy as np

from runtime.errors import SourceError, UsageError
from runtime.quiet import native_stderr_silent
from runtime.values import Frame, Image

MAX_PIXELS = 100_000_000
"""Pictures of more pixels are refused: decoded, they would take 400 MB and more. Phones deliver 12 to 50 million."""

PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".pbm", ".pnm", ".avif")
)
"""What makes a file in a folder a picture. A file named by itself is told by its content, whatever its name."""

Flip: TypeAlias = Literal["none", "horizontal", "vertical", "both"]

_MAX_FILE_BYTES = 512 * 1024 * 1024
_ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_FLIPS = {"horizontal": 1, "vertical": 0, "both": -1}


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a source's pictures are turned before anything looks at them: first rotated, then flipped.

    Attributes:
        rotate: degrees clockwise: 0, 90, 180 or 270.
        flip: ``none``, ``horizontal`` (a mirror), ``vertical`` or ``both``.

    Raises:
        UsageError: any other turn.
    """

    rotate: int = 0
    flip: Flip = "none"

    def __post_init__(self) -> None:
        if self.rotate not in (0, *_ROTATIONS):
            raise UsageError(f"rotate is {self.rotate}; expected 0, 90, 180 or 270 degrees")
        if self.flip not in ("none", *_FLIPS):
            raise UsageError(f"flip is {self.flip!r}; expected none, horizontal, vertical or both")

    def apply(self, picture: Image) -> Image:
        """Turn a picture; the same array comes back where there is nothing to turn."""
        if self.rotate:
            picture = cv2.rotate(picture, _ROTATIONS[self.rotate])
        if self.flip != "none":
            picture = cv2.flip(picture, _FLIPS[self.flip])
        return picture


UPRIGHT = Orientation()


def to_frame(picture: Image, index: int, seconds: float, orientation: Orientation = UPRIGHT, file: str = "") -> Frame:
    """Make a Frame of a decoded picture.

    Args:
        picture: uint8 (H, W, 3) in BGR order; or (H, W), luma alone, and then the frame's color is None.
        index: counts from 0, dropped pictures too.
        seconds: since the source's first picture.
        orientation: how to turn it.
        file: the picture file that it is from, if it is from one.
    """
    picture = orientation.apply(picture)
    if picture.ndim == 2:
        return Frame(picture, None, index, seconds, file)
    return Frame(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), picture, index, seconds, file)


def read_picture(path: Path | str) -> Image:
    """Decode an image file.

    EXIF orientation is honored, transparency is laid on white paper, 16 bits become 8, gray becomes color, and of an
    animation the first picture is taken.

    Returns:
        uint8 (H, W, 3) in BGR order.

    Raises:
        SourceError: the file cannot be read, is empty, is no picture, is damaged, or is larger than ``MAX_PIXELS``.
    """
    return decode_picture(_file_content(Path(path)), str(path))


def decode_picture(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode an image file's content, as ``read_picture`` does.

    Args:
        data: the content.
        name: what to call it in an error.
        max_pixels: more are refused before anything is decoded.

    Returns:
        uint8 (H, W, 3) in BGR order.

    Raises:
        SourceError: it is no picture, is damaged, or is larger than ``max_pixels``.
    """
    size = picture_size(data)
    if size is None:
        raise SourceError(f"{name} is not a picture that can be read (PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF or PNM)")
    width, height = size
    if width * height > max_pixels:
        raise SourceError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} million pixels, "
            f"more than the {max_pixels / 1e6:.0f} million that are accepted: scale it down"
        )
    picture = _decode(data)
    if picture is None:
        raise SourceError(
            f"{name} is damaged or truncated (or of a kind that OpenCV {cv2.__version__} does not decode): "
            f"it begins like a picture of {width} x {height}, but does not go on like one"
        )
    return picture


def picture_paths(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order (``page2`` before ``page10``); hidden files and subfolders left out.

    Raises:
        SourceError: the folder cannot be listed or holds no picture.
    """
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    except OSError as error:
        raise SourceError(f"cannot list the folder {folder}: {error.strerror}") from error
    paths = [path for path in paths if not path.name.startswith(".")]
    if not paths:
        raise SourceError(f"no pictures in {folder}: looked for names that end in .png, .jpg, .webp, .bmp, .tif, …")
    return sorted(paths, key=natural_key)


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """A sorting key by which numbers inside names count as numbers."""
    pieces = re.split(r"([0-9]+)", path.name.casefold())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces if piece]


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header of an image file promises, or None where it is no picture that we know.

    Read from the headers themselves since OpenCV's own limit is fixed before Python can set it, and stands at 2^30.
    """
    size = None
    with contextlib.suppress(struct.error, IndexError, ValueError):
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            size = struct.unpack(">II", data[16:24])
        elif data.startswith(b"\xff\xd8"):
            size = _jpeg_size(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            size = _webp_size(data)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            size = _gif_size(data)
        elif data.startswith(b"BM"):
            size = _bmp_size(data)
        elif data.startswith((b"II*\0", b"MM\0*")):
            size = _tiff_size(data)
        elif data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1"):
            size = _avif_size(data)
        elif re.match(rb"P[1-6]\s", data):
            size = _pnm_size(data)
    return cast("tuple[int, int]", size) if size and min(size) > 0 else None


def _file_content(path: Path) -> bytes:
    try:
        count = path.stat().st_size
        if count > _MAX_FILE_BYTES:
            raise SourceError(f"{path} has {count:,} bytes, more than the {_MAX_FILE_BYTES:,} accepted for a picture")
        if not count and path.is_file():
            raise SourceError(f"{path} is empty: 0 bytes")
        if not path.is_file():
            raise SourceError(f"{path} is not a file")
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error


def _decode(data: bytes) -> Image | None:
    """uint8 (H, W, 3) BGR, or None where the decoder gave up."""
    if data.startswith(b"\x89PNG") and not _png_is_whole(data):
        return None
    array = np.frombuffer(data, np.uint8)
    try:
        with native_stderr_silent():  # libpng and libtiff complain about damaged files
            if _has_alpha(data):
                return _on_white(cv2.imdecode(array, cv2.IMREAD_UNCHANGED))
            return cv2.imdecode(array, cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def _has_alpha(data: bytes) -> bool:
    if data.startswith(b"\x89PNG"):
        return data[25] in (4, 6) or b"tRNS" in data[:4096]
    return data[8:16] == b"WEBPVP8L" or (data[8:16] == b"WEBPVP8X" and bool(data[20] & 0x10))


def _on_white(picture: Image | None) -> Image | None:
    """Lay a picture with transparency on white paper: drawings made on nothing are black on black without it."""
    if picture is None:
        return None
    if picture.dtype != np.uint8:
        picture = (picture >> 8).astype(np.uint8)
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    if picture.shape[2] == 3:
        return picture
    opacity = picture[:, :, 3]
    if opacity.min() == 255:
        return cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR)
    opacity = cv2.merge([opacity] * 3)
    ink = cv2.multiply(picture[:, :, :3], opacity, scale=1 / 255)
    return cv2.add(ink, cv2.bitwise_not(opacity))


def _png_is_whole(data: bytes) -> bool:
    """Whether the chunks follow each other up to ``IEND`` (PNG specification, section 5.3).

    OpenCV's decoder would take as much memory as a chunk says that it is long: up to four gigabytes.
    """
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk the segments up to the start of frame (markers C0–CF without C4, C8, CC; ITU-T T.81, table B.1)."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # fill bytes, markers without a body
            at += 1 if marker == 0xFF else 2
            continue
        length = struct.unpack(">H", data[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(length, 2)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """The three kinds of first chunk (RFC 9649, section 2)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = struct.unpack("<I", data[21:25])[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack("<HH", data[6:10])
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    if struct.unpack("<I", data[14:18])[0] == 12:  # the oldest header has 16-bit sizes
        width, height = struct.unpack("<HH", data[18:22])
    else:
        width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Tags 256 and 257 of the first directory (TIFF 6.0, section 2)."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    found = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack(order + "HH", data[entry : entry + 4])
        if tag in (256, 257):  # width and length, as 16-bit (kind 3) or 32-bit numbers
            found[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
    return found.get(256, 0), found.get(257, 0)


def _avif_size(data: bytes) -> tuple[int, int] | None:
    """The largest ``ispe`` (image spatial extents) property: a grid's tiles have their own, smaller ones."""
    sizes = []
    at = data.find(b"ispe")
    while 0 <= at < 65536:
        sizes.append(struct.unpack(">II", data[at + 8 : at + 16]))
        at = data.find(b"ispe", at + 4)
    return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None


def _pnm_size(data: bytes) -> tuple[int, int] | None:
    header = re.sub(rb"#[^\n]*\n", b" ", data[:1024])
    match = re.match(rb"P[1-6]\s+(\d{1,9})\s+(\d{1,9})\s", header)
    return (int(match[1]), int(match[2])) if match else None
