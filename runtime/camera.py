"""``python -m runtime.camera``: read digits live, from a camera, a video, pictures, a stream or the built-in demo."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TextIO

from runtime.annotate import annotate
from runtime.backends import ArtifactClassifier, load_classifier
from runtime.errors import run_command
from runtime.files import PictureSource
from runtime.options import (
    HelpFormatter,
    add_json_option,
    add_model_options,
    add_reading_options,
    check_output,
    messages_on_stderr,
    open_classifier,
    parse,
    positive_integer,
    positive_number,
    recognizer_settings,
    size,
)
from runtime.recognizer import Recognizer
from runtime.recording import VideoSink
from runtime.scoring import Score, TrueDigit, score_readings
from runtime.sinks import JsonSink, Sink, TextSink, write_line
from runtime.sources import DemoSource, FrameSource, open_source
from runtime.stopping import StopSignals
from runtime.values import Frame, Image, Result
from runtime.window import WindowSink, window_obstacle

log = logging.getLogger("runtime.camera")

_EXAMPLES = """examples:
  python -m runtime.camera                                    the first camera, or the demo where there is none
  python -m runtime.camera --source 0 --size 1280x720         a webcam by its index
  python -m runtime.camera --source clip.mp4 --record read.mkv --display none
  python -m runtime.camera --source rtsp://192.168.1.20/live --json - | jq .numbers

keys in the window: q or Esc quits, space pauses, s saves the picture, h shows the keys
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        frames: frames read.
        seconds: wall clock from the first frame to the last.
        recognizing: seconds of these that recognition took; the rest is capture, drawing and writing.
        score: digits right and wrong, where the source knows its truth.
    """

    frames: int
    seconds: float
    recognizing: float
    score: Score | None

    @property
    def fps(self) -> float:
        """Frames per second of recognition alone."""
        return self.frames / self.recognizing if self.recognizing else 0.0


def run(
    frames: Iterable[Frame],
    recognize: Callable[[Frame], Result],
    sinks: Sequence[Sink],
    *,
    max_frames: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    truth: Callable[[int], Sequence[TrueDigit]] | None = None,
) -> Summary:
    """Read frames until they end, and hand each with its result to the sinks in turn.

    Args:
        frames: an opened source.
        recognize: the pipeline, such as a Recognizer.
        sinks: opened sinks.
        max_frames: end after so many.
        stop: asked after each frame whether to end.
        truth: says which digits are on a frame, by its index.

    Raises:
        SourceError: the source broke off. What was read before is with the sinks.
        SinkError: a sink cannot write.
    """
    count, recognizing, started = 0, 0.0, perf_counter()
    score = None if truth is None else Score()
    for frame in frames:
        before = perf_counter()
        result = recognize(frame)
        recognizing += perf_counter() - before
        if truth is not None and score is not None:
            score += score_readings(truth(frame.index), result.readings)
        for sink in sinks:
            sink.write(frame, result)
        count += 1
        if count == max_frames or stop():
            break
    return Summary(count, perf_counter() - started, recognizing, score)


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
        with messages_on_stderr(), StopSignals() as signals:
            return _read(parse(_parser(), argv), load, open_frames, stdout or sys.stdout, signals)

    return run_command(command)


class Overlay:
    """Draws a result on its frame with the current frame rate; once, though several sinks ask for it."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._last: tuple[Frame, Image] | None = None
        self._time: float | None = None
        self._period: float | None = None

    def __call__(self, frame: Frame, result: Result) -> Image:
        """The picture, uint8 BGR (H, W, 3); not to be drawn on."""
        if self._last is None or self._last[0] is not frame:
            now = self._clock()
            if self._time is not None:
                period = now - self._time
                self._period = period if self._period is None else 0.9 * self._period + 0.1 * period
            self._time = now
            fps = 1 / self._period if self._period else None
            scene = frame.luma if frame.color is None else frame.color
            self._last = frame, annotate(scene, result, fps=fps)
        return self._last[1]


def _read(
    options: argparse.Namespace,
    load: Callable[..., ArtifactClassifier],
    open_frames: Callable[..., FrameSource],
    stdout: TextIO,
    signals: StopSignals,
) -> int:
    _check_outputs(options)
    classifier = open_classifier(options, load)
    source = open_frames(
        options.source,
        size=options.size,
        fps=options.fps,
        rotate=options.rotate,
        flip=options.flip,
        allow_demo=not (options.json or options.record),
    )
    # Pictures of a folder have nothing to do with each other: no evidence goes from one to the next.
    track = not isinstance(source, PictureSource)
    recognizer = Recognizer(classifier, recognizer_settings(options, track=track))
    with ExitStack() as stack:
        stack.enter_context(source)
        overlay = Overlay()
        window = _window(options.display, overlay, source.live)
        sinks: list[Sink] = [window] if window else []
        if options.json:
            sinks.append(JsonSink(options.json, source.name, stdout))
        elif not window:
            sinks.append(TextSink(stdout))
        if options.record:
            sinks.append(VideoSink(options.record, overlay, fps=source.fps, live=source.live))
        for sink in sinks:
            stack.enter_context(sink)
        summary = run(
            signals.frames(source),
            recognizer,
            sinks,
            max_frames=options.max_frames,
            stop=lambda: window is not None and window.stop_asked,
            truth=source.truth if isinstance(source, DemoSource) else None,
        )
    _report(summary, source, sys.stderr if options.json == "-" else stdout)
    return 1 if source.dropped and not source.live else 0


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse to write over what is read, and two outputs into one file."""
    kept = {Path(options.source): "is the --source"} if "://" not in options.source else {}
    if options.config:
        kept[Path(options.config)] = "is the --config"
    for flag, target in (("--json", options.json), ("--record", options.record)):
        check_output(flag, target, kept)
        if target:
            kept[Path(target)] = f"is written by {flag}"


def _window(display: str, overlay: Overlay, live: bool) -> WindowSink | None:
    if display == "none":
        return None
    obstacle = window_obstacle() if display == "auto" else ""
    if obstacle:
        log.info("no window: %s", obstacle)
        return None
    return WindowSink(overlay, live=live)


def _report(summary: Summary, source: FrameSource, out: TextIO) -> None:
    lost = ""
    if source.live or source.dropped:
        lost = f", {source.dropped} {'dropped' if source.live else 'left out'}"
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
        description="Read handwritten digits live and show, record or print them.",
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_argument_group("source")
    group.add_argument(
        "--source",
        default="auto",
        help="auto (the first camera; without one the demo, unless results are written), a camera's index (0) or "
        "device (/dev/video0), a video, a picture, a folder of pictures, an address (http…, rtsp…), picamera, demo",
    )
    group.add_argument("--size", type=size, default="640x480", help="size asked of a camera; the demo's size")
    group.add_argument(
        "--fps",
        type=positive_number,
        default=30.0,
        help="pictures per second asked of a camera, or at which to go through a folder",
    )
    group.add_argument("--rotate", type=int, choices=(0, 90, 180, 270), default=0, help="turn clockwise, in degrees")
    group.add_argument(
        "--flip",
        nargs="?",
        const="horizontal",
        choices=("none", "horizontal", "vertical", "both"),
        default="none",
        help="mirror the picture; --flip alone: horizontal",
    )
    group.add_argument("--max-frames", type=positive_integer, metavar="N", help="end after so many frames")
    add_model_options(parser)
    add_reading_options(parser)
    group = parser.add_argument_group("results")
    group.add_argument(
        "--display",
        choices=("auto", "window", "none"),
        default="auto",
        help="show a window; auto: where there is a display",
    )
    add_json_option(group, "frame")
    group.add_argument("--record", metavar="OUT", help="record what the window shows: .mkv, .mp4 or .avi")
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file with the same names as the flags, which win over it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
