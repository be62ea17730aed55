from __future__ import annotations

import threading

import numpy as np

from runtime.broadcast import Broadcast
from runtime.values import Frame, Image, Result

RESULT = Result((), (), ())


def frame(index: int) -> Frame:
    return Frame(np.zeros((4, 4), np.uint8), None, index, index / 30)


class Counting:
    """Draws nothing; counts what it is asked for."""

    def __init__(self) -> None:
        self.encoded: list[int] = []

    def __call__(self, frame: Frame, result: Result) -> Image:
        return frame.luma

    def jpeg(self, frame: Frame, result: Result) -> bytes:
        self.encoded.append(frame.index)
        return str(frame.index).encode()


def test_without_a_viewer_nothing_is_encoded() -> None:
    draw = Counting()
    with Broadcast(draw) as broadcast:
        for index in range(100):
            broadcast.write(frame(index), RESULT)
    assert draw.encoded == []


def test_a_viewer_sees_the_latest_picture_and_skips_what_it_was_too_slow_for() -> None:
    draw = Counting()
    with Broadcast(draw) as broadcast, broadcast.viewer() as pictures:
        assert broadcast.viewers == 1
        for index in range(100):
            broadcast.write(frame(index), RESULT)
        assert next(pictures) == (b"99", RESULT)
        broadcast.write(frame(100), RESULT)
        assert next(pictures) == (b"100", RESULT)
    assert draw.encoded == [99, 100]
    assert broadcast.viewers == 0


def test_a_viewer_is_told_when_no_picture_comes() -> None:
    with Broadcast(Counting()) as broadcast, broadcast.viewer(timeout_seconds=0.01) as pictures:
        assert next(pictures) is None
        broadcast.write(frame(0), RESULT)
        assert next(pictures) == (b"0", RESULT)
        assert next(pictures) is None


def test_viewers_end_with_the_sink() -> None:
    broadcast = Broadcast(Counting())
    seen: list[object] = []

    def view() -> None:
        with broadcast.viewer() as pictures:
            seen.extend(pictures)

    viewers = [threading.Thread(target=view) for _ in range(3)]
    for viewer in viewers:
        viewer.start()
    while broadcast.viewers < 3:
        pass
    broadcast.close()
    for viewer in viewers:
        viewer.join(5)
        assert not viewer.is_alive()
    assert seen == []
