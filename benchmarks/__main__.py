"""``python -m benchmarks``: what reading digits costs on this machine, and how well they are read."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.camera import PIPELINE, measure_camera
from benchmarks.camera_tables import render_camera
from benchmarks.candidates import choose_artifacts, default_candidate, find_candidates
from benchmarks.environment import describe_machine
from benchmarks.labels import DRAWN, read_labels
from benchmarks.latency import FULL_LATENCY, QUICK_LATENCY, measure_latency
from benchmarks.output import JsonOutput
from benchmarks.pipeline import FULL_PIPELINE, QUICK_PIPELINE, measure_pipeline
from benchmarks.report import Report, describe_model, to_json
from benchmarks.sheet import check_sheet, write_sheets
from benchmarks.size import measure_size
from benchmarks.tables import render
from benchmarks.workload import drawn_frames, real_crops
from runtime.bundle import load_bundle
from runtime.errors import run_command
from runtime.options import HelpFormatter, positive_integer

BENCHMARKS = ("latency", "size", "pipeline", "camera")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _benchmarks(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what reading digits costs on this machine, on drawn frames and real crops of them,\n"
        "and how well labeled pictures are read.\n"
        "Close other programs first: the tables say when a run was too restless to be quoted.",
        epilog="examples:\n"
        "  python -m benchmarks --quick                 everything, in some 20 seconds\n"
        "  python -m benchmarks latency --json out.json\n"
        "  python -m benchmarks pipeline --artifact litert-int8 --artifact litert-float32\n"
        "  python -m benchmarks camera --frames runs/frames-test --sheet mistakes.png",
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=(*BENCHMARKS, "all"),
        default="all",
        help="latency: one digit, each artifact in each interpreter; size: files and installed packages; "
        "pipeline: a frame, stage by stage; camera: labeled pictures, end to end; all unless named",
    )
    parser.add_argument("--model", default="edge", metavar="NAME", help="a shipped model, or the folder of a bundle")
    parser.add_argument(
        "--artifact",
        action="append",
        metavar="NAME",
        help="only this artifact of the model, such as litert-int8; may be given again. Unless given, all of them; "
        "for pipeline and camera the first int8 one",
    )
    parser.add_argument("--threads", type=positive_integer, default=1, metavar="N", help="threads of each interpreter")
    parser.add_argument("--quick", action="store_true", help="fewer samples; frames without p99")
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="DIR",
        help="camera: folder of pictures with labels.json, as python -m train.scenes writes it; unless given, and "
        "without --photos, the drawn frames that come with the program",
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help="camera: another such folder, of real photos")
    parser.add_argument(
        "--tutorial", action="store_true", help="camera: also read them the way tutorials do, for comparison"
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="OUT", help="camera: draw every miss and invention into this .png or .jpg"
    )
    parser.add_argument(
        "--json",
        metavar="OUT",
        help="also write everything, raw samples included, to this file; with - to stdout, and the tables to stderr",
    )
    return parser


def _benchmarks(options: argparse.Namespace) -> int:
    if options.json is None:
        print(_text(_measure(options)))
        return 0
    with JsonOutput(options.json) as output:
        report = _measure(options)
        print(_text(report), file=sys.stderr if options.json == "-" else sys.stdout)
        output.write(to_json(report))
    return 0


def _text(report: Report) -> str:
    return "\n\n".join([render(report), *([render_camera(report.camera)] if report.camera else [])])


def _measure(options: argparse.Namespace) -> Report:
    wanted = BENCHMARKS if options.benchmark == "all" else (options.benchmark,)
    folders = [folder for folder in (options.frames, options.photos) if folder] or [DRAWN]
    labeled = {folder: read_labels(folder) for folder in folders} if "camera" in wanted else {}
    if options.sheet:
        check_sheet(options.sheet)
    bundle = load_bundle(options.model)
    artifacts = choose_artifacts(bundle, options.artifact or ())
    report = Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
        quick=options.quick,
        threads=options.threads,
        environment=describe_machine(),
        model=describe_model(bundle),
    )
    started = time.monotonic()
    if set(wanted) - {"size"}:
        print("drawing pages; loading every artifact in every interpreter", file=sys.stderr)
        candidates, skipped = find_candidates(bundle, artifacts, threads=options.threads)
        if "latency" in wanted:
            settings = QUICK_LATENCY if options.quick else FULL_LATENCY
            report = replace(report, latency=measure_latency(candidates, skipped, real_crops(), settings))
        chosen = candidates if options.artifact else [default_candidate(candidates)]
        if "pipeline" in wanted:
            plan = QUICK_PIPELINE if options.quick else FULL_PIPELINE
            report = replace(report, pipeline=measure_pipeline(chosen, drawn_frames(), plan))
        if "camera" in wanted:
            report = replace(report, camera=measure_camera(chosen, labeled, tutorial=options.tutorial))
            if options.sheet:
                runs = [run for run in report.camera.runs if run.reader == PIPELINE] if report.camera else []
                files = write_sheets(options.sheet, runs)
                print(f"misses and inventions: {', '.join(map(str, files))}", file=sys.stderr)
    if "size" in wanted:
        report = replace(report, size=measure_size(bundle, artifacts))
    return replace(report, seconds=round(time.monotonic() - started, 1))


if __name__ == "__main__":
    sys.exit(main())
