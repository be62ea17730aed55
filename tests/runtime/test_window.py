from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.values import Frame, Image, Result
from runtime.window import OpenCvWindows, WindowSink, window_obstacle

RESULT = Result((), (), ())


class FakeWindows:
    """Shows pictures to nobody; keys come from a script, one per wait, and time passes by waiting alone."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self.keys = list(keys)
        self.shown: list[Image] = []
        self.opened: list[tuple[int, int]] = []
        self.there = False
        self.time = 100.0
        self.on_wait: Callable[[], None] = lambda: None

    def open(self, title: str, size: tuple[int, int]) -> None:
        self.opened.append(size)
        self.there = True

    def show(self, title: str, picture: Image) -> None:
        assert self.there
        self.shown.append(picture)

    def key(self, seconds: float) -> str:
        self.time += seconds
        self.on_wait()
        return self.keys.pop(0) if self.keys else ""

    def is_open(self, title: str) -> bool:
        return self.there

    def close(self, title: str) -> None:
        self.there = False

    def clock(self) -> float:
        return self.time


def frame(index: int) -> Frame:
    return Frame(np.zeros((48, 64), np.uint8), None, index, index / 10)


def draw(frame: Frame, result: Result) -> Image:
    return np.full((240, 320, 3), frame.index, np.uint8)


def sink(windows: FakeWindows, *, live: bool = True, folder: Path = Path()) -> WindowSink:
    return WindowSink(draw, live=live, windows=windows, clock=windows.clock, folder=folder)


def test_each_frame_is_shown_and_the_window_closes_with_the_sink() -> None:
    windows = FakeWindows()
    with sink(windows) as window:
        for index in range(3):
            window.write(frame(index), RESULT)
        assert not window.stop_asked
    assert [int(picture[0, 0, 0]) for picture in windows.shown] == [0, 1, 2]
    assert windows.opened == [(320, 240)]
    assert not windows.there


@pytest.mark.parametrize("key", ["q", "esc"])
def test_q_and_escape_ask_to_stop(key: str) -> None:
    windows = FakeWindows(["", key])
    with sink(windows) as window:
        window.write(frame(0), RESULT)
        assert not window.stop_asked
        window.write(frame(1), RESULT)
        assert window.stop_asked


def test_closing_the_window_asks_to_stop() -> None:
    windows = FakeWindows()
    with sink(windows) as window:
        window.write(frame(0), RESULT)
        windows.there = True
        windows.on_wait = lambda: windows.close("")
        window.write(frame(1), RESULT)
        assert window.stop_asked


def test_a_file_is_shown_at_its_own_pace() -> None:
    windows = FakeWindows()
    with sink(windows, live=False) as window:
        for index in range(6):
            window.write(frame(index), RESULT)
    assert windows.time - 100 == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_signal_ends_what_waits_for_a_key(frames: int) -> None:
    windows = FakeWindows([" "] if frames > 1 else [])  # a picture that stays; a video that is paused
    signaled = []
    windows.on_wait = lambda: signaled.append(True)
    window = WindowSink(draw, live=False, windows=windows, clock=windows.clock, stop=lambda: len(signaled) > 5)
    for index in range(frames):
        window.write(frame(index), RESULT)
    window.close()
    assert 5 < len(signaled) < 12


def test_having_fallen_behind_it_goes_on_and_does_not_hurry() -> None:
    windows = FakeWindows()
    with sink(windows, live=False) as window:
        window.write(frame(0), RESULT)
        windows.time += 60  # a slow consumer
        window.write(frame(1), RESULT)
        resumed = windows.time
        for index in range(2, 7):
            window.write(frame(index), RESULT)
        assert windows.time - resumed == pytest.approx(0.5 - 0.1, abs=0.02)  # it may catch up one tenth


def test_a_live_source_is_never_waited_for() -> None:
    windows = FakeWindows()
    with sink(windows) as window:
        for index in range(6):
            window.write(frame(index), RESULT)
    assert windows.time - 100 < 0.01


def test_a_paused_live_source_is_read_on_while_its_picture_stands_still() -> None:
    windows = FakeWindows(["", " ", "", "", " ", ""])
    with sink(windows) as window:
        for index in range(7):
            window.write(frame(index), RESULT)
    corner = [int(picture[0, 0, 0]) for picture in windows.shown]
    assert corner == [0, 1, 1, 1, 1, 5, 6]
    assert (windows.shown[2] != 1).any()  # says that it is paused
    assert (windows.shown[5] == 5).all()


def test_while_no_frame_comes_the_window_says_why_and_answers_keys() -> None:
    windows = FakeWindows(["", "", "q"])
    with sink(windows) as window:
        window.idle("camera 0 is unplugged")
        assert windows.opened == []  # nothing to show yet
        window.write(frame(3), RESULT)
        window.idle("camera 0 is unplugged")
        assert (windows.shown[-1] != 3).any()
        assert not window.stop_asked
        window.idle("camera 0 is unplugged")
        assert window.stop_asked


def test_space_pauses_a_file_until_space_and_keys_work_meanwhile(tmp_path: Path) -> None:
    windows = FakeWindows([" ", "", "s", "", " "])
    with sink(windows, live=False, folder=tmp_path) as window:
        window.write(frame(0), RESULT)
        keys, paused = list(windows.keys), windows.shown[-1]
        window.write(frame(1), RESULT)
        assert not window.stop_asked
    assert keys == []
    assert (paused != 0).any()  # says so
    assert len(list(tmp_path.iterdir())) == 1


def test_quitting_ends_a_pause() -> None:
    windows = FakeWindows([" ", "", "q"])
    with sink(windows, live=False) as window:
        window.write(frame(0), RESULT)
        assert window.stop_asked


def test_o_hides_what_was_read_and_shows_it_again() -> None:
    windows = FakeWindows(["", "o", "o", ""])
    with sink(windows) as window:
        for index in range(4):
            window.write(Frame(np.full((48, 64), 200, np.uint8), None, index, 0.0), RESULT)
    assert [int(picture[0, 0, 0]) for picture in windows.shown] == [0, 1, 200, 3]


def test_h_shows_the_keys_and_hides_them_again() -> None:
    windows = FakeWindows(["h", "", "h", ""])
    with sink(windows) as window:
        for index in range(4):
            window.write(frame(index), RESULT)
    plain = [(picture == picture[0, 0]).all() for picture in windows.shown]
    # frame 0, at once with keys, frame 1 with keys, frame 2 with and then without, frame 3
    assert plain == [True, False, False, False, True, True]


def test_s_saves_the_picture_and_never_over_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    windows = FakeWindows(["s", "s"])
    with caplog.at_level(logging.INFO), sink(windows, folder=tmp_path) as window:
        window.write(frame(7), RESULT)
        window.write(frame(7), RESULT)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["edge-digits-000007-2.png", "edge-digits-000007.png"]
    assert [record.message for record in caplog.records] == [f"saved {tmp_path / name}" for name in reversed(names)]


def test_a_single_picture_stays_until_a_key_is_pressed() -> None:
    windows = FakeWindows(["", "", "", "x"])
    with sink(windows, live=False) as window:
        window.write(frame(0), RESULT)
        assert windows.keys
    assert windows.keys == []


def test_without_frames_no_window_opens() -> None:
    windows = FakeWindows()
    with sink(windows):
        pass
    assert windows.opened == []


def test_a_window_that_opencv_no_longer_knows_is_closed_and_closing_it_again_is_no_error() -> None:
    windows = OpenCvWindows()
    assert not windows.is_open("never opened")
    windows.close("never opened")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are X's")
class TestObstacles:
    def test_no_display_is_said(self) -> None:
        assert "DISPLAY is not set" in window_obstacle(framework="QT", display="")

    @pytest.mark.parametrize("display", [":4711", "unix:4711", "localhost:4711.0", "nonsense", ":x"])
    def test_a_display_that_does_not_answer_is_said(self, display: str) -> None:
        assert window_obstacle(framework="QT", display=display) == f"no display answers at DISPLAY={display}"

    def test_a_display_that_listens_is_enough(self) -> None:
        number = 4712
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"\0/tmp/.X11-unix/X{number}")
            server.listen()
            assert window_obstacle(framework="QT", display=f":{number}.0") == ""
            assert "built without windows" in window_obstacle(framework="", display=f":{number}")

    def test_a_window_that_cannot_be_shown_is_refused_before_opencv_is_asked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DISPLAY", raising=False)
        with pytest.raises(SinkError, match="cannot show a window: no display"):
            WindowSink(draw)
