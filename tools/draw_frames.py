"""Draw what comes with the benchmarks: a small labeled set, and the three pages that latency is measured on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from runtime.demo import FRAMES_PER_SCENE, SCENES, demo_frames
from runtime.pages import PAPERS, DrawnDigit, draw_page
from runtime.strokes import PENS
from runtime.values import Image

FRAMES = Path(__file__).resolve().parent.parent / "benchmarks" / "frames"
PAGES = FRAMES.with_name("pages")
_FULL_PAGE = (
    "4071 926 38 5512",
    "83 6170 294 7053",
    "725 1948 60 3316",
    "2069 57 4813 920",
    "618 3402 7795 14",
    "95 8270 136 4681",
)
_QUALITY = 62  # of the JPEG: the whole set stays under 300 kB
_SEED = 47


def main() -> int:
    """Write the pictures and ``labels.json`` of both folders."""
    frames = []
    for index, (picture, digits) in enumerate(demo_frames()):
        scene, frame = divmod(index, FRAMES_PER_SCENE)
        if frame == FRAMES_PER_SCENE // 2:
            path = FRAMES / f"demo-{scene:02}.jpg"
            frames.append(_write(path, picture, digits, SCENES[scene].pen, SCENES[scene].rows))
    for paper in ("ruled", "chalkboard"):
        rng = np.random.default_rng(_SEED)
        page = draw_page((), (640, 480), rng, paper=PAPERS[paper])
        noisy = np.clip(page.pixels + rng.normal(0.0, 3.0, page.pixels.shape), 0, 255).astype(np.uint8)
        frames.append(_write(FRAMES / f"blank-{paper}.jpg", noisy, (), paper, ()))
    _label(FRAMES, frames)
    pages = []
    for seed, (name, rows, pen, paper, height) in enumerate(
        (
            ("blank-page", (), "gel", "white", 144.0),
            ("ten-digits", ("407 19", "853 26"), "gel", "white", 168.0),
            ("full-page", _FULL_PAGE, "ballpoint", "cream", 92.0),
        ),
        1,
    ):
        rng = np.random.default_rng(seed)
        page = draw_page(rows, (1280, 960), rng, pen=PENS[pen], paper=PAPERS[paper], digit_height=height)
        pages.append(_write(PAGES / f"{name}.jpg", page.pixels, page.digits, pen, rows))
    _label(PAGES, pages)
    return 0


def _label(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    text = ",\n".join(json.dumps(entry) for entry in entries)
    (folder / "labels.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()):,} bytes")


def _write(
    path: Path, picture: Image, digits: tuple[DrawnDigit, ...], source: str, rows: tuple[str, ...]
) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    path.write_bytes(data.tobytes())
    return {
        "file": path.name,
        "digits": "".join(digit.label for digit in digits),
        "rows": list(rows),
        "boxes": [[*digit.box.as_list(), digit.label] for digit in digits],
        "tags": ["drawn", source] if digits else ["drawn", "negative", "blank"],
        "ignore": [],
        "size": [picture.shape[1], picture.shape[0]],
        "source": source,
    }


if __name__ == "__main__":
    sys.exit(main())
