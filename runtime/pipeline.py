"""The loop of every command that reads frames: take one, recognize it, hand it to the sinks."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

from runtime.errors import UsageError
from runtime.scoring import Score, TrueDigit, score_readings
from runtime.sinks import Sink
from runtime.values import Frame, Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        frames: frames read.
        seconds: wall clock from the first frame to the last.
        recognizing: seconds of these that recognition took; the rest is capture, drawing and writing.
        unfit: frames passed over, since the region of interest lies outside them.
        score: digits right and wrong, where the source knows its truth.
    """

    frames: int
    seconds: float
    recognizing: float
    unfit: int
    score: Score | None

    @property
    def fps(self) -> float:
        """Frames per second of recognition alone."""
        return self.frames / self.recognizing if self.recognizing else 0.0


def settle() -> None:
    """Leave what is loaded by now out of garbage collections: going through it cost some frame 3 ms now and then.

    For a process that reads frames from here on; call it once.
    """
    gc.collect()
    gc.freeze()


def run(
    frames: Iterable[Frame],
    recognize: Callable[[Frame], Result],
    sinks: Sequence[Sink],
    *,
    max_frames: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    truth: Callable[[int], Sequence[TrueDigit]] | None = None,
    passed_over: Callable[[str], None] = lambda _: None,
) -> Summary:
    """Read frames until they end, and hand each with its result to the sinks in turn.

    Args:
        frames: an opened source.
        recognize: the pipeline, such as a Recognizer.
        sinks: opened sinks.
        max_frames: end after so many.
        stop: asked after each frame whether to end.
        truth: says which digits are on a frame, by its index.
        passed_over: told why, of each frame that cannot be read.

    Raises:
        SourceError: the source broke off. What was read before is with the sinks.
        SinkError: a sink cannot write.
        UsageError: the region of interest lies outside the first frame; of a later one of another size, that is said.
    """
    count, unfit, recognizing, started = 0, 0, 0.0, perf_counter()
    score = None if truth is None else Score()
    for frame in frames:
        before = perf_counter()
        try:
            result = recognize(frame)
        except UsageError as error:
            if not count:
                raise
            if not unfit:
                log.warning("frame %d is passed over: %s", frame.index, error)
            unfit += 1
            passed_over(str(error))
            continue
        recognizing += perf_counter() - before
        if truth is not None and score is not None:
            score += score_readings(truth(frame.index), result.readings)
        for sink in sinks:
            sink.write(frame, result)
        count += 1
        if count == max_frames or stop():
            break
    return Summary(count, perf_counter() - started, recognizing, unfit, score)
