"""The machine while it works: frequency, temperature, throttling, load and stolen time, as a time line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

THROTTLED = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
"""Bits of a Raspberry Pi's ``vcgencmd get_throttled`` that hold now; 16 higher, that have held since it started."""

_JIFFIES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")  # of /proc/stat, man 5 proc


@dataclass(frozen=True, slots=True)
class Moment:
    """What the machine said at one time; None where it does not say.

    Attributes:
        seconds: since the run began.
        megahertz: of the core that is measured on.
        celsius: of the hottest thermal zone.
        throttled: a Raspberry Pi's ``get_throttled``.
        load: average of the last minute.
        available_bytes: of memory.
        stolen: share of the time since the last moment that a host gave to others.
    """

    seconds: float
    megahertz: int | None
    celsius: float | None
    throttled: int | None
    load: float | None
    available_bytes: int | None
    stolen: float | None


class Monitor:
    """Looks at the machine between blocks, at most once a second: looking takes time, too."""

    def __init__(
        self,
        core: int | None = None,
        root: Path = Path("/"),
        vcgencmd: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin the time line.

        Args:
            core: that is measured on; None is the first.
            root: where ``proc`` and ``sys`` are; elsewhere than ``/`` only in tests.
            vcgencmd: gives what ``vcgencmd get_throttled`` prints; the program itself if None.
            clock: seconds that go on.
        """
        self._core, self._root, self._clock = core or 0, root, clock
        self._vcgencmd = vcgencmd or (_vcgencmd if shutil.which("vcgencmd") else lambda: "")
        self._started = clock()
        self._jiffies = self._read_jiffies()
        self.moments: list[Moment] = []

    def look(self) -> None:
        """Note a moment, unless the last one was less than a second ago."""
        seconds = self._clock() - self._started
        if self.moments and seconds < self.moments[-1].seconds + 1:
            return
        frequency = self._number(f"sys/devices/system/cpu/cpu{self._core}/cpufreq/scaling_cur_freq")
        zones = sorted((self._root / "sys/class/thermal").glob("thermal_zone*/temp"))
        degrees = [value for zone in zones if (value := self._number(str(zone.relative_to(self._root)))) is not None]
        throttled = re.search(r"throttled=(0x[0-9a-fA-F]+)", self._vcgencmd())
        available = re.search(r"^MemAvailable: +(\d+) kB$", self._text("proc/meminfo"), re.MULTILINE)
        load = self._text("proc/loadavg").split()
        before, self._jiffies = self._jiffies, self._read_jiffies()
        passed = [now - then for now, then in zip(self._jiffies, before, strict=False)]
        self.moments.append(
            Moment(
                seconds=round(seconds, 2),
                megahertz=None if frequency is None else frequency // 1000,
                celsius=max(degrees) / 1000 if degrees else None,
                throttled=int(throttled[1], 16) if throttled else None,
                load=float(load[0]) if load else None,
                available_bytes=int(available[1]) * 1024 if available else None,
                stolen=round(passed[-1] / sum(passed), 4) if passed and sum(passed) > 0 else None,
            )
        )

    def _read_jiffies(self) -> list[int]:
        line = re.search(r"^cpu +([\d ]+)$", self._text("proc/stat"), re.MULTILINE)
        return [int(word) for word in line[1].split()[: len(_JIFFIES)]] if line else []

    def _number(self, path: str) -> int | None:
        text = self._text(path).strip()
        return int(text) if re.fullmatch(r"-?\d+", text) else None

    def _text(self, path: str) -> str:
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def throttling(moments: Sequence[Moment]) -> list[str]:
    """What held a Raspberry Pi back at any moment of a run, in its own words."""
    seen = 0
    for moment in moments:
        seen |= moment.throttled or 0
    return [word for bit, word in THROTTLED.items() if seen >> bit & 1]


def _vcgencmd() -> str:
    done = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, check=False, timeout=5)
    return done.stdout


def measured_core() -> int | None:
    """The core to measure on: the last that this process may use, as the first serves most interrupts."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
