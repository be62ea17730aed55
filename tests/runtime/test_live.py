from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace

import cv2
import pytest

from runtime.capture import SourceSettings
from runtime.errors import SourceError
from runtime.live import LiveSource
from runtime.values import Frame, Image
from tests.runtime.fakes import ScriptedCapture, corners, fail, forever, plain, quadrants


def collect(source: LiveSource, frames: list[Frame]) -> None:
    for frame in source:
        frames.append(frame)  # noqa: PERF402 - one by one: what came before an error is kept


def fast() -> float:
    """A clock twenty times as fast as the others: its seconds of grace pass in a moment."""
    return 20 * time.monotonic()


def alive(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


class TestLive:
    def test_a_slow_consumer_sees_the_latest_picture_and_the_others_are_counted(self) -> None:
        capture = ScriptedCapture(10**9, then=fail, pace_seconds=0.001)
        with LiveSource("camera", lambda: capture) as source:
            frames = []
            iterator = iter(source)
            for _ in range(5):
                time.sleep(0.05)
                read = capture.reads
                frame = next(iterator)
                assert frame.index >= read - 2  # the picture before the one just being read, and no older one
                frames.append(frame)
            assert source.dropped >= 4 * 5
        # Every picture was taken, dropped, or is still in the mailbox.
        assert capture.reads - len(frames) - source.dropped in (0, 1)
        indices = [frame.index for frame in frames]
        assert indices == sorted(set(indices))
        assert frames[0].seconds == 0
        assert all(later.seconds > earlier.seconds for earlier, later in pairwise(frames))

    def test_indices_count_the_dropped_ones(self) -> None:
        gate = threading.Event()

        def wait() -> tuple[bool, None]:
            gate.wait(10)
            return False, None

        capture = ScriptedCapture(7, then=wait)
        with LiveSource("camera", lambda: capture) as source:
            while capture.reads < 8:
                time.sleep(0.001)
            frame = next(iter(source))
            assert (frame.index, int(frame.luma[0, 0]), source.dropped) == (6, 6, 6)
            gate.set()

    def test_the_exception_of_the_thread_is_raised_in_the_consumer(self) -> None:
        def explode() -> tuple[bool, None]:
            raise OSError("cable cut")

        capture = ScriptedCapture(1, then=explode)
        with LiveSource("camera", lambda: capture) as source, pytest.raises(OSError, match="cable cut"):
            collect(source, [])
        assert capture.released.is_set()
        assert not alive("capture camera")

    def test_a_consumer_that_stops_early_ends_the_thread_at_once(self) -> None:
        capture = forever()
        with LiveSource("camera", lambda: capture) as source:
            next(iter(source))
            started = time.monotonic()
        assert time.monotonic() - started < 1
        assert capture.released.is_set()
        assert not alive("capture camera")
        assert capture.readers == {"capture camera"}

    def test_closing_ends_an_iteration_that_waits(self) -> None:
        gate = threading.Event()

        def wait() -> tuple[bool, None]:
            gate.wait(10)
            return False, None

        source = LiveSource("camera", lambda: ScriptedCapture(1, then=wait))
        taken: list[Frame] = []
        consumer = threading.Thread(target=lambda: taken.extend(source))
        consumer.start()
        while not taken:
            time.sleep(0.001)
        closer = threading.Thread(target=source.close)
        closer.start()
        consumer.join(5)
        assert not consumer.is_alive()
        gate.set()
        closer.join(5)
        assert len(taken) == 1

    def test_a_camera_that_does_not_open_says_why_on_opening(self) -> None:
        def refuse() -> ScriptedCapture:
            raise SourceError("no camera at /dev/video9")

        with pytest.raises(SourceError, match="no camera at /dev/video9"):
            LiveSource("9", refuse)

    def test_a_camera_that_delivers_nothing_is_given_up_in_time(self) -> None:
        capture = ScriptedCapture(0, then=fail)
        with pytest.raises(SourceError, match=r"camera delivered no picture within 0\.1 seconds"):
            LiveSource("camera", lambda: capture, timeout_seconds=0.1)
        assert capture.released.wait(5)

    def test_its_pictures_are_turned(self) -> None:
        capture = SimpleNamespace(read=lambda: (True, quadrants()), release=lambda: None)
        with LiveSource("camera", lambda: capture, SourceSettings(rotate=90)) as source:
            frame = next(iter(source))
        assert corners(frame.luma) == (30, 10, 40, 20)
        assert frame.color is None  # luma in, luma out


class Camera:
    """Opens one capture after the other; each entry is one, or an error on opening."""

    def __init__(self, *captures: ScriptedCapture | SourceError) -> None:
        self.captures = iter(captures)
        self.opened: list[float] = []

    def __call__(self) -> ScriptedCapture:
        self.opened.append(time.monotonic())
        capture = next(self.captures)
        if isinstance(capture, SourceError):
            raise capture
        return capture


def failing(*before: tuple[bool, Image | None]) -> Callable[[], tuple[bool, Image | None]]:
    """These answers, then nothing but failures."""
    answers = iter(before)
    return lambda: next(answers, (False, None))


class TestReturning:
    """What goes away, freezes or is not there yet."""

    def test_one_failed_read_is_counted_and_passed_over(self) -> None:
        then = failing((False, None), (True, plain(77)), (False, None), (False, None), (True, plain(78)))
        camera = Camera(ScriptedCapture(2, then=then), SourceError("gone"))
        frames: list[Frame] = []
        settings = SourceSettings(give_up_seconds=0.01)
        with (
            LiveSource("camera 0", camera, settings, clock=fast) as source,
            pytest.raises(SourceError, match="gone"),
        ):
            collect(source, frames)
        assert int(frames[-1].luma[0, 0]) == 78
        assert source.faults == {"unreadable": 3, "lost": 1}

    def test_a_picture_that_the_decoder_throws_on_is_a_failed_read(self) -> None:
        good = failing((True, plain(2)))

        def corrupt() -> tuple[bool, Image | None]:
            capture.then = good
            raise cv2.error("corrupt")

        capture = ScriptedCapture(1, then=corrupt)
        with LiveSource("camera", lambda: capture) as source:
            for frame in source:
                if frame.index == 1:
                    break
            assert source.faults == {"unreadable": 1}

    def test_a_camera_that_is_unplugged_and_plugged_in_again_resumes(self, caplog: pytest.LogCaptureFixture) -> None:
        gone = SourceError("no camera at /dev/video0")
        first = ScriptedCapture(3, then=fail)
        camera = Camera(first, gone, gone, forever())
        with caplog.at_level(logging.INFO), LiveSource("camera 0", camera, clock=fast) as source:
            for frame in source:
                if frame.index > 5:
                    break
                assert not source.trouble or not frame.index
            assert (source.reconnects, source.trouble) == (1, "")
            assert source.faults == {"lost": 1}
        assert first.released.is_set()
        assert len(camera.opened) == 4
        assert [record.message for record in caplog.records] == [
            "camera 0 stopped delivering pictures after 3: unplugged or ended?; trying again",
            "camera 0 is back",
        ]

    def test_pauses_between_attempts_double_up_to_the_longest(self) -> None:
        gone = SourceError("gone")
        camera = Camera(*[gone] * 6, forever())
        with LiveSource("camera", camera, SourceSettings(wait=True)) as source:
            next(iter(source))
        pauses = [later - earlier for earlier, later in pairwise(camera.opened)]
        assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0], abs=0.09)

    def test_a_camera_that_is_not_there_yet_is_waited_for(self) -> None:
        camera = Camera(SourceError("no camera at /dev/video0"), forever())
        with LiveSource("camera", camera, SourceSettings(wait=True)) as source:
            frame = next(iter(source))
        assert frame.seconds == 0
        assert source.reconnects == 0

    def test_without_waiting_it_is_an_error_at_once(self) -> None:
        with pytest.raises(SourceError, match="no camera at"):
            LiveSource("camera", Camera(SourceError("no camera at /dev/video0"), forever()))

    def test_what_stays_away_for_too_long_is_an_error(self) -> None:
        camera = Camera(ScriptedCapture(1, then=fail), *[SourceError("no camera at /dev/video0")] * 9)
        with (
            LiveSource("camera", camera, SourceSettings(give_up_seconds=8.0), clock=fast) as source,
            pytest.raises(SourceError, match="no camera at /dev/video0"),
        ):
            collect(source, [])
        assert 2 < len(camera.opened) < 9

    def test_a_frozen_picture_makes_it_open_anew_and_is_trouble_until_it_moves(self) -> None:
        moved = threading.Event()

        def still() -> tuple[bool, Image]:
            time.sleep(0.002)
            return True, plain(9)

        def still_until_moved() -> tuple[bool, Image]:
            time.sleep(0.002)
            return True, plain(10 if moved.is_set() else 9)

        camera = Camera(ScriptedCapture(3, then=still), ScriptedCapture(0, then=still_until_moved))
        with LiveSource("camera", camera, SourceSettings(frozen_seconds=2), clock=fast) as source:
            troubles = []
            for frame in source:
                troubles.append(source.trouble)
                if source.reconnects:
                    moved.set()
                if frame.luma[0, 0] == 10:
                    break
            assert source.faults == {"frozen": 1}
            assert any("camera is frozen: the same picture for 2 seconds" in trouble for trouble in troubles)
            assert source.trouble == ""

    def test_a_picture_that_may_stand_still_is_left_alone(self) -> None:
        still = ScriptedCapture(0, then=lambda: (True, plain(9)), pace_seconds=0.002)
        with LiveSource("camera", lambda: still, SourceSettings(frozen_seconds=0), clock=fast) as source:
            for frame in source:
                if frame.seconds > 3:
                    break
            assert source.faults == {}

    def test_pictures_of_another_size_are_counted(self) -> None:
        answers: Iterator[tuple[bool, Image]] = iter([(True, plain(1)), (True, plain(1, 32, 24))] * 2)
        camera = SimpleNamespace(read=lambda: next(answers, (False, None)), release=lambda: None)
        with LiveSource("camera", lambda: camera) as source:
            while source.dropped < 3:
                time.sleep(0.001)
            assert source.faults == {"resized": 3}

    def test_closing_ends_the_waiting_for_an_absent_one_at_once(self) -> None:
        with LiveSource("camera", Camera(*[SourceError("gone")] * 99), SourceSettings(wait=True)) as source:
            time.sleep(0.5)
            started = time.monotonic()
        assert time.monotonic() - started < 0.5
        assert list(source) == []

    def test_who_waits_can_do_something_meanwhile(self) -> None:
        with LiveSource("camera", Camera(*[SourceError("gone")] * 99), SourceSettings(wait=True)) as source:
            calls = []

            def call() -> None:
                calls.append(source.trouble)
                if len(calls) == 3:
                    source.close()

            source.while_waiting = call
            assert list(source) == []
        assert calls[-1] == "gone"
