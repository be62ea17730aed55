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
        settings = self._settings
        looks = [_look(candidate.pixels) for candidate in candidates]
        pairs = self._pairs(candidates, looks)
        joined: dict[int, _Track] = {}
        taken: set[int] = set()
        for i, j in pairs:
            if i not in joined and j not in taken:
                joined[i] = self._tracks[j]
                taken.add(j)
        out = []
        for i, candidate in enumerate(candidates):
            logs = np.log(np.maximum(candidate.probabilities, 1e-6), dtype=np.float64)
            track = joined.get(i)
            if track is None:
                track = _Track(
                    self._next, self._frame, self._frame, candidate.box, looks[i], np.zeros_like(logs), weight=0.0
                )
                self._next += 1
                self._tracks.append(track)
            keep = settings.memory ** (self._frame - track.seen)
            track.evidence = track.evidence * keep + logs
            track.weight = track.weight * keep + 1
            track.box, track.look, track.seen = candidate.box, looks[i], self._frame
            out.append(Tracked(track.identity, self._frame - track.born, _normalize(track.evidence / track.weight)))
        self._tracks = [track for track in self._tracks if self._frame - track.seen <= settings.patience]
        return out

    def _pairs(
        self, candidates: Sequence[Candidate], looks: Sequence[npt.NDArray[np.float32]]
    ) -> list[tuple[int, int]]:
        """Candidates and tracks that may go together, by index, those that overlap most first."""
        if not candidates or not self._tracks:
            return []
        settings = self._settings
        a = _corners([candidate.box for candidate in candidates])[:, None]
        b = _corners([track.box for track in self._tracks])[None]
        shared = np.prod(np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0), axis=2)
        area_a, area_b = np.prod(a[..., 2:] - a[..., :2], axis=2), np.prod(b[..., 2:] - b[..., :2], axis=2)
        iou = shared / (area_a + area_b - shared)
        near = ((iou > 0) & (iou >= settings.min_iou)) | (_hold(a, b) & _hold(b, a))
        rows, columns = np.nonzero(near)
        order = np.argsort(-iou[rows, columns], kind="stable")
        pairs = zip(rows[order].tolist(), columns[order].tolist(), strict=True)
        return [(i, j) for i, j in pairs if np.vdot(looks[i], self._tracks[j].look) >= settings.min_likeness]


def _corners(boxes: Sequence[Box]) -> npt.NDArray[np.float64]:
    """Boxes as rows of left, top, right, bottom."""
    return np.array([(box.x, box.y, box.right, box.bottom) for box in boxes], np.float64)


def _hold(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Where boxes ``a`` hold the center of boxes ``b``."""
    center = (b[..., :2] + b[..., 2:]) / 2
    return np.all((a[..., :2] <= center) & (center < a[..., 2:]), axis=-1)


def _look(pixels: Image) -> npt.NDArray[np.float32]:
    """Softened pixels, of mean 0 and length 1: the product of two is their correlation. Zero where nothing varies."""
    soft = cv2.blur(pixels, (5, 5)).ravel().astype(np.float32)
    soft -= soft.mean()
    return soft / max(float(np.linalg.norm(soft)), 1e-6)


def _normalize(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    shares = np.exp(logs - logs.max())
    return (shares / shares.sum()).astype(np.float32)
