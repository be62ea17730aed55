from __future__ import annotations

import io

import pytest

from benchmarks import progress as module
from benchmarks.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(module, "time", fake)
    return fake


def test_a_log_gets_a_line_after_two_seconds_and_then_every_five(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("work", 20, log) as progress:
        for _ in range(20):
            clock.seconds += 1
            progress.step()
    assert log.getvalue().splitlines() == [
        "work: 10%, 18 s left",
        "work: 35%, 13 s left",
        "work: 60%, 8 s left",
        "work: 85%, 3 s left",
    ]


def test_what_is_over_at_once_leaves_no_line_in_a_log(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("work", 2, log) as progress:
        progress.step()
        clock.seconds += 1.9
        progress.step()
    assert log.getvalue() == ""


def test_a_terminal_shows_a_bar_that_is_gone_at_the_end(clock: Clock) -> None:
    terminal = Terminal()
    with Progress("work", 2, terminal) as progress:
        clock.seconds += 3
        progress.step()
        assert "[###############...............]  50%  3 s left" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "\n" not in terminal.getvalue()
