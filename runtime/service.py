"""Being a service of systemd: saying that it is ready, that it is alive, that it ends. Without systemd, nothing.

The protocol is a datagram with lines such as ``READY=1`` to the socket that ``NOTIFY_SOCKET`` names (sd_notify(3)).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping

from runtime.monitor import Monitor
from runtime.sinks import Closing
from runtime.values import Frame, Result

log = logging.getLogger(__name__)


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell systemd a state, such as ``READY=1``; False where there is no systemd that wants to know."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    # A name that begins with @ lives in no folder: its first byte is zero.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.connect("\0" + address[1:] if address.startswith("@") else address)
            connection.send(state.encode())
        except OSError as error:
            log.warning("systemd does not hear %r: %s", state, error.strerror)
            return False
    return True


class ServiceSink(Closing):
    """Reports a run to systemd: ready at once, alive while the monitor finds it so, and when it ends."""

    def __init__(self, monitor: Monitor, environment: Mapping[str, str] = os.environ) -> None:
        """Say that it is ready, and start to ping the watchdog where the unit has one (``WatchdogSec``)."""
        self._environment = environment
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        notify(f"READY=1\nSTATUS=reading {monitor.source.name}", environment)
        period = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        if period and environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._thread = threading.Thread(target=self._ping, args=(monitor, period), name="watchdog", daemon=True)
            self._thread.start()

    def write(self, frame: Frame, result: Result) -> None:
        """Nothing: the monitor counts."""

    def close(self) -> None:
        """Say that it ends."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        notify("STOPPING=1", self._environment)

    def _ping(self, monitor: Monitor, period: float) -> None:
        said = ""
        while not self._stopping.wait(period / 4):
            if monitor.alive(max(period / 2, 1.0)):
                notify("WATCHDOG=1", self._environment)
            status = monitor.trouble or f"reading {monitor.source.name}"
            if status != said:
                notify(f"STATUS={status}", self._environment)
                said = status
