from __future__ import annotations

import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.background import Background
from runtime.capture import SourceSettings
from runtime.errors import SinkError, SourceError
from runtime.live import LiveSource
from runtime.metrics import MetricsSink
from runtime.monitor import HEALTHY_SECONDS, Monitor
from runtime.service import ServiceSink, notify
from runtime.values import Box, Frame, Prediction, Reading, Result
from tests.runtime.fakes import ListSource, Recorder, ScriptedCapture, forever

FRAME = Frame(np.zeros((4, 4), np.uint8), None, 0, 0.0)
SEVEN = Reading(Box(1, 2, 3, 4), "7", 0.9, Prediction(np.ones(11, np.float32) / 11))
RESULT = Result((SEVEN, SEVEN), (SEVEN,), (), {"detect": 0.7, "classify": 0.2, "total": 1.1})
NOTHING = Result((), (), (), {}, "too dark: add light")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def absent() -> Any:
    raise SourceError("no camera at /dev/video0")


class TestHealth:
    def test_it_turns_false_when_frames_stop_and_true_when_they_come_again(self) -> None:
        clock = Clock()
        monitor = Monitor(ListSource([]), clock=clock)
        assert monitor.health()["healthy"] is False  # none has come yet
        monitor.write(FRAME, RESULT)
        assert monitor.health()["healthy"] is True
        clock.now += HEALTHY_SECONDS + 1
        assert (monitor.health()["healthy"], monitor.trouble) == (False, "no frame for 11 seconds")
        monitor.write(FRAME, RESULT)
        assert monitor.trouble == ""

    def test_a_source_in_trouble_is_named_at_once(self) -> None:
        with LiveSource("camera", absent, SourceSettings(wait=True)) as source:
            monitor = Monitor(source)
            monitor.write(FRAME, RESULT)
            deadline = time.monotonic() + 10
            while not source.trouble and time.monotonic() < deadline:
                time.sleep(0.001)
            assert monitor.health()["trouble"] == "no camera at /dev/video0"

    def test_everything_is_counted(self) -> None:
        with Background("--record", Recorder()) as output:
            monitor = Monitor(ListSource([]), [output])
            for result in (RESULT, NOTHING):
                monitor.write(FRAME, result)
            output.write(FRAME, RESULT)
        health = monitor.health()
        assert (health["frames"], health["source"]) == (2, "list")
        assert monitor.readings == {"7": 2}
        assert monitor.unsure == 1
        assert monitor.hints == {"too dark: add light": 1}
        assert health["outputs"] == {"--record": {"written": 1, "dropped": 0, "failed": 0}}


class TestAlive:
    def test_a_run_without_frames_is_dead_unless_its_source_tries_to_get_one(self) -> None:
        clock = Clock()
        monitor = Monitor(ListSource([]), clock=clock)
        assert monitor.alive(5)
        clock.now += 6
        assert not monitor.alive(5)
        monitor.write(FRAME, RESULT)
        assert monitor.alive(5)
        with LiveSource("camera", absent, SourceSettings(wait=True), clock=clock) as source:
            waiting = Monitor(source, clock=clock)
            clock.now += 600
            deadline = time.monotonic() + 10
            while not waiting.alive(5) and time.monotonic() < deadline:
                time.sleep(0.01)  # the next attempt
            assert waiting.alive(5)
            waiting.write(FRAME, RESULT)

    def test_frames_that_cannot_be_read_are_a_trouble_and_no_reason_to_start_anew(self) -> None:
        clock = Clock()
        monitor = Monitor(ListSource([]), clock=clock)
        monitor.write(FRAME, RESULT)
        for _ in range(40):
            clock.now += 1
            monitor.pass_over("the region of interest is not inside the frame")
        assert monitor.alive(30)
        assert monitor.health()["trouble"] == "the region of interest is not inside the frame"
        clock.now += 31
        assert not monitor.alive(30)
        monitor.write(FRAME, RESULT)
        assert monitor.health()["healthy"]

    def test_a_driver_that_hangs_is_dead_though_it_never_failed(self) -> None:
        clock, gate = Clock(), threading.Event()

        def hang() -> tuple[bool, None]:
            gate.wait(10)
            return False, None

        capture = ScriptedCapture(1, then=hang)
        with LiveSource("camera", lambda: capture, clock=clock) as source:
            monitor = Monitor(source, clock=clock)
            monitor.write(FRAME, RESULT)
            clock.now += 6
            assert not monitor.alive(5)
            gate.set()


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class TestMetrics:
    def test_prometheus_gets_counts_and_the_stages_times(self) -> None:
        pytest.importorskip("prometheus_client")
        with LiveSource("camera", forever) as source:
            monitor = Monitor(source)
            with MetricsSink(("127.0.0.1", 0), monitor) as sink:
                for _ in range(3):
                    monitor.write(FRAME, RESULT)
                    sink.write(FRAME, RESULT)
                code, text = get(sink.port, "/metrics")
        assert code == 200
        lines = text.splitlines()
        assert "edge_digits_frames_total 3.0" in lines
        assert 'edge_digits_readings_total{label="7"} 6.0' in lines
        assert "edge_digits_healthy 1.0" in lines
        assert "edge_digits_reconnects_total 0.0" in lines
        assert 'edge_digits_source_faults_total{fault="frozen"} 0.0' in lines
        assert 'edge_digits_stage_seconds_bucket{le="0.001",stage="total"} 0.0' in lines
        assert 'edge_digits_stage_seconds_bucket{le="0.002",stage="total"} 3.0' in lines

    def test_health_is_told_and_other_addresses_are_not_there(self) -> None:
        pytest.importorskip("prometheus_client")
        monitor = Monitor(ListSource([]))
        with MetricsSink(("127.0.0.1", 0), monitor) as sink:
            code, text = get(sink.port, "/health")
            assert (code, json.loads(text)["trouble"]) == (503, "no frame has come yet")
            monitor.write(FRAME, RESULT)
            code, text = get(sink.port, "/health")
            assert (code, json.loads(text)["healthy"]) == (200, True)
            assert get(sink.port, "/secrets")[0] == 404

    def test_a_port_that_is_taken_is_one_error(self) -> None:
        pytest.importorskip("prometheus_client")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = taken.getsockname()
            with pytest.raises(SinkError, match=r"cannot serve metrics at 127\.0\.0\.1:\d+: Address already in use"):
                MetricsSink(address, Monitor(ListSource([])))

    def test_without_the_package_the_error_names_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with pytest.raises(SinkError, match=r'pip install "edge-digits\[metrics\]"'):
            MetricsSink(("127.0.0.1", 0), Monitor(ListSource([])))


class Systemd:
    """Listens where systemd would."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.settimeout(5)
        self.environment = {"NOTIFY_SOCKET": path}

    def hear(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture(params=["socket", "@edge-digits-test"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = request.param if request.param.startswith("@") else str(tmp_path / request.param)
    listening = Systemd(path)
    yield listening
    listening.socket.close()


class TestSystemd:
    def test_it_hears_that_the_service_is_ready_alive_and_ends(self, systemd: Systemd) -> None:
        monitor = Monitor(ListSource([]))
        monitor.write(FRAME, RESULT)
        with ServiceSink(monitor, systemd.environment | {"WATCHDOG_USEC": "200000"}):
            assert systemd.hear() == "READY=1\nSTATUS=reading list"
            assert {systemd.hear(), systemd.hear()} == {"WATCHDOG=1", "STATUS=reading list"}
            assert systemd.hear() == "WATCHDOG=1"
        while (said := systemd.hear()) == "WATCHDOG=1":
            pass
        assert said == "STOPPING=1"

    def test_a_run_that_hangs_is_not_said_to_be_alive(self, systemd: Systemd) -> None:
        clock = Clock()
        monitor = Monitor(ListSource([]), clock=clock)
        monitor.write(FRAME, RESULT)
        clock.now += 60
        with ServiceSink(monitor, systemd.environment | {"WATCHDOG_USEC": "100000"}):
            systemd.hear()
            assert systemd.hear() == "STATUS=no frame for 60 seconds"
            time.sleep(0.2)
        assert systemd.hear() == "STOPPING=1"

    def test_without_systemd_nothing_is_said(self) -> None:
        assert not notify("READY=1", {})
        with ServiceSink(Monitor(ListSource([])), {}) as sink:
            sink.write(FRAME, RESULT)
