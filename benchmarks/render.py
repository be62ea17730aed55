"""``python -m benchmarks.render``: a report's files made anew from its JSON, and README's tables from it."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from benchmarks.candidates import LATENCY
from benchmarks.page import to_page
from benchmarks.plots import draw
from benchmarks.report import Report, read_report, to_json
from benchmarks.sections import sections
from benchmarks.subjects import ADAPTIVE, CHAIN, PIPELINE, TESSERACT
from benchmarks.summary import intervals
from benchmarks.tables import NONE, Table, markdown_table, to_markdown, to_text
from benchmarks.verdict import FRAME, duration, noise, verdict_lines
from runtime.errors import BackendError, DataError, SinkError, run_command
from runtime.options import HelpFormatter

RESULTS = Path(__file__).resolve().parent / "results"
"""Committed reports: a folder for each machine."""

_MARK = re.compile(r"(<!-- benchmarks (?P<name>[\w/.-]+) -->\n).*?(<!-- /benchmarks -->)", re.DOTALL)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(lambda: _render(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.render",
        description="Show a report again, or make its files and README's tables anew from its JSON.",
        epilog="examples:\n"
        "  python -m benchmarks.render results/report.json\n"
        "  python -m benchmarks.render results/report.json --out results\n"
        "  python -m benchmarks.render --readme README.md    tables between marks, from benchmarks/results",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("report", type=Path, nargs="?", help="report.json; its tables go to stdout")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write report.json, report.md and report.html there")
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help="renew each part between <!-- benchmarks MACHINE --> and <!-- /benchmarks -->",
    )
    return parser


def _render(options: argparse.Namespace) -> int:
    if options.report is not None:
        report = read_report(options.report)
        print(to_text(sections(report)))
        if options.out is not None:
            check_folder(options.out)
            write_report(report, options.out)
    if options.readme is not None:
        try:
            text = options.readme.read_text(encoding="utf-8")
            options.readme.write_text(renew(text), encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot renew {options.readme}: {error.strerror}") from error
    return 0


def check_folder(folder: Path) -> None:
    """Make a folder for a report before minutes are spent on measuring.

    Raises:
        SinkError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make --out {folder}: {error.strerror}; name a folder that you can write to") from error


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write ``report.json``, ``report.md`` and, where matplotlib is, ``report.html``.

    Raises:
        SinkError: one cannot be written.
    """
    found = sections(report)
    title = report_title(report)
    texts = {"report.json": to_json(report), "report.md": f"# {title}\n\n{to_markdown(found)}"}
    try:
        texts["report.html"] = to_page(title, found, draw(report))
    except BackendError as error:
        print(f"skipped: report.html: {error}", file=sys.stderr)
    try:
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write into {folder}: {error.strerror}") from error
    return [folder / name for name in texts]


def report_title(report: Report) -> str:
    """Such as ``Reading digits on Raspberry Pi 5 Model B``."""
    machine = report.environment
    return f"Reading digits on {machine.board or machine.cpu}, {machine.architecture}"


def renew(text: str, results: Path = RESULTS) -> str:
    """A text with the parts between its marks made anew from the reports that they name.

    Raises:
        DataError: a report that is named is not there.
    """

    def part(match: re.Match[str]) -> str:
        path = results / match["name"] / "report.json"
        if not path.is_file():
            raise DataError(f"there is no {path}; python -m benchmarks all --out {path.parent} measures it")
        return match[1] + readme_part(read_report(path)) + match[3]

    return _MARK.sub(part, text)


def readme_part(report: Report) -> str:
    """What README shows of a report: what runs how fast, how large, how accurate, measured how."""
    rows = []
    for subject in report.subjects:
        artifact = report.artifact(subject)
        found = {name: report.find(subject.name, name) for name in (LATENCY[2], f"{PIPELINE}, {FRAME}")}
        if artifact is None or subject.threads != report.threads[0] or found[LATENCY[2]] is None:
            continue
        cells = []
        for series in found.values():
            times = intervals(series.sessions_ns) if series is not None else {}
            middle = times.get(50)
            cells.append(
                f"{duration(middle.value)} ({duration(middle.low)}–{duration(middle.high)})" if middle else NONE
            )
        known = "–" if artifact.accuracy is None else f"{artifact.accuracy:.2%}"
        runs = f"{subject.interpreter} {subject.version}, {subject.kernels}"
        rows.append((f"{subject.model} {artifact.name}", runs, *cells, f"{artifact.bytes / 1000:.1f} kB", known))
    names = ("artifact", "interpreter, kernels", "one digit", "frame, ten digits", "file", "MNIST test")
    blocks = [markdown_table(Table(tuple(("", name) for name in names), tuple(rows), left=2))]
    frames = [frame.name for frame in report.workload.frames] if report.workload else []
    frames = [name for name in frames if name.endswith(FRAME.split()[-1])]
    readers = [
        (reader, *(_read(report, f"{reader}, {name}") for name in frames))
        for reader in (PIPELINE, CHAIN, ADAPTIVE, TESSERACT)
    ]
    readers = [row for row in readers if any(cell != NONE for cell in row[1:])]
    if readers:
        blocks.append(markdown_table(Table(tuple(("", name) for name in ("reader", *frames)), tuple(readers), left=4)))
    lines = [f"- {line}" for line in verdict_lines(report)]
    _, restless = noise(report)
    machine = report.environment
    how = (
        f"{report_title(report).removeprefix('Reading digits on ')}, {machine.system}, {report.created[:10]}: medians "
        f"with 95 % intervals, {report.threads[0]} thread, from `python -m benchmarks all`."
    )
    return "\n\n".join([how, *blocks, "\n".join([*lines, *(f"- {line}" for line in restless)])]) + "\n"


def _read(report: Report, operation: str) -> str:
    """A frame's median time with a reader, and what it read, such as ``5.08 ms, 10 of 10 right``."""
    for subject in report.subjects:
        read = subject.read.get(operation)
        series = report.find(subject.name, operation)
        if read is not None and series is not None:
            middle = intervals(series.sessions_ns).get(50)
            found = [duration(middle.value)] if middle else []
            found += [f"{read['right']} of {read['digits']} right"] if read["digits"] else []
            found += [f"{read['invented']} invented"] if read["invented"] else []
            return ", ".join(found)
    return NONE


if __name__ == "__main__":
    sys.exit(main())
