"""The whole pipeline for one frame: detect, classify, choose between alternatives, track, group. No I/O, no threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt

from runtime.backends import Classifier
from runtime.bars import is_stroke
from runtime.context import apart_from, doubtful, in_company, without_nested
from runtime.detect import Detection, DetectSettings, detect
from runtime.errors import UsageError
from runtime.numbers import group_numbers
from runtime.preprocess import FIELD
from runtime.track import Candidate, Tracked, Tracker, TrackSettings
from runtime.values import Box, Crop, Frame, Image, Prediction, Reading, Result


@dataclass(frozen=True, slots=True)
class RecognizerSettings:
    """How frames are read.

    Attributes:
        min_confidence: confidence from which a digit is read, 0–1; None is the artifact's own.
        roi: part of each frame to look at; None is all of it.
        track: follow digits over frames; off for unrelated images.
        detect: what counts as ink.
        tracking: how tracks live.
    """

    min_confidence: float | None = None
    roi: Box | None = None
    track: bool = True
    detect: DetectSettings = field(default_factory=DetectSettings)
    tracking: TrackSettings = field(default_factory=TrackSettings)


class Recognizer:
    """Reads the digits of frames, one at a time and in order."""

    def __init__(
        self,
        classifier: Classifier,
        settings: RecognizerSettings = RecognizerSettings(),
        find: Callable[[Image, DetectSettings], Detection] = detect,
    ) -> None:
        """Compose the pipeline.

        Args:
            classifier: answers the crops.
            settings: how to read.
            find: finds them; for recognizers that share what is found in a frame.

        Raises:
            UsageError: a setting cannot work.
        """
        accept = settings.min_confidence
        if accept is not None and not 0 <= accept <= 1:
            raise UsageError(f"min confidence is {accept}; expected 0 to 1")
        self._classifier, self._settings, self._find = classifier, settings, find
        self._accept = classifier.accept if accept is None else accept
        self._unsure = min(classifier.unsure, self._accept)
        self._digits = [i for i, label in enumerate(classifier.labels) if label.isdigit()]
        self._tracker = Tracker(settings.tracking) if settings.track else None

    def __call__(self, frame: Frame) -> Result:
        """Read one frame.

        Raises:
            UsageError: the region of interest lies outside the frame.
        """
        started = perf_counter()
        luma, offset = self._view(frame)
        detection = self._find(luma, self._settings.detect)
        wholes = detection.candidates.wholes()
        cut = perf_counter()
        probabilities = self._ask(wholes)
        asked = perf_counter()
        sure = np.flatnonzero(probabilities[:, self._digits].max(axis=1, initial=0) >= _SETTLED).tolist()
        settled = [wholes[i] for i in sure]
        detection.candidates.expect(settled)
        crops = detection.candidates.all(settled)
        cut += perf_counter() - asked
        if len(crops) > len(wholes):
            probabilities = np.concatenate([probabilities, self._ask(crops[len(wholes) :])])
        classified = perf_counter()
        probabilities = in_company(crops, probabilities, self._digits)
        kept = _best_covers(crops, probabilities[:, self._digits])
        candidates = [Candidate(_shift(crops[i].box, offset), probabilities[i], crops[i].pixels) for i in kept]
        readings: list[Reading] = []
        unsure: list[Reading] = []
        other: list[Box] = []
        for i, candidate, seen in zip(kept, candidates, self._follow(candidates), strict=True):
            best = int(seen.probabilities.argmax())
            confidence = float(seen.probabilities[best])
            label = self._classifier.labels[best]
            if best not in self._digits or confidence < self._unsure:
                other.append(candidate.box)
                continue
            if label == "1" and not is_stroke(frame.luma, candidate.box):
                continue
            prediction = Prediction(candidate.probabilities)
            reading = Reading(
                *(candidate.box, label, confidence, prediction, seen.track, seen.age, candidate.pixels),
                polarity=crops[i].polarity,
            )
            (readings if confidence >= self._accept else unsure).append(reading)
        readings, unsure = without_nested(readings, unsure)
        other = apart_from(other, readings)
        numbers = group_numbers(readings, [*other, *(reading.box for reading in unsure)])
        doubted = doubtful(
            numbers, unsure, [(_shift(box, offset), polarity) for box, polarity in detection.ink], self._accept
        )
        if doubted:
            readings = [reading for reading in readings if reading not in doubted]
            unsure += doubted
            numbers = group_numbers(readings, [*other, *(reading.box for reading in unsure)])
        milliseconds = {
            "detect": (cut - started) * 1e3,
            "classify": (classified - cut) * 1e3,
            "total": (perf_counter() - started) * 1e3,
        }
        return Result(
            tuple(reading for number in numbers for reading in number.readings),
            tuple(reading for number in group_numbers(unsure) for reading in number.readings),
            numbers,
            milliseconds,
            "" if readings else _why_nothing(luma, detection, bool(unsure)),
            left_out=detection.candidates.dropped,
        )

    def _ask(self, crops: Sequence[Crop]) -> npt.NDArray[np.float32]:
        """Probabilities of crops: (n, labels)."""
        pixels = np.stack([crop.pixels for crop in crops]) if crops else np.empty((0, FIELD, FIELD), np.uint8)
        return self._classifier.probabilities(pixels)

    def _view(self, frame: Frame) -> tuple[Image, tuple[int, int]]:
        """The part of the frame to look at, and where its corner is."""
        roi = self._settings.roi
        if roi is None:
            return frame.luma, (0, 0)
        height, width = frame.luma.shape
        if not (0 <= roi.x < roi.right <= width and 0 <= roi.y < roi.bottom <= height):
            raise UsageError(f"the region of interest {roi.as_list()} is not inside the frame of {width}x{height}")
        return frame.luma[roi.y : roi.bottom, roi.x : roi.right], (roi.x, roi.y)

    def _follow(self, candidates: list[Candidate]) -> list[Tracked]:
        if self._tracker is None:
            return [Tracked(0, 0, candidate.probabilities) for candidate in candidates]
        return self._tracker.update(candidates)


def _best_covers(crops: Sequence[Crop], digits: npt.NDArray[np.floating]) -> list[int]:
    """Of each group of alternatives, the ones that explain its ink best.

    A cover's score is the sum over its ink of how sure a digit the crop is that holds it; ink that no crop of the cover
    holds counts as none. A crop that is likelier no digit does not stand for a sure digit's ink and more.
    Of covers alike the first is kept: pieces as they were found come before unions and cuts.

    Args:
        crops: candidates; the alternatives of a group share its number.
        digits: float (n, 10), probabilities of each crop.

    Returns:
        Indices of the kept crops, ascending.
    """
    scores = digits.max(axis=1, initial=0)
    # Crops that share no ink with another stand by themselves; only those that do must be chosen between.
    rivals: dict[tuple[int, int], list[int]] = {}
    for i, crop in enumerate(crops):
        for part in crop.parts:
            rivals.setdefault((crop.group, part), []).append(i)
    contested = {i for members in rivals.values() if len(members) > 1 for i in members}
    kept = [i for i in range(len(crops)) if i not in contested]
    groups: dict[int, list[int]] = {}
    for i in sorted(contested):
        groups.setdefault(crops[i].group, []).append(i)
    for members in groups.values():
        settled = [i for i in members if scores[i] >= _SETTLED]
        members = [i for i in members if not _swallows(i, settled, crops, scores)]
        cover = _best_cover(members, crops, scores)
        # Touching digits leave little ink over; a word in which some stroke looks like a digit does. And strokes that
        # touch, such as those of a W, are no row of 1s.
        read: dict[frozenset[int], list[int]] = {}
        for i in cover:
            if scores[i] >= _LIKELY:
                read.setdefault(crops[i].whole, []).append(i)
        explained = {whole: sum(crops[i].held for i in run) for whole, run in read.items()}
        others = {whole: sum(crops[i].held for i in run if digits[i].argmax() != 1) for whole, run in read.items()}
        for i in cover:
            whole = crops[i].whole
            sure = scores[i] >= _SURE and digits[i].argmax() != 1
            if crops[i].parts == whole or (
                explained.get(whole, 0) >= (_EXPLAINED_BY_SURE if sure else _EXPLAINED)
                and others[whole] >= _EXPLAINED / 2
            ):
                kept.append(i)
    return sorted(kept)


def _swallows(i: int, settled: Sequence[int], crops: Sequence[Crop], scores: npt.NDArray[np.floating]) -> bool:
    """Whether a crop holds sure digits' ink and more, and is hardly a digit, or less sure than two of them apart."""
    inside = [j for j in settled if crops[j].parts < crops[i].parts]
    two = [pair for pair in combinations(inside, 2) if crops[pair[0]].parts.isdisjoint(crops[pair[1]].parts)]
    return bool(inside and scores[i] < _LIKELY) or any(scores[i] < min(scores[j], scores[k]) for j, k in two)


def _best_cover(members: list[int], crops: Sequence[Crop], scores: npt.NDArray[np.floating]) -> list[int]:
    """The compatible members of the best score: each part in turn is left uncovered, or covered by a crop it begins."""
    bits = {part: 1 << n for n, part in enumerate(sorted({part for i in members for part in crops[i].parts}))}
    beginning: dict[int, list[tuple[int, float, int]]] = {bit: [] for bit in bits.values()}
    for i in members:
        mask = sum(bits[part] for part in crops[i].parts)
        beginning[mask & -mask].append((mask, crops[i].held * float(scores[i]), i))
    covers: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}  # the best for each set of parts that is settled
    for bit, starting in beginning.items():
        settled: dict[int, tuple[float, tuple[int, ...]]] = {}
        for used, (score, chosen) in covers.items():
            options = [(used | bit, score, chosen)]
            if not used & bit:
                options += [(used | m, score + more, (*chosen, i)) for m, more, i in starting if not used & m]
            for key, total, cover in options:
                if key not in settled or total > settled[key][0] + _ALIKE:
                    settled[key] = total, cover
        covers = settled
        if len(covers) > _COVERS:
            covers = dict(sorted(covers.items(), key=lambda each: -each[1][0])[:_COVERS])
    return sorted(max(covers.values())[1])


_SETTLED = 0.9  # score of ink that is not taken apart
_LIKELY, _SURE = 0.5, 0.999  # scores of a crop that is a digit rather than none, and of one that can be nothing else
_EXPLAINED, _EXPLAINED_BY_SURE = 0.6, 0.1  # share of a cut piece's ink that its digits must hold, where one is sure
_COVERS = 200  # covers that are followed at a time: more than any writing has, not what a scribble would
_ALIKE = 1e-4  # scores that differ by rounding


def _why_nothing(luma: Image, detection: Detection, unsure: bool) -> str:
    """Why no digit was read, in a few words that say what to do."""
    wholes = detection.candidates.wholes()
    if wholes:
        if _sharpness(luma, [crop.box for crop in wholes]) < _SHARP:
            return "blurred: hold still, or focus"
        return "unsure: write more clearly, or move closer" if unsure else "no digit in view"
    if detection.brightness < _DARK:
        return "too dark: add light"
    return "ink too small: move closer" if detection.small >= _SPECKS else "no digit in view"


_DARK = 30  # paper at which a webcam's noise drowns ink, in gray levels
_SHARP = 0.3  # the demo's pages have 0.46 to 1.06; blurred until hardly a digit is read, 0.1 to 0.3 but for noise
_SPECKS = 3


def _sharpness(luma: Image, boxes: Sequence[Box]) -> float:
    """How suddenly ink begins: the steepest change of slope as a share of the contrast, median of the largest boxes."""
    found = []
    for box in sorted(boxes, key=lambda box: -box.area)[:9]:
        patch = luma[max(box.y - 2, 0) : box.bottom + 2, max(box.x - 2, 0) : box.right + 2]
        scale = min(64 / max(patch.shape), 1.0)
        size = max(round(patch.shape[1] * scale), 1), max(round(patch.shape[0] * scale), 1)
        patch = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
        low, high = np.percentile(patch, (2, 98))
        found.append(float(np.percentile(np.abs(cv2.Laplacian(patch, cv2.CV_16S)), 98)) / max(high - low, 1.0))
    return float(np.median(found))


def _shift(box: Box, offset: tuple[int, int]) -> Box:
    return Box(box.x + offset[0], box.y + offset[1], box.width, box.height)
