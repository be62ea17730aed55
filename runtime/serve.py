"""``python -m runtime.serve``: a page to watch, draw, send pictures and correct on, and the same for programs."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

from runtime.backends import ArtifactClassifier, load_classifier
from runtime.broadcast import Broadcast
from runtime.config import parse
from runtime.corrections import LabeledFolder, SeenCrops
from runtime.errors import BackendError, UsageError, run_command
from runtime.files import PictureSource
from runtime.messages import messages_on_stderr
from runtime.metrics import StageTimes
from runtime.monitor import Monitor
from runtime.options import (
    HelpFormatter,
    add_model_options,
    add_reading_options,
    add_source_options,
    nonempty,
    recognizer_settings,
    source_settings,
)
from runtime.pipeline import run, settle
from runtime.playing import PlayingSource
from runtime.readers import Readers
from runtime.recording import Overlay
from runtime.service import ServiceSink
from runtime.sinks import Sink, write_line
from runtime.sources import FrameSource, open_source
from runtime.stopping import StopSignals

log = logging.getLogger("runtime.serve")

TOKEN_VARIABLE = "EDGE_DIGITS_TOKEN"
"""Environment variable with the token; an option would show it to everybody who lists processes."""

SHORTEST_TOKEN = 12

_EXAMPLES = f"""examples:
  python -m runtime.serve                             the first camera, once there is one; http://127.0.0.1:8080/
  python -m runtime.serve --source demo               the built-in demo, over and over
  {TOKEN_VARIABLE}=$(openssl rand -hex 16) python -m runtime.serve --host 0.0.0.0
                                                      for the whole network, for who knows the token
"""


def main(
    argv: Sequence[str] | None = None,
    *,
    load: Callable[..., ArtifactClassifier] = load_classifier,
    open_frames: Callable[..., FrameSource] = open_source,
    stdout: TextIO | None = None,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        load: loads a classifier; tests hand in another.
        open_frames: opens the source; tests hand in another.
        stdout: where the address is told; standard output by default.
        environment: holds the token.

    Returns:
        The exit code: 0 ended by a signal, 1 an expected error, 2 wrong usage.
    """

    def command() -> int:
        options = parse(_parser(), argv)
        with messages_on_stderr(options.log_format), StopSignals() as signals:
            return _serve(options, load, open_frames, stdout or sys.stdout, environment, signals)

    return run_command(command)


def _serve(
    options: argparse.Namespace,
    load: Callable[..., ArtifactClassifier],
    open_frames: Callable[..., FrameSource],
    stdout: TextIO,
    environment: Mapping[str, str],
    signals: StopSignals,
) -> int:
    token, hosts = admission(options.host, environment)
    if not 0 <= options.port <= 65535:
        raise UsageError(f"--port is {options.port}; expected 0 to 65535, where 0 is any that is free")
    try:
        from runtime.web.app import Parts, make_app
        from runtime.web.guard import Limits
        from runtime.web.server import Server
    except ImportError as error:
        raise BackendError(f'the page needs {error.name}: pip install "edge-digits[serve]"') from error
    from runtime.web.pulse import Pulse

    settings = source_settings(options)
    if options.source == "auto":
        settings = replace(settings, wait=True)  # the rest of the page works without a camera
    reopen = partial(open_frames, options.source, settings)
    limits = Limits()
    names = ("backend", "precision", "threads", "interpreter")
    load_model = partial(load, **{name: getattr(options, name) for name in names})
    with ExitStack() as stack:
        source = reopen()
        track = not isinstance(source, PictureSource)
        if not source.live:
            source = PlayingSource(source, reopen)
        stack.enter_context(source)
        reading = recognizer_settings(options, track=track)
        readers = Readers(lambda model: load_model(model=model), options.model, reading, limits.pixels)
        monitor = Monitor(source)
        kept = Path(options.keep)
        parts = Parts(
            readers,
            Broadcast(Overlay()),
            Pulse(source.name),
            monitor,
            StageTimes(monitor, "the page", "serve"),
            SeenCrops(),
            LabeledFolder(kept / "digits"),
            kept / "model",
        )
        server = stack.enter_context(
            Server(make_app(parts, token=token, hosts=hosts, limits=limits), options.host, options.port)
        )
        # The last to be entered ends first: who looks at the live picture is let go before the server waits for them.
        service, broadcast = stack.enter_context(ServiceSink(monitor)), stack.enter_context(parts.broadcast)
        sinks: list[Sink] = [monitor, service, parts.times, parts.pulse, parts.crops, broadcast]
        host = f"[{options.host}]" if ":" in options.host else options.host
        write_line(stdout, f"http://{host}:{server.port}/", "the address")
        settle()
        summary = run(
            signals.frames(source),
            readers.frame,
            sinks,
            max_frames=options.max_frames,
            passed_over=monitor.pass_over,
        )
    log.info("%d frames in %.1f s", summary.frames, summary.seconds)
    return 0


def admission(host: str, environment: Mapping[str, str]) -> tuple[str | None, frozenset[str] | None]:
    """Who may ask, on this address: the token that must be shown, and the names that requests may be addressed to.

    Args:
        host: the address to listen on.
        environment: may hold ``TOKEN_VARIABLE``.

    Raises:
        UsageError: others can reach the address, and there is no token, or a short one.
    """
    token = environment.get(TOKEN_VARIABLE) or None
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UsageError(f"{TOKEN_VARIABLE} has {len(token)} characters; expected {SHORTEST_TOKEN} or more")
    try:
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    if not own and token is None:
        raise UsageError(
            f"--host {host} can be reached by others, so a token is needed: "
            f"{TOKEN_VARIABLE}=$(openssl rand -hex 16) python -m runtime.serve --host {host} …"
        )
    return token, frozenset({"localhost", "127.0.0.1", "::1", host}) if own and token is None else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.serve",
        description="Serve a page to watch, draw, send pictures and correct on, and the same for programs.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("page")
    group.add_argument(
        "--host", default="127.0.0.1", help=f"address to listen on; one that others reach needs {TOKEN_VARIABLE}"
    )
    group.add_argument("--port", type=int, default=8080, help="port to listen on; 0: any that is free")
    group.add_argument(
        "--keep",
        type=nonempty,
        default="kept",
        metavar="DIR",
        help="folder for corrected crops (DIR/digits, for train --extra) and an uploaded bundle (DIR/model)",
    )
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="of the messages on standard error"
    )
    add_source_options(parser)
    add_model_options(parser)
    add_reading_options(parser)
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file with the same names as the flags, which win over it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
