"""``python -m benchmarks``: what reading digits costs on this machine, and how well they are read."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from benchmarks.camera import PIPELINE
from benchmarks.labels import DRAWN, read_labels
from benchmarks.output import JsonOutput
from benchmarks.render import check_folder, write_report
from benchmarks.report import Limits, Report, to_json
from benchmarks.run import Options, measure
from benchmarks.sections import sections
from benchmarks.sheet import check_sheet, write_sheets
from benchmarks.tables import to_text
from benchmarks.verdict import judge
from runtime.bundle import shipped_models
from runtime.errors import UsageError, run_command
from runtime.options import HelpFormatter, positive_integer, positive_number, probability

BENCHMARKS = ("latency", "size", "memory", "startup", "pipeline", "camera")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _benchmarks(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what reading digits costs on this machine, on drawn frames and real crops of them,\n"
        "how well labeled pictures are read, and say what to ship here.\n"
        "Close other programs first: the tables say when a run was too restless to be quoted.",
        epilog="examples:\n"
        "  python -m benchmarks --quick                        everything, in two minutes at most\n"
        "  python -m benchmarks all --out results              everything, in twenty; goes on where it was stopped\n"
        "  python -m benchmarks latency --threads 1,4 --json out.json\n"
        "  python -m benchmarks --quick --max-ms 20 --max-kb 100 --min-accuracy 0.995\n"
        "  python -m benchmarks latency --peers --python ncnn=peers/bin/python\n"
        "  python -m benchmarks pipeline --sustained 15\n"
        "  python -m benchmarks camera --frames runs/frames-test --sheet mistakes.png",
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=(*BENCHMARKS, "all"),
        default="all",
        help="latency: one digit, each artifact in each interpreter; size: files and installed packages; memory, "
        "startup: fresh processes up to their first reading; pipeline: a frame, stage by stage; camera: labeled "
        "pictures, end to end; all unless named",
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a shipped model, or the folder of a bundle; may be given again. Unless given, all that are shipped",
    )
    what.add_argument(
        "--artifact",
        action="append",
        metavar="NAME",
        help="only this artifact of the models, such as litert-int8; may be given again. Unless given, all of them; "
        "for camera LiteRT's int8 one",
    )
    what.add_argument(
        "--threads",
        type=_threads,
        metavar="N,…",
        help="threads of each interpreter; frames are read with the first. Unless given, 1, and as many as there are "
        "cores in a run of all that is not quick",
    )
    what.add_argument("--quick", action="store_true", help="fewer samples and frames, and no peers")
    what.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        help="also measure what others offer: TensorFlow, OpenCV, OpenVINO, ncnn, Tesseract, as far as they are "
        "installed. Unless given, in a run of all that is not quick",
    )
    what.add_argument(
        "--python",
        action="append",
        type=_python,
        default=[],
        metavar="NAME=PATH",
        help="the Python of another environment that has this interpreter or peer: tflite-runtime, tensorflow, "
        "openvino, ncnn, …; may be given again",
    )
    what.add_argument(
        "--sustained", type=positive_number, default=0.0, metavar="MINUTES", help="also read frames so long, for heat"
    )
    limits = parser.add_argument_group("what is to be shipped", "Exit code 1 where nothing keeps these limits.")
    limits.add_argument(
        "--max-ms", type=positive_number, metavar="MS", help="median of a 640×480 frame with ten digits"
    )
    limits.add_argument("--max-kb", type=_kilobytes, metavar="KB", help="size of the file, 1000 bytes each")
    limits.add_argument(
        "--min-accuracy", type=probability, metavar="P", help="share of MNIST's test set, such as 0.995"
    )
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--frames",
        type=Path,
        metavar="DIR",
        help="folder of pictures with labels.json, as python -m train.scenes writes it; unless given, and without "
        "--photos, the drawn frames that come with the program",
    )
    camera.add_argument("--photos", type=Path, metavar="DIR", help="another such folder, of real photos")
    camera.add_argument("--tutorial", action="store_true", help="also read them the way tutorials do, for comparison")
    camera.add_argument(
        "--sheet", type=Path, metavar="OUT", help="draw every miss and invention into this .png or .jpg"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json",
        metavar="OUT",
        help="also write everything, raw samples included, to this file; with - to stdout, and the tables to stderr",
    )
    output.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="also write report.json, report.md and report.html there, and keep each step on the way: the same command "
        "goes on with a run that was stopped",
    )
    return parser


def _benchmarks(options: argparse.Namespace) -> int:
    wanted = BENCHMARKS if options.benchmark == "all" else (options.benchmark,)
    folders = [folder for folder in (options.frames, options.photos) if folder] or [DRAWN]
    labeled = {folder: read_labels(folder) for folder in folders} if "camera" in wanted else {}
    _check_limits(options, wanted)
    if options.sheet:
        check_sheet(options.sheet)
    if options.out:
        check_folder(options.out)
    asked = Options(
        benchmarks=wanted,
        models=tuple(options.model or sorted(shipped_models(), key=lambda name: (name != "edge", name))),
        artifacts=tuple(options.artifact or ()),
        threads=options.threads or _default_threads(options),
        quick=options.quick,
        peers=options.peers if options.peers is not None else options.benchmark == "all" and not options.quick,
        pythons=dict(options.python),
        limits=Limits(options.max_ms, options.max_kb, options.min_accuracy),
        sustained=options.sustained,
        labeled=labeled,
        tutorial=options.tutorial,
    )
    if options.json is None:
        report = _run(asked, options, sys.stdout)
    else:
        with JsonOutput(options.json) as output:
            report = _run(asked, options, sys.stderr if options.json == "-" else sys.stdout)
            output.write(to_json(report))
    verdict = judge(report)
    return 1 if verdict is not None and verdict.best is None else 0


def _check_limits(options: argparse.Namespace, wanted: Sequence[str]) -> None:
    """Raise UsageError for a limit that nothing would be held to."""
    if options.max_ms is not None and "pipeline" not in wanted:
        raise UsageError(f"--max-ms is for a whole frame, which {options.benchmark} does not time; run pipeline or all")
    asked = options.max_kb is not None or options.min_accuracy is not None
    if asked and not {"latency", "pipeline"} & set(wanted):
        raise UsageError(
            f"--max-kb and --min-accuracy choose among what is timed, and {options.benchmark} times nothing; "
            "run latency, pipeline or all"
        )


def _run(asked: Options, options: argparse.Namespace, tables: TextIO) -> Report:
    report, steps = measure(asked, options.out)
    print(to_text(sections(report)), file=tables)
    if options.sheet and report.camera:
        files = write_sheets(options.sheet, [run for run in report.camera.runs if run.reader == PIPELINE])
        print(f"misses and inventions: {', '.join(map(str, files))}", file=sys.stderr)
    if options.out:
        for path in write_report(report, options.out):
            print(f"written: {path}", file=sys.stderr)
        steps.forget()
    return report


def _default_threads(options: argparse.Namespace) -> tuple[int, ...]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return (1, cores) if options.benchmark == "all" and not options.quick and cores > 1 else (1,)


def _threads(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(positive_integer(part.strip()) for part in text.split(",")))


def _kilobytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number over 0")
    return number


def _python(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH such as ncnn=peers/bin/python")
    if not Path(path).is_file():
        raise UsageError(f"--python {text}: there is no file {path}; name the python of an environment")
    return name, str(Path(path).absolute())


if __name__ == "__main__":
    sys.exit(main())
