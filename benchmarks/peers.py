"""What others do, for comparison: the digit reader that tutorials teach, with this project's own classifier."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from runtime.backends import Classifier
from runtime.preprocess import preprocess
from runtime.values import Box, Frame, Image, Prediction, Reading

WINDOW, OFFSET = 31, 10
"""Of the threshold, in pixels and gray levels. With the smaller windows that tutorials often show, it reads worse."""


def tutorial_reader(classifier: Classifier) -> Callable[[Frame], tuple[Reading, ...]]:
    """Blur, adaptive Gaussian threshold, external contours, each cut out and classified; sure by half is read.

    The polarity is guessed, as such programs do, from the frame: ink is what there is less of. The cut-outs pass
    through the runtime's own ``preprocess``; what the classifier takes for no digit is not read.
    """

    def read(frame: Frame) -> tuple[Reading, ...]:
        ink = _ink(frame.luma)
        outlines, _ = cv2.findContours(ink, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        boxes = [
            box for outline in outlines if (box := Box(*cv2.boundingRect(outline))).height >= 10 and box.width >= 2
        ]
        crops = [preprocess(ink[box.y : box.bottom, box.x : box.right])[0] for box in boxes]
        if not crops:
            return ()
        readings = []
        for box, probabilities in zip(boxes, classifier.probabilities(np.stack(crops)), strict=True):
            best = int(probabilities.argmax())
            label, confidence = classifier.labels[best], float(probabilities[best])
            if label.isdigit() and confidence >= 0.5:
                readings.append(Reading(box, label, confidence, Prediction(probabilities)))
        return tuple(readings)

    return read


def _ink(luma: Image) -> Image:
    soft = cv2.GaussianBlur(luma, (5, 5), 0)
    dark = float(np.median(luma)) > 127
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    return cv2.adaptiveThreshold(soft, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, kind, WINDOW, OFFSET if dark else -OFFSET)
