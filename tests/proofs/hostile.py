"""Pictures that nobody should have made: each is answered or refused in one line, in bounded time and memory.

    python -m tests.proofs.hostile --count 10000 --out docs/proofs/hostile.json

They go through the ``main`` of ``python -m runtime.image``. Address space and computing time of each are limited: what
exceeds them ends the proof. Pillow, which comes with the training environment, makes the kinds that OpenCV cannot.
"""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from runtime.backends import load_classifier
from runtime.image import main as read_pictures
from runtime.pages import draw_page
from tests.proofs.result import Proof, parser

ADDRESS_SPACE = 6 * 1024**3
RESIDENT = 1536 * 1024**2
"""Peak memory allowed: a picture of the most that is accepted, 100 million pixels, takes 300 MB decoded."""

SECONDS = 20
"""Computing time allowed for each."""

SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".tiff", ".gif", ".ppm", ".avif")
MAGIC = (
    *(
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\x00\x10\x00\x00WEBPVP8 ",
        b"RIFF\x00\x10\x00\x00WEBPVP8X",
        b"BM",
    ),
    *(b"GIF89a", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"\0\0\0\x20ftypavif", b"P6 64 48 255\n", b"P4 9 9\n", b""),
)


class Maker:
    """Makes hostile pictures by chance, the same ones for the same seed."""

    def __init__(self, seed: int = 4) -> None:
        self.rng = np.random.default_rng(seed)
        self.page = draw_page(["407"], (160, 120), self.rng).pixels
        self._files = {suffix: cv2.imencode(suffix, self.page)[1].tobytes() for suffix in SUFFIXES}
        self._bombs: dict[str, bytes] = {}
        self.kinds: dict[str, Callable[[], bytes]] = {
            "whole": self.whole,
            "truncated": self.truncated,
            "flipped": self.flipped,
            "garbage": self.garbage,
            "empty": lambda: b"",
            "deep": self.deep,
            "alpha": self.alpha,
            "cmyk": lambda: self.pillow("CMYK", "JPEG"),
            "palette": lambda: self.pillow("P", "PNG"),
            "bilevel": lambda: self.pillow("1", "TIFF"),
            "animated": self.animated,
            "thin": self.thin,
            "lying": self.lying,
            "bomb": self.bomb,
        }

    def whole(self) -> bytes:
        """A picture of any format with nothing wrong."""
        return self._files[str(self.rng.choice(SUFFIXES))]

    def truncated(self) -> bytes:
        """Cut anywhere."""
        data = self.whole()
        return data[: int(self.rng.integers(len(data)))]

    def flipped(self) -> bytes:
        """Some bytes are others."""
        data = bytearray(self.whole())
        for at in self.rng.integers(0, len(data), int(self.rng.integers(1, 20))):
            data[int(at)] = int(self.rng.integers(256))
        return bytes(data)

    def garbage(self) -> bytes:
        """Random bytes behind a header, or behind none."""
        start = MAGIC[int(self.rng.integers(len(MAGIC)))]
        return start + self.rng.bytes(int(self.rng.integers(4000)))

    def deep(self) -> bytes:
        """Sixteen bits, or thirty-two in floating point."""
        if self.rng.random() < 0.5:
            return cv2.imencode(".png", self.page.astype(np.uint16) * 257)[1].tobytes()
        return cv2.imencode(".tiff", self.page.astype(np.float32) / 255)[1].tobytes()

    def alpha(self) -> bytes:
        """With transparency, of eight or sixteen bits."""
        height, width = self.page.shape[:2]
        drawing = np.dstack([self.page, self.rng.integers(0, 256, (height, width), np.uint8)])
        if self.rng.random() < 0.3:
            return cv2.imencode(".png", drawing.astype(np.uint16) * 257)[1].tobytes()
        return cv2.imencode(str(self.rng.choice([".png", ".webp", ".tiff"])), drawing)[1].tobytes()

    def pillow(self, mode: str, kind: str) -> bytes:
        """Of a color model that OpenCV does not write."""
        file = io.BytesIO()
        Pillow.fromarray(self.page[:, :, ::-1]).convert(mode).save(file, kind)
        return file.getvalue()

    def animated(self) -> bytes:
        """Of many pictures, some of other sizes."""
        file = io.BytesIO()
        frames = [Pillow.fromarray(np.roll(self.page, 9 * i, axis=1)) for i in range(int(self.rng.integers(2, 12)))]
        kind = str(self.rng.choice(["GIF", "WEBP", "PNG", "TIFF"]))
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        return file.getvalue()

    def thin(self) -> bytes:
        """A pixel; a line of twenty thousand."""
        sizes = ((1, 1), (1, 20_000), (20_000, 1), (2, 3), (1, 400), (9, 15_000))
        width, height = sizes[int(self.rng.integers(len(sizes)))]
        picture = self.rng.integers(0, 256, (height, width, 3), np.uint8)
        return cv2.imencode(str(self.rng.choice([".png", ".bmp", ".tiff"])), picture)[1].tobytes()

    def lying(self) -> bytes:
        """A header that promises another size than follows."""
        data = bytearray(self._files[".png"])
        struct.pack_into(">II", data, 16, *(int(n) for n in 2 ** self.rng.integers(0, 31, 2)))
        struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
        return bytes(data)

    def bomb(self) -> bytes:
        """A few kilobytes that would be a picture of up to 100 million pixels, or far more than that."""
        side = int(self.rng.choice([9_999, 9_999, 20_000, 60_000]))
        suffix = str(self.rng.choice(["png", "bmp"]))
        key = f"{side}{suffix}"
        if key not in self._bombs:
            self._bombs[key] = _blank_png(side) if suffix == "png" else _hollow_bmp(side)
        return self._bombs[key]


def _blank_png(side: int) -> bytes:
    """A black square that is whole; no more of it than a row is ever in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(side // 8 + 2)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _hollow_bmp(side: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, *[0] * 6)


def hostile(count: int, bombs: bool = True) -> Proof:
    """Read so many.

    Args:
        count: of pictures.
        bombs: make those that decode to a hundred million pixels, too.
    """
    proof = Proof("hostile")
    maker = Maker()
    if not bombs:
        del maker.kinds["bomb"]
    classifier = load_classifier()
    names = list(maker.kinds)
    made: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong: list[str] = []
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as folder, _stderr_to_file(Path(folder) / "stderr") as said:
        for number in range(count):
            kind = names[number % len(names)]
            # Big bombs take a second each; a few do.
            if kind == "bomb" and number >= 100 * len(names):
                kind = "garbage"
            data = maker.kinds[kind]()
            made[kind] += 1
            path = Path(folder) / f"picture{maker.rng.choice(SUFFIXES)}"
            path.write_bytes(data)
            out = io.StringIO()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(10 * SECONDS)  # for what hangs without computing
            started = time.process_time()
            code = read_pictures([str(path)], load=lambda **_: classifier, stdout=out)
            slowest = max(slowest, (time.process_time() - started, f"{kind} {len(data)} bytes"))
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            errors, answers = said().splitlines(), out.getvalue().splitlines()
            (answered if answers else refused)[kind] += 1
            one_answer = code == 0 and len(answers) == 1 and not errors
            one_refusal = code == 1 and not answers and len(errors) == 1 and errors[0].startswith("error: ")
            if not (one_answer or one_refusal):
                wrong.append(f"{number} {kind}: exit {code}, {answers} {errors}"[:300])
            path.unlink()
    peak = _peak_resident()
    proof.figures = {
        "pictures": count,
        "made": dict(made),
        "answered": dict(answered),
        "refused": dict(refused),
        "neither_in_one_line": wrong[:20],
        "slowest_cpu_seconds": round(slowest[0], 2),
        "slowest": slowest[1],
        "peak_resident_megabytes": round(peak / 1e6),
    }
    proof.bar("each was answered or refused in one line", not wrong)
    proof.bar(f"none took longer than {SECONDS} s of computing", slowest[0] < SECONDS)
    proof.bar(f"memory stayed under {RESIDENT // 1024**2} MiB", peak <= RESIDENT)
    return proof


class _stderr_to_file:  # noqa: N801 - used as a function
    """What is written to standard error, by native code too, goes to a file; called, it returns what came since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def __enter__(self) -> Callable[[], str]:
        sys.stderr.flush()
        self._kept = os.dup(2)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 2)
        os.close(file)
        self._python, sys.stderr = sys.stderr, os.fdopen(os.dup(2), "w")
        return self._since

    def __exit__(self, *_: object) -> None:
        sys.stderr.close()
        sys.stderr = self._python
        os.dup2(self._kept, 2)
        os.close(self._kept)

    def _since(self) -> str:
        sys.stderr.flush()
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        return data.decode(errors="replace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    made = parser(__doc__)
    made.add_argument("--count", type=int, default=10_000)
    options = made.parse_args(argv)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    return hostile(options.count).finish(options.out)


def _peak_resident() -> int:
    """Bytes that this process held at most; ``getrusage`` tells a child what its parent held before it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
