"""``python -m runtime.camera``: read digits live, from a camera, a video, pictures, a stream or the built-in demo."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TextIO

from runtime.backends import ArtifactClassifier, load_classifier
from runtime.config import parse
from runtime.errors import EdgeDigitsError, run_command
from runtime.files import PictureSource
from runtime.live import LiveSource
from runtime.messages import messages_on_stderr
from runtime.monitor import Monitor
from runtime.options import (
    HelpFormatter,
    add_model_options,
    add_reading_options,
    add_source_options,
    open_classifier,
    recognizer_settings,
    source_settings,
)
from runtime.outputs import add_output_options, check_outputs, kept_results, open_outputs
from runtime.pipeline import Summary, run, settle
from runtime.recognizer import Recognizer
from runtime.sinks import write_line
from runtime.sources import DemoSource, FrameSource, open_source
from runtime.stopping import StopSignals
from runtime.window import WindowSink

log = logging.getLogger("runtime.camera")

_EXAMPLES = """examples:
  python -m runtime.camera                                    the first camera, or the demo where there is none
  python -m runtime.camera --source 0 --size 1280x720         a webcam by its index
  python -m runtime.camera --source clip.mp4 --record read.mkv --display none
  python -m runtime.camera --source rtsp://192.168.1.20/live --json | jq .numbers
  python -m runtime.camera --source 0 --wait --display none --mqtt mqtt://broker --metrics 9464

keys in the window: q or Esc quits, space pauses, s saves the picture, o hides what was read, h shows the keys
"""


def main(
    argv: Sequence[str] | None = None,
    *,
    load: Callable[..., ArtifactClassifier] = load_classifier,
    open_frames: Callable[..., FrameSource] = open_source,
    stdout: TextIO | None = None,
) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        load: loads the classifier; tests hand in another.
        open_frames: opens the source; tests hand in another.
        stdout: where results go; standard output by default.

    Returns:
        The exit code: 0 done, 1 an expected error, 2 wrong usage.
    """

    def command() -> int:
        options = parse(_parser(), argv)
        with messages_on_stderr(options.log_format), StopSignals() as signals:
            try:
                return _read(options, load, open_frames, stdout or sys.stdout, signals)
            except EdgeDigitsError as error:
                if options.log_format == "text":
                    raise
                log.error("%s", error)  # noqa: TRY400 - a line is all that a user's own mistake needs
                return error.exit_code

    return run_command(command)


def _read(
    options: argparse.Namespace,
    load: Callable[..., ArtifactClassifier],
    open_frames: Callable[..., FrameSource],
    stdout: TextIO,
    signals: StopSignals,
) -> int:
    check_outputs(options)
    classifier = open_classifier(options, load)
    settings = replace(source_settings(options), color=options.display != "none" or options.record is not None)
    source = open_frames(options.source, settings, allow_demo=not kept_results(options))
    # Pictures of a folder have nothing to do with each other: no evidence goes from one to the next.
    track = not isinstance(source, PictureSource)
    recognizer = Recognizer(classifier, recognizer_settings(options, track=track))
    with ExitStack() as stack:
        stack.enter_context(source)
        outputs = open_outputs(options, source, stdout, stack, lambda: signals.asked)
        window = outputs.window
        if window and isinstance(source, LiveSource):
            source.while_waiting = partial(_idle, source, window)
        settle()
        summary = run(
            signals.frames(source),
            recognizer,
            outputs.sinks,
            max_frames=options.max_frames,
            stop=lambda: outputs.stop_asked,
            truth=source.truth if isinstance(source, DemoSource) else None,
            passed_over=outputs.monitor.pass_over,
        )
    _report(summary, outputs.monitor, sys.stderr if options.json == "-" else stdout)
    return 1 if summary.unfit or (source.dropped and not source.live) else 0


def _idle(source: LiveSource, window: WindowSink) -> None:
    """While a live source has no picture: the window answers its keys still."""
    window.idle(source.trouble)
    if window.stop_asked:
        source.close()


def _report(summary: Summary, monitor: Monitor, out: TextIO) -> None:
    source = monitor.source
    lost = ""
    if source.live or source.dropped:
        lost = f", {source.dropped} {'dropped' if source.live else 'left out'}"
    for output in monitor.outputs:
        if output.dropped or output.failed:
            lost += f"; {output.name}: {output.dropped} dropped, {output.failed} failed"
    log.info(
        "%d frames in %.1f s%s; recognition alone: %.0f frames per second",
        summary.frames,
        summary.seconds,
        lost,
        summary.fps,
    )
    score = summary.score
    if score is None:
        return
    share = 100 * score.right / max(score.shown, 1)
    line = (
        f"{source.name}: {score.shown} digits in {summary.frames} frames: {score.right} right ({share:.2f} %), "
        f"{score.wrong} wrong, {score.missed} missed, {score.invented} invented; "
        f"{summary.fps:.0f} frames per second (recognition alone)"
    )
    write_line(out, line, "the score")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.camera",
        description="Read handwritten digits live and show, record, publish or print them.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add_source_options(parser)
    add_model_options(parser)
    add_reading_options(parser)
    add_output_options(parser)
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file with the same names as the flags, which win over it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
