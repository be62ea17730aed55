"""Draw the picture that opens the README: four frames of the demo as ``runtime.camera`` shows them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from runtime.annotate import annotate
from runtime.backends import load_classifier
from runtime.demo import FRAMES_PER_SCENE
from runtime.recognizer import Recognizer
from runtime.sources import DemoSource

SCENES = (0, 1, 3, 5)
"""Scenes of the demo that are shown, row by row; each by its middle frame, when tracks have settled."""


def main() -> int:
    """Write ``docs/demo.jpg``."""
    recognizer = Recognizer(load_classifier())
    wanted = {scene * FRAMES_PER_SCENE + FRAMES_PER_SCENE // 2 for scene in SCENES}
    pictures = []
    for frame in DemoSource():
        result = recognizer(frame)
        if frame.index in wanted and frame.color is not None:
            pictures.append(annotate(frame.color, result))
    sheet = np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])])
    path = Path(__file__).resolve().parent.parent / "docs" / "demo.jpg"
    cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{path}: {sheet.shape[1]}x{sheet.shape[0]}, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
