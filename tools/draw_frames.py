"""Draw the small labeled set that comes with the benchmarks: ten frames of the demo and two blank papers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from runtime.demo import FRAMES_PER_SCENE, SCENES, demo_frames
from runtime.pages import PAPERS, DrawnDigit, draw_page
from runtime.values import Image

FRAMES = Path(__file__).resolve().parent.parent / "benchmarks" / "frames"
_QUALITY = 62  # of the JPEG: the whole set stays under 300 kB
_SEED = 47


def main() -> int:
    """Write the pictures and ``labels.json``."""
    FRAMES.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, (picture, digits) in enumerate(demo_frames()):
        scene, frame = divmod(index, FRAMES_PER_SCENE)
        if frame == FRAMES_PER_SCENE // 2:
            entries.append(_write(f"demo-{scene:02}.jpg", picture, digits, SCENES[scene].pen, SCENES[scene].rows))
    for paper in ("ruled", "chalkboard"):
        rng = np.random.default_rng(_SEED)
        page = draw_page((), (640, 480), rng, paper=PAPERS[paper])
        noisy = np.clip(page.pixels + rng.normal(0.0, 3.0, page.pixels.shape), 0, 255).astype(np.uint8)
        entries.append(_write(f"blank-{paper}.jpg", noisy, (), paper, ()))
    text = ",\n".join(json.dumps(entry) for entry in entries)
    (FRAMES / "labels.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    print(f"{FRAMES}: {sum(path.stat().st_size for path in FRAMES.iterdir()):,} bytes")
    return 0


def _write(
    name: str, picture: Image, digits: tuple[DrawnDigit, ...], source: str, rows: tuple[str, ...]
) -> dict[str, Any]:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    (FRAMES / name).write_bytes(data.tobytes())
    return {
        "file": name,
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
