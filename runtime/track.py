"""Identities over frames, and the evidence that each has gathered.

``tracker.update(candidates) -> tracked`` is the whole interface. A candidate joins the track that it overlaps most and
still looks like, so that a page turned under the camera starts anew. A track's answer is the decayed mean of its
frames' log-probabilities: one bad frame does not flip a label that many frames gave, lasting change does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.boxes import Corners, areas, corners_of, shared_areas
from runtime.values import Box, Image


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How tracks live.

    Attributes:
        memory: share of the past evidence that each frame keeps; 0.8 weighs about the last five frames.
        min_iou: least overlap of a candidate with a track's last box, unless each holds the other's center.
        min_likeness: least correlation of a candidate's softened pixels with those that its track had last. In the
            demo clip 99.9 % of a digit's successive looks are above 0.90, 95 % of pairs of digits under 0.82.
        patience: frames that a track outlives without a candidate.
    """

    memory: float = 0.8
    min_iou: float = 0.2
    min_likeness: float = 0.85
    patience: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A candidate's place in its track.

    Attributes:
        track: identity, from 1.
        age: frames since the track was first seen.
        probabilities: float32 (labels,), of all the evidence.
    """

    track: int
    age: int
    probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Ink of one frame: where it is, the classifier's answer float32 (labels,), and its pixels uint8 (28, 28)."""

    box: Box
    probabilities: npt.NDArray[np.float32]
    pixels: Image


@dataclass(slots=True, eq=False)
class _Track:
    identity: int
    born: int
    seen: int
    box: Box
    look: npt.NDArray[np.float32]
    evidence: npt.NDArray[np.float64]
    weight: float


class Tracker:
    """Follows candidates from frame to frame."""

    def __init__(self, settings: TrackSettings = TrackSettings()) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []
        self._frame = -1
        self._next = 1

    def update(self, candidates: Sequence[Candidate]) -> list[Tracked]:
        """Take one frame's candidates; returns one ``Tracked`` for each, in order."""
        self._frame += 1
        if not candidates:
            self._forget()
            return []
        boxes = [candidate.box for candidate in candidates]
        looks = _looks([candidate.pixels for candidate in candidates])
        logs = np.log(np.maximum([candidate.probabilities for candidate in candidates], 1e-6), dtype=np.float64)
        joined: dict[int, _Track] = {}
        taken: set[int] = set()
        for i, j in self._pairs(boxes, looks):
            if i not in joined and j not in taken:
                joined[i] = self._tracks[j]
                taken.add(j)
        tracks = [joined.get(i) or self._begin(boxes[i], looks[i], logs.shape[1]) for i in range(len(boxes))]
        keep = np.array([self._settings.memory ** (self._frame - track.seen) for track in tracks])
        evidence = np.array([track.evidence for track in tracks]) * keep[:, None] + logs
        weights = np.array([track.weight for track in tracks]) * keep + 1
        for track, *state in zip(tracks, boxes, looks, evidence, weights.tolist(), strict=True):
            track.box, track.look, track.evidence, track.weight = state
            track.seen = self._frame
        answers = _normalize(evidence / weights[:, None])
        self._forget()
        return [
            Tracked(track.identity, self._frame - track.born, answer)
            for track, answer in zip(tracks, answers, strict=True)
        ]

    def _begin(self, box: Box, look: npt.NDArray[np.float32], labels: int) -> _Track:
        """A new track without evidence yet."""
        track = _Track(self._next, self._frame, self._frame, box, look, np.zeros(labels), weight=0.0)
        self._next += 1
        self._tracks.append(track)
        return track

    def _forget(self) -> None:
        """Let go of tracks that were not seen for too long."""
        self._tracks = [track for track in self._tracks if self._frame - track.seen <= self._settings.patience]

    def _pairs(self, boxes: Sequence[Box], looks: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
        """Candidates and tracks that may go together, by index, those that overlap most first."""
        if not self._tracks:
            return []
        settings = self._settings
        a, b = corners_of(boxes), corners_of([track.box for track in self._tracks])
        shared = shared_areas(a, b)
        iou = shared / (areas(a)[:, None] + areas(b) - shared)
        near = ((iou > 0) & (iou >= settings.min_iou)) | (_hold(a, b) & _hold(b, a).T)
        rows, columns = np.nonzero(near)
        order = np.argsort(-iou[rows, columns], kind="stable")
        rows, columns = rows[order], columns[order]
        before = np.array([self._tracks[j].look for j in columns.tolist()], np.float32).reshape(-1, looks.shape[1])
        alike = np.einsum("ij,ij->i", looks[rows], before) >= settings.min_likeness
        return list(zip(rows[alike].tolist(), columns[alike].tolist(), strict=True))


def _hold(a: Corners, b: Corners) -> npt.NDArray[np.bool_]:
    """Whether each of the boxes ``a`` holds the center of each of ``b``: (len(a), len(b))."""
    left, top, right, bottom = a.T[..., None]
    x, y = (b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2
    return (left <= x) & (x < right) & (top <= y) & (y < bottom)


def _looks(pictures: Sequence[Image]) -> npt.NDArray[np.float32]:
    """Softened pixels as rows of mean 0 and length 1, 0 where nothing varies: the product of two is their likeness."""
    soft = np.stack([cv2.blur(pixels, (5, 5)).ravel() for pixels in pictures]).astype(np.float32)
    soft -= soft.mean(axis=1, keepdims=True)
    return soft / np.maximum(np.linalg.norm(soft, axis=1, keepdims=True), 1e-6)


def _normalize(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Rows of logarithms as shares that sum to 1."""
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
