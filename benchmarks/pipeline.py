"""What a frame costs, stage by stage, and whether what it was paid for was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.candidates import Candidate
from benchmarks.measure import Plan, run_blocks
from benchmarks.progress import Progress
from benchmarks.workload import DrawnFrame, pixels_sha256
from runtime.detect import detect
from runtime.recognizer import Recognizer
from runtime.scoring import score_readings
from runtime.values import Frame, Result

STAGES = ("detect", "classify", "total")
"""Of ``Result.milliseconds``; the total holds tracking and grouping too."""

FULL_PIPELINE = Plan(rounds=40, calls=25, settle=2)
QUICK_PIPELINE = Plan(rounds=20, calls=5, settle=1)
"""Too few frames for p99, which would take a minute."""


@dataclass(frozen=True, slots=True)
class FramePipeline:
    """Raw nanoseconds of one candidate on one frame.

    Attributes:
        artifact: name in the manifest.
        interpreter: what ran it.
        frame: name of the frame.
        frame_sha256: of its pixels.
        width: of the frame, in pixels.
        height: of the frame, in pixels.
        digits: drawn on it.
        crops: that the detector cut out.
        right: of these read as what they are.
        wrong: of these read as another.
        missed: of these not read.
        invented: readings where no digit is.
        stages_ns: by stage (see ``STAGES``) the blocks in the order of the run.
    """

    artifact: str
    interpreter: str
    frame: str
    frame_sha256: str
    width: int
    height: int
    digits: int
    crops: int
    right: int
    wrong: int
    missed: int
    invented: int
    stages_ns: Mapping[str, tuple[tuple[int, ...], ...]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The pipeline benchmark: how much was measured, and the figures of each frame."""

    plan: Plan
    frames: tuple[FramePipeline, ...]


def measure_pipeline(
    candidates: Sequence[Candidate], frames: Sequence[DrawnFrame], plan: Plan = FULL_PIPELINE
) -> Pipeline:
    """Read every frame with every candidate, as the camera command does: with tracking, one recognizer per view.

    Args:
        candidates: what to classify with.
        frames: what to read; each is shown again and again.
        plan: how often.
    """
    pairs = {
        f"{candidate.name} {drawn.name}": (candidate, drawn, Recognizer(candidate.load()))
        for candidate in candidates
        for drawn in frames
    }
    # Tracks settle within a few frames; what is counted as read is what stands there then.
    results = {key: [recognizer(drawn.frame) for _ in range(5)][-1] for key, (_, drawn, recognizer) in pairs.items()}
    with Progress("pipeline", len(pairs) * plan.rounds) as progress:
        blocks = run_blocks(
            {key: _block(recognizer, drawn.frame) for key, (_, drawn, recognizer) in pairs.items()}, plan, progress.step
        )
    return Pipeline(
        plan,
        tuple(
            _frame_pipeline(candidate, drawn, results[key], blocks[key]) for key, (candidate, drawn, _) in pairs.items()
        ),
    )


def _block(recognizer: Recognizer, frame: Frame) -> Callable[[int], list[tuple[int, ...]]]:
    def run(count: int) -> list[tuple[int, ...]]:
        samples = []
        for _ in range(count):
            milliseconds = recognizer(frame).milliseconds
            samples.append(tuple(round(milliseconds[stage] * 1e6) for stage in STAGES))
        return samples

    return run


def _frame_pipeline(
    candidate: Candidate, drawn: DrawnFrame, result: Result, blocks: Sequence[Sequence[tuple[int, ...]]]
) -> FramePipeline:
    height, width = drawn.frame.luma.shape
    score = score_readings(drawn.digits, result.readings)
    return FramePipeline(
        artifact=candidate.artifact.name,
        interpreter=candidate.interpreter,
        frame=drawn.name,
        frame_sha256=pixels_sha256(drawn.frame.luma),
        width=width,
        height=height,
        digits=len(drawn.digits),
        crops=len(detect(drawn.frame.luma).crops),
        right=score.right,
        wrong=score.wrong,
        missed=score.missed,
        invented=score.invented,
        stages_ns={
            stage: tuple(tuple(sample[i] for sample in block) for block in blocks) for i, stage in enumerate(STAGES)
        },
    )
