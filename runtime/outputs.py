"""The outputs that commands share: their options, and the sinks that these ask for."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

from runtime.background import Background
from runtime.errors import UsageError
from runtime.metrics import MetricsSink
from runtime.monitor import Monitor, Output
from runtime.mqtt import MqttSettings, MqttSink
from runtime.options import add_json_option, address, check_output, megabytes, nonempty
from runtime.recording import Overlay, VideoSink
from runtime.service import ServiceSink
from runtime.sinks import JsonSink, Sink, TextSink
from runtime.sources import FrameSource
from runtime.unsure import UnsureSink
from runtime.window import WindowSink, window_obstacle

log = logging.getLogger(__name__)


def add_output_options(parser: argparse.ArgumentParser, displays: Sequence[str] = ("auto", "window", "none")) -> None:
    """Where results go, and how a service is watched over."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "--display", choices=displays, default="auto", help="show a window; auto: where there is a display"
    )
    add_json_option(group, "frame")
    group.add_argument(
        "--record",
        type=nonempty,
        metavar="OUT",
        help="record what the window shows: .mkv (readable whatever happens), .mp4 or .avi (smaller, lost if killed); "
        "%%Y%%m%%d-%%H%%M%%S in the name is the time",
    )
    group.add_argument(
        "--mqtt",
        type=nonempty,
        metavar="URL",
        help="publish what changes to a broker: mqtt://[user:password@]host[:port], or mqtts",
    )
    group.add_argument(
        "--mqtt-topic", type=nonempty, default="edge-digits", metavar="TOPIC", help="what its topics begin with"
    )
    group.add_argument("--mqtt-qos", type=int, choices=(0, 1, 2), default=0, help="how surely readings arrive")
    group.add_argument(
        "--save-unsure", type=nonempty, metavar="DIR", help="save crops of ink that stayed unsure to this folder"
    )
    group.add_argument(
        "--save-limit", type=megabytes, default=100.0, metavar="MB", help="space for these; the oldest make room"
    )
    group = parser.add_argument_group("service")
    group.add_argument(
        "--metrics",
        type=address,
        metavar="[HOST:]PORT",
        help="serve /metrics for Prometheus and /health; host 127.0.0.1 unless given",
    )
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="of the messages on standard error"
    )


def check_outputs(options: argparse.Namespace) -> None:
    """Fill in the time where names ask for it; refuse to write over what is read, and two outputs into one file.

    Raises:
        UsageError: an output is what is read, or another output.
    """
    now = datetime.now().astimezone()
    kept = {Path(options.source): "is the --source"} if "://" not in options.source else {}
    if options.config:
        kept[Path(options.config)] = "is the --config"
    for name in ("json", "record"):
        target = getattr(options, name)
        if target and "%" in target:
            target = now.strftime(target)
            setattr(options, name, target)
        check_output(f"--{name}", target, kept)
        if target:
            kept[Path(target)] = f"is written by --{name}"
    if options.mqtt_topic.strip("/") != options.mqtt_topic or set("#+\0") & set(options.mqtt_topic):
        raise UsageError(f"--mqtt-topic {options.mqtt_topic!r} is no topic to publish to: no #, no +, no / at an end")


def kept_results(options: argparse.Namespace) -> bool:
    """Whether results go anywhere but to a screen: the demo must not take a camera's place there."""
    return any((options.json, options.record, options.mqtt, options.save_unsure, options.metrics))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run writes to.

    Attributes:
        sinks: all of them, the monitor first.
        monitor: counts what the run does.
        window: the one that can ask to stop, if there is one.
    """

    sinks: list[Sink]
    monitor: Monitor
    window: WindowSink | None

    @property
    def stop_asked(self) -> bool:
        """Whether the user closed the window."""
        return self.window is not None and self.window.stop_asked


def open_outputs(
    options: argparse.Namespace, source: FrameSource, stdout: TextIO, stack: ExitStack, stop: Callable[[], bool]
) -> Outputs:
    """Open every sink that the options ask for; each is entered into the stack.

    With a live source each but the window has a thread of its own, and what one cannot keep up with is dropped; a
    file's frames reach every sink, however slow. The window, which waits for keys where the source is a file, asks
    ``stop`` whether to go on waiting.

    Raises:
        SinkError: one cannot be opened.
        UsageError: an address is none.
    """
    overlay = Overlay()
    counted: list[Output] = []
    monitor = Monitor(source, counted)
    sinks: list[Sink] = [monitor]

    def add(name: str, sink: Sink) -> None:
        if source.live:
            sink = background = Background(name, sink)
            counted.append(background)
        sinks.append(stack.enter_context(sink))

    window = _window(options.display, overlay, source.live, stop)
    if window:
        sinks.append(stack.enter_context(window))
    if options.json:
        add("--json", JsonSink(options.json, source.name, stdout))
    elif not window:
        add("text", TextSink(stdout))
    if options.record:
        add("--record", VideoSink(options.record, overlay, fps=source.fps, live=source.live))
    if options.save_unsure:
        add("--save-unsure", UnsureSink(options.save_unsure, options.save_limit))
    if options.mqtt:
        settings = MqttSettings(options.mqtt, options.mqtt_topic, options.mqtt_qos)
        broker = stack.enter_context(MqttSink(settings, source.name))
        counted.append(broker)
        sinks.append(broker)
    if options.metrics:
        sinks.append(stack.enter_context(MetricsSink(options.metrics, monitor)))
    sinks.append(stack.enter_context(ServiceSink(monitor)))
    return Outputs(sinks, monitor, window)


def _window(display: str, overlay: Overlay, live: bool, stop: Callable[[], bool]) -> WindowSink | None:
    if display == "none":
        return None
    obstacle = window_obstacle() if display == "auto" else ""
    if obstacle:
        log.info("no window: %s", obstacle)
        return None
    return WindowSink(overlay, live=live, stop=stop)
