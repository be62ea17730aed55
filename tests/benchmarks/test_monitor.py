from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.monitor import Moment, Monitor, measured_core, throttling


class Clock:
    seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """What a Raspberry Pi says."""
    write(tmp_path, "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", "2400000\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "48200\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "51000\n")
    write(tmp_path, "proc/loadavg", "0.52 0.20 0.10 1/100 1234\n")
    write(tmp_path, "proc/meminfo", "MemTotal:  8000000 kB\nMemAvailable:  7000000 kB\n")
    write(tmp_path, "proc/stat", "cpu  100 0 50 800 10 0 0 0 0 0\ncpu0 1 2 3\n")
    return tmp_path


def test_a_moment_holds_what_the_machine_says(pi: Path) -> None:
    clock = Clock()
    monitor = Monitor(3, pi, lambda: "throttled=0x50005\n", clock)
    clock.seconds += 2.0
    write(pi, "proc/stat", "cpu  150 0 80 900 10 0 0 20 0 0\n")
    monitor.look()
    # Of 200 jiffies 20 were stolen.
    assert monitor.moments == [Moment(2.0, 2400, 51.0, 0x50005, 0.52, 7_168_000_000, 0.1)]


def test_a_system_that_says_nothing_leaves_none(tmp_path: Path) -> None:
    monitor = Monitor(None, tmp_path, lambda: "", Clock())
    monitor.look()
    assert monitor.moments == [Moment(0.0, None, None, None, None, None, None)]


def test_it_looks_once_a_second_at_most(pi: Path) -> None:
    clock = Clock()
    monitor = Monitor(3, pi, lambda: "", clock)
    for _ in range(30):
        monitor.look()
        clock.seconds += 0.25
    assert [moment.seconds for moment in monitor.moments] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((None, 0x0), []),
        ((0x50000,), []),  # has held since it started, not now
        ((0x1, 0x6), ["under-voltage", "frequency capped", "throttled"]),
        ((0x8,), ["soft temperature limit"]),
    ],
)
def test_what_held_the_board_back_is_put_in_words(values: tuple[int | None, ...], words: list[str]) -> None:
    assert throttling([Moment(0.0, None, None, value, None, None, None) for value in values]) == words


def test_the_core_to_measure_on_is_one_that_may_be_used() -> None:
    import os

    assert measured_core() in os.sched_getaffinity(0)
