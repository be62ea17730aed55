"""Metrics for Prometheus at ``/metrics`` and health at ``/health``, for whoever watches over a running service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runtime.errors import SinkError
from runtime.live import LiveSource
from runtime.monitor import Monitor
from runtime.sinks import Closing
from runtime.values import Frame, Result

STAGE_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Upper bounds of the histograms' buckets."""


class StageTimes(Closing):
    """A sink that keeps the stages' times, and tells them with a monitor's counts as Prometheus reads them."""

    def __init__(self, monitor: Monitor, needed_by: str = "--metrics", extra: str = "metrics") -> None:
        """Keep times.

        Args:
            monitor: what to tell of besides.
            needed_by: what the user asked for.
            extra: which extra brings what it needs.

        Raises:
            SinkError: prometheus-client is not installed.
        """
        try:
            from prometheus_client import CollectorRegistry, Histogram, generate_latest
        except ImportError as error:
            raise SinkError(f'{needed_by} needs prometheus-client: pip install "edge-digits[{extra}]"') from error
        registry = CollectorRegistry()
        registry.register(_Counts(monitor))
        self._stages = Histogram(
            "edge_digits_stage_seconds", "Time per frame and stage", ["stage"], buckets=STAGE_SECONDS, registry=registry
        )
        self._text = partial(generate_latest, registry)

    def write(self, frame: Frame, result: Result) -> None:
        """Take a frame's times."""
        for stage, milliseconds in result.milliseconds.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def text(self) -> bytes:
        """Prometheus's text format 0.0.4."""
        return self._text()


class MetricsSink(Closing):
    """Serves a monitor's counts and the stages' times over HTTP; its answers never wait for a frame."""

    def __init__(self, address: tuple[str, int], monitor: Monitor) -> None:
        """Start serving.

        Args:
            address: host and port; port 0 takes a free one, which ``port`` tells.
            monitor: what to tell of.

        Raises:
            SinkError: prometheus-client is not installed, or the address is taken.
        """
        self._times = StageTimes(monitor)
        handler = partial(_Handler, monitor, self._times.text)
        try:
            self._server = _Server(address, handler)
        except OSError as error:
            host, port = address
            raise SinkError(
                f"cannot serve metrics at {host}:{port}: {error.strerror}; choose another --metrics"
            ) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def write(self, frame: Frame, result: Result) -> None:
        """Take a frame's times."""
        self._times.write(frame, result)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Counts:
    """What prometheus-client calls a collector: asks the monitor at each scrape."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Any]:
        """Yield the metrics as they are now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        monitor = self._monitor
        yield GaugeMetricFamily("edge_digits_healthy", "1 while frames come, else 0", value=not monitor.trouble)
        yield CounterMetricFamily("edge_digits_frames", "Frames read", value=monitor.frames)
        yield CounterMetricFamily("edge_digits_unsure", "Pieces of ink that it was unsure of", value=monitor.unsure)
        readings = CounterMetricFamily("edge_digits_readings", "Digits read, in all frames", labels=["label"])
        for label in "0123456789":
            readings.add_metric([label], monitor.readings[label])
        yield readings
        source = monitor.source
        yield CounterMetricFamily("edge_digits_source_dropped", "Pictures never taken", value=source.dropped)
        if isinstance(source, LiveSource):
            yield CounterMetricFamily("edge_digits_reconnects", "Times it was opened again", value=source.reconnects)
            faults = CounterMetricFamily("edge_digits_source_faults", "What went wrong with it", labels=["fault"])
            for fault in ("unreadable", "lost", "frozen", "resized"):
                faults.add_metric([fault], source.faults[fault])
            yield faults
        lost = CounterMetricFamily("edge_digits_output_lost", "Frames that an output lost", labels=["output", "why"])
        for output in monitor.outputs:
            lost.add_metric([output.name, "dropped"], output.dropped)
            lost.add_metric([output.name, "failed"], output.failed)
        yield lost


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # of a client that says nothing

    def __init__(self, monitor: Monitor, metrics: Any, *arguments: Any) -> None:
        self._monitor, self._metrics = monitor, metrics
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", self._metrics())
        elif self.path == "/health":
            health = self._monitor.health()
            self._answer(200 if health["healthy"] else 503, "application/json", json.dumps(health).encode() + b"\n")
        else:
            self._answer(404, "text/plain", b"there are /metrics and /health\n")

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing of each request."""
