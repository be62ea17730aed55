"""What a report says, section by section: the verdict first, then each benchmark with what its figures include."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.camera_tables import camera_section
from benchmarks.candidates import LATENCY
from benchmarks.report import Report, Series, SubjectInfo
from benchmarks.size import Size
from benchmarks.startup import FRAMES_PER_SECOND, STEPS, Startup
from benchmarks.subjects import ADAPTIVE, CHAIN, PIPELINE, STAGES, TESSERACT
from benchmarks.summary import PERCENTILES, UNSTABLE, flatten, intervals, outliers, percentile, percentiles, spread
from benchmarks.tables import NONE, Section, Table
from benchmarks.verdict import duration, front, judge, noise, points, ratio, three_digits, verdict_lines

_TIME = (("", "p50"), ("", "95 %"), ("", "p90"), ("", "p99"))


def sections(report: Report) -> list[Section]:
    """Everything that was measured, in the order of reading."""
    found = [_verdict(report), _machine(report)]
    if any(series.operation in LATENCY for series in report.series):
        found.append(_latency(report))
    if any(series.operation.startswith(f"{PIPELINE}, ") for series in report.series):
        found.append(_frames(report))
    if any(subject.kind in ("peer", "tesseract") for subject in report.subjects):
        found.append(_peers(report))
    if report.startup:
        found.append(_startup(report.startup))
    if report.size:
        found.append(_size(report.size))
    if any(point.source == "" for point in points(report)):
        found.append(_pareto(report))
    if report.sustained:
        found.append(_sustained(report))
    if report.camera:
        found.append(camera_section(report.camera))
    return [section for section in found if section.lines or section.tables or section.notes]


def _verdict(report: Report) -> Section:
    found = judge(report)
    tables: tuple[Table, ...] = ()
    if found is not None and any(choice.misses for choice in found.choices):
        rows = [(c.subject.name, duration(c.time.value), "; ".join(c.misses) or "keeps them") for c in found.choices]
        tables = (Table((("", "candidate"), ("", "time"), ("", "limits")), tuple(rows), left=3),)
    _, restless = noise(report)
    reasons: dict[str, list[str]] = {}
    for each in report.skipped:
        reasons.setdefault(each.reason, []).append(each.subject)
    skipped = [f"skipped: {'; '.join(names)}: {reason}" for reason, names in reasons.items()]
    return Section("Verdict", tuple(verdict_lines(report)), tables, {}, (*restless, *skipped))


def _machine(report: Report) -> Section:
    machine = report.environment
    virtual = f", {machine.emulation}" if machine.emulation else ""
    clock = f", up to {machine.max_megahertz:,} MHz" if machine.max_megahertz else ""
    governor = f", governor {machine.governor}" if machine.governor else ""
    moments = report.timeline
    facts = {
        "machine": f"{machine.board + ', ' if machine.board else ''}{machine.cpu}, {machine.architecture}, "
        f"{machine.cores} cores ({machine.usable_cores} usable){clock}{governor}{virtual}",
        "features": " ".join(machine.flags),
        "memory": f"{machine.memory_bytes / 1e9:.1f} GB, {machine.available_bytes / 1e9:.1f} available before",
        "load average": ", ".join(f"{load:.2f}" for load in machine.load_average)
        + " (1, 5, 15 minutes before the run)",
        "meanwhile": ", ".join(
            filter(
                None,
                [
                    _range("load", [m.load for m in moments], "{:.2f}"),
                    _range("", [m.megahertz for m in moments], "{:,.0f} MHz"),
                    _range("", [m.celsius for m in moments], "{:.1f} °C"),
                    _range("stolen", [m.stolen for m in moments], "{:.1%}"),
                ],
            )
        ),
        "priority": _priority(report),
        "system": f"{machine.system}, kernel {machine.kernel}, {machine.python}",
        "packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
        "clock": f"reading it takes {machine.clock_cost_ns} ns, which is in every figure",
        "models": "; ".join(f"{m.name}, manifest sha256 {m.manifest_sha256[:12]}…" for m in report.models),
        "run": f"{report.created}, {report.seconds:,.0f} s{', quick' if report.quick else ''}",
    }
    return Section("Machine", notes=facts, warnings=tuple(machine.doubts()), plots=("timeline",))


def _latency(report: Report) -> Section:
    restless: dict[str, float] = {}
    timed = [s for s in report.subjects if s.kind == "classifier" and report.find(s.name, "probabilities")]
    unit, word = _unit([_middle(report.find(subject.name, "probabilities")) for subject in timed])
    headers = (
        *(("", "artifact"), ("", "interpreter"), ("", "kernels"), (word, "invoke"), (word, "bare")),
        *((f"probabilities, {word}", name) for _, name in _TIME),
        *(("", "out"), ("", "spread")),
    )
    other_headers = (
        *(("", "artifact"), ("", "interpreter"), ("", "version"), ("load", "ms")),
        *(("first", word), ("warm", word), (f"ten digits, {word}", "bare"), (f"ten digits, {word}", "p50")),
        ("", "share of bare"),
    )
    tables = []
    for model in report.models:
        rows, others = [], []
        for subject in (each for each in timed if each.model == model.name):
            invoke, bare, series, chain, ten = (report.find(subject.name, name) for name in LATENCY)
            assert series is not None
            names = _names(subject)
            rows.append(
                (
                    *(*names, subject.kernels, _p50(invoke, unit), _p50(bare, unit), *_times(series, unit)),
                    *(str(outliers(flatten(series.sessions_ns))), _spread(series, subject.name, restless)),
                )
            )
            before = (_median(ns, unit) for ns in (subject.first_call_ns, subject.warm_up_ns))
            others.append(
                (
                    *(*names, subject.version, _median(subject.load_ns, 1e6), *before),
                    *(_p50(chain, unit), _p50(ten, unit), str(ratio(ten, chain) or NONE)),
                )
            )
        caption = f"{model.name}: " if len(report.models) > 1 else ""
        if rows:
            tables += [
                Table(headers, tuple(rows), left=3, caption=f"{caption}Steady state"),
                Table(
                    *(other_headers, tuple(others)),
                    left=3,
                    caption=f"{caption}Before the steady state, and ten digits in one call",
                ),
            ]
    plan, workload = report.plan, report.workload
    assert plan is not None
    assert workload is not None
    notes = {
        "invoke": "the interpreter alone, its input set before; ONNX Runtime with input and output bound",
        "bare": "convert the pixels, set, invoke, get: the interpreter's own calls, none of this project's",
        "probabilities": "one digit, uint8 in: check, convert, set, invoke, get, dequantize, softmax",
        "95 %": f"interval of the median by resampling sessions and blocks: {plan.sessions} sessions with every "
        f"candidate in a fresh process, {plan.rounds} blocks in each, interleaved at random",
        "out": "samples beyond three interquartile ranges: counted in all figures, none dropped",
        "spread": "of the medians of all blocks: from p10 to p90, over p50",
        "load": "read the bundle, verify it, make the interpreter, ask golden vectors; its package imported already",
        "first": "probabilities of one digit, by an interpreter that has answered nothing; warm: of the calls after it",
        "ten digits": "bare, ten times; and their probabilities in one call",
        NONE: "too few samples to say",
    }
    return Section(
        f"One digit ({workload.crops} real crops in turn, {_core(report)})",
        tables=tuple(tables),
        notes=notes,
        warnings=_unstable(restless),
        plots=("latency",),
    )


def _frames(report: Report) -> Section:
    assert report.workload is not None
    restless: dict[str, float] = {}
    tables = []
    headers = (
        *(("", name) for name in ("frame", "right", "wrong", "new", "crops")),
        *(("p50 ms", stage) for stage in STAGES[:3]),
        *(("total ms", name) for _, name in _TIME),
    )
    for subject in report.subjects:
        rows = []
        for frame in report.workload.frames:
            operation = f"{PIPELINE}, {frame.name}"
            stages = {stage: report.find(subject.name, operation, stage) for stage in STAGES}
            total, read = stages["total"], subject.read.get(operation)
            if total is None or read is None:
                continue
            _spread(total, f"{frame.name} with {subject.name}", restless)
            rows.append(
                (
                    *(frame.name, f"{read['right']}/{read['digits']}"),
                    *(str(read[key]) for key in ("wrong", "invented", "crops")),
                    *(_p50(stages[stage], 1e6) for stage in STAGES[:3]),
                    *_times(total, 1e6),
                )
            )
        if len(rows) > 1:
            tables.append(Table(headers, tuple(rows), caption=f"{subject.name}, {_core(report)}"))
            tables.append(_found_and_classified(report, subject))
    rows = []
    for subject in report.subjects:
        operation = next((op for op in subject.read if op.startswith(f"{PIPELINE}, ten digits 640")), "")
        series = report.find(subject.name, operation)
        if series is not None:
            classify = report.find(subject.name, operation, "classify")
            rows.append((subject.model, *_names(subject), _p50(classify, 1e6), *_times(series, 1e6)))
    each = (
        ("", "model"),
        ("", "artifact"),
        ("", "interpreter"),
        ("classify", "ms"),
        *(("total ms", name) for _, name in _TIME),
    )
    if len(rows) > 1:
        tables.append(Table(each, tuple(rows), left=3, caption="Ten digits at 640×480, by what classifies"))
    others = _readers(report)
    if others.rows:
        tables.append(others)
    notes = {
        "right": "drawn digits read as what they are; wrong: as another; new: readings where no digit is",
        "crops": "candidates, before any that is no digit is taken apart",
        "luma": "color to gray; a camera that delivers gray does not pay it",
        "detect": "find ink, cut it out, place it as the model wants it",
        "classify": "probabilities of all crops",
        "total": "all of it, with choosing, tracking and grouping: a color frame in, Result out",
        CHAIN: "the tutorials' way in its shortest form: gray, blur, Otsu, outlines, squeeze to 28×28, bare call",
        ADAPTIVE: "the better of the tutorials' ways: adaptive Gaussian threshold, outlines, this project's "
        "preprocessing",
        "share": f"of the time of {CHAIN} on the same frame",
        "95 %": "interval of the median, as above",
    }
    return Section("Whole frames", tables=tuple(tables), notes=notes, warnings=_unstable(restless), plots=("frames",))


def _found_and_classified(report: Report, subject: SubjectInfo) -> Table:
    """What finding and classifying take together, call by call."""
    assert report.workload is not None
    rows = []
    for frame in report.workload.frames:
        detect, classify = (
            report.find(subject.name, f"{PIPELINE}, {frame.name}", stage) for stage in ("detect", "classify")
        )
        if detect is not None and classify is not None:
            both = tuple(
                tuple(tuple(map(sum, zip(*blocks, strict=True))) for blocks in zip(*sessions, strict=True))
                for sessions in zip(detect.sessions_ns, classify.sessions_ns, strict=True)
            )
            rows.append((frame.name, *_times(replace(detect, sessions_ns=both), 1e6)))
    headers = (("", "frame"), *(("detect + classify ms", name) for _, name in _TIME))
    return Table(headers, tuple(rows), caption=f"Without choosing, tracking and grouping, {subject.name}")


def _readers(report: Report) -> Table:
    """The shipped pipeline beside other readers, on the frames that all of them read."""
    rows = []
    for frame in report.workload.frames if report.workload else ():
        base = next(filter(None, (report.find(s.name, f"{CHAIN}, {frame.name}") for s in report.subjects)), None)
        for reader in (PIPELINE, CHAIN, ADAPTIVE, TESSERACT):
            operation = f"{reader}, {frame.name}"
            for subject in report.subjects:
                series, read = report.find(subject.name, operation), subject.read.get(operation)
                if not (base and series and read) or (subject.name != base.subject and reader != TESSERACT):
                    continue
                share = ratio(series, base)
                rows.append(
                    (
                        *(frame.name, reader, f"{read['right']}/{read['digits']}", str(read["wrong"])),
                        *(str(read["invented"]), _p50(series, 1e6), str(share or NONE)),
                    )
                )
    headers = tuple(("", name) for name in ("frame", "reader", "right", "wrong", "new", "p50 ms", "share"))
    return Table(headers, tuple(rows), left=2, caption="Readers side by side")


def _peers(report: Report) -> Section:
    found = judge(report)
    own = report.find((found.best or found.choices[0]).subject.name, "set, invoke, get") if found else None
    rows = []
    if own is not None:
        rows.append((own.subject, "set, invoke, get", *_durations(own), "1"))
    versions = {}
    for subject in report.subjects:
        for series in report.series:
            if subject.kind == "peer" and series.subject == subject.name:
                versions[subject.name] = subject.version
                share = ratio(series, own)
                rows.append((subject.name, series.operation, *_durations(series), str(share or NONE)))
    headers = (("", "runs it"), ("", "call"), *(("one digit", name) for name in ("p50", "95 %")), ("", "share"))
    notes = {
        "share": "of the time of the first row",
        "float32": "the bundle's float32 ONNX file, converted where need be; every peer gave the float model's labels",
        "tf.function": "the Keras model, compiled once, called with one digit; XLA: by XLA; predict: Keras's own loop",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    tables = (Table(headers, tuple(rows), left=2),) if len(rows) > 1 else ()
    return Section("Others on the same digits", tables=tables, notes=notes if tables else {}, plots=("peers",))


def _startup(startups: Sequence[Startup]) -> Section:
    times, memory = [], []
    for startup in startups:
        steps = [_median([start.steps_ns[i] for start in startup.starts], 1e6) for i in range(len(STEPS))]
        times.append((startup.name, *steps, _median([sum(start.steps_ns) for start in startup.starts], 1e6)))
        last = startup.starts[-1]
        sizes = [f"{size / 1e6:.0f}" for size in (*last.resident_bytes, last.peak_bytes)]
        memory.append((startup.name, *sizes, NONE if last.idle_cpu is None else f"{last.idle_cpu:.1%}"))
    time_headers = (("", "with"), *(("ms, median", name) for name in (*STEPS, "total")))
    memory_headers = (("", "with"), *(("resident MB after", name) for name in (*STEPS[1:], "peak")), ("", "idle CPU"))
    notes = {
        "python": "until the interpreter runs; packages: NumPy, OpenCV and the runtime imported; load: model ready, "
        "its interpreter imported; reading: a 640×480 picture decoded and its ten digits read",
        "files": "in the system's cache, as after the first of several starts; a cold disk adds its own time",
        "idle CPU": f"of one core, by a camera of {FRAMES_PER_SECOND} frames a second of ten digits each, all threads "
        "counted, the camera's own decoding not",
    }
    return Section(
        f"Starting up and memory ({len(startups[0].starts)} fresh processes each)",
        tables=(
            Table(time_headers, tuple(times), caption="From nothing to the first reading"),
            Table(memory_headers, tuple(memory), caption="Memory, and an idle camera"),
        ),
        notes=notes,
    )


def _size(size: Size) -> Section:
    files = [
        (
            *(a.model, a.artifact, f"{a.bytes:,}", f"{a.gzip_bytes:,}"),
            *((f"{a.graph.weight_bytes:,}") if a.graph else NONE,),
            *(
                f"{n:,}" if n is not None else NONE
                for n in ((a.graph.activation_bytes, a.graph.macs) if a.graph else (None, None))
            ),
        )
        for a in size.artifacts
    ]
    packages = [
        (p.package, p.version, f"{p.bytes / 1e6:.1f}" if p.bytes else NONE)
        for p in sorted(size.packages, key=lambda p: -p.bytes)
    ]
    totals = [(d.interpreter, str(len(d.packages)), f"{d.bytes / 1e6:.1f}") for d in size.devices]
    headers = (
        ("", "model"),
        ("", "artifact"),
        *(("bytes", n) for n in ("file", "gzip", "weights", "arena")),
        ("", "MACs"),
    )
    notes = {
        "gzip": "at its strongest: about what a download takes",
        "weights": "all constants in the file",
        "arena": "tensors that must be in memory at one time; an interpreter takes more",
        "MACs": "multiplications of one digit, counted from the graph; an ONNX file's network is the same",
        "package MB": "10⁶ bytes, of the files that the package's own record lists, byte code included",
        "device MB": "NumPy, OpenCV, this interpreter and what they require, as installed here; runtime "
        f"({size.runtime_bytes / 1e6:.1f}) and the whole bundle ({size.bundle_bytes / 1e6:.1f}); not Python itself",
    }
    return Section(
        "Size",
        tables=(
            Table(headers, tuple(files), left=2),
            Table((("", "package"), ("", "version"), ("", "MB")), tuple(packages), left=2),
            Table((("", "device with"), ("", "packages"), ("", "MB")), tuple(totals)),
        ),
        notes=notes,
    )


def _pareto(report: Report) -> Section:
    found = points(report)
    best = front(found)
    rows = [
        (
            *(point.name, "int8 or less" if point.quantized else "float"),
            *(f"{point.bytes / 1000:,.1f}", f"{point.accuracy:.2%}"),
            *(NONE if point.time_ns is None else f"{point.time_ns / 1e3:,.1f}", "yes" if point in best else ""),
        )
        for point in found
    ]
    headers = (("", "network"), ("", "weights"), ("", "kB"), ("", "MNIST test"), ("", "µs here"), ("", "on the front"))
    sources = {point.name: point.source for point in found if point.source}
    notes = {
        "on the front": "no smaller network here is as accurate",
        "kB": "of this project's files, of others' weights",
    }
    return Section(
        "Accuracy for size, beside published networks",
        tables=(Table(headers, tuple(rows), left=2),),
        notes=notes | sources,
        plots=("pareto",),
    )


def _sustained(report: Report) -> Section:
    run = report.sustained
    assert run is not None
    first, last = run.windows[0], run.windows[-1]
    lines = [
        f"{run.subject}, {run.operation}, without a pause for {last.seconds / 60:.1f} minutes: "
        f"{duration(run.burst_ns)} at first, {duration(run.kept_ns)} kept up "
        f"({run.kept_ns / run.burst_ns - 1:+.0%})"
    ]
    for unit, form in (("celsius", "{:.0f} °C"), ("megahertz", "{:,.0f} MHz")):
        before, after = getattr(first.machine, unit), getattr(last.machine, unit)
        if before is not None and after is not None and before != after:
            lines.append(f"from {form.format(before)} to {form.format(after)}")
    return Section("Sustained load", tuple(lines), plots=("sustained",))


def _names(subject: SubjectInfo) -> tuple[str, str]:
    return subject.artifact, subject.interpreter + (f" ×{subject.threads}" if subject.threads > 1 else "")


def _times(series: Series, unit: float) -> tuple[str, ...]:
    """Median, its interval, p90 and p99 in a unit of so many nanoseconds."""
    found = intervals(series.sessions_ns)
    if 50 not in found:
        return (NONE,) * (1 + len(PERCENTILES))
    middle = found[50]
    tails = [three_digits(found[p].value / unit) if p in found else NONE for p in PERCENTILES[1:]]
    return (
        three_digits(middle.value / unit),
        f"{three_digits(middle.low / unit)}–{three_digits(middle.high / unit)}",
        *tails,
    )


def _unit(medians: Sequence[int]) -> tuple[float, str]:
    """Nanoseconds of the unit that suits a table, and its name: milliseconds where most take more than two."""
    return (1e6, "ms") if sorted([*medians, 0])[len(medians) // 2] > 2_000_000 else (1e3, "µs")


def _middle(series: Series | None) -> int:
    return percentile(flatten(series.sessions_ns), 50) if series is not None else 0


def _durations(series: Series) -> tuple[str, str]:
    """Median and its interval, each in the unit that suits it."""
    middle = intervals(series.sessions_ns).get(50)
    return (duration(middle.value), f"{duration(middle.low)}–{duration(middle.high)}") if middle else (NONE, NONE)


def _p50(series: Series | None, unit: float) -> str:
    return NONE if series is None else _median(flatten(series.sessions_ns), unit)


def _median(samples: Sequence[int], unit: float) -> str:
    # A handful says little of a median, but it is a figure of seconds that nobody repeats a thousand times.
    if len(samples) < 6:
        return NONE
    found = percentiles(samples)
    return three_digits((found[50] if 50 in found else sorted(samples)[len(samples) // 2]) / unit)


def _spread(series: Series, name: str, restless: dict[str, float]) -> str:
    """Spread of the blocks as a cell; what is unstable is noted."""
    share = spread([block for blocks in series.sessions_ns for block in blocks])
    if share > UNSTABLE:
        restless[name] = share
    return f"{share:.0%}"


def _unstable(restless: dict[str, float]) -> tuple[str, ...]:
    if not restless:
        return ()
    worst = max(restless, key=lambda name: restless[name])
    return (
        f"unstable: blocks of {len(restless)} row{'s' * (len(restless) > 1)} differ by more than {UNSTABLE:.0%} "
        f"(up to {restless[worst]:.0%}, {worst}); close other programs and run it again",
    )


def _priority(report: Report) -> str:
    if not report.subjects:
        return ""
    raised = all(subject.raised for subject in report.subjects)
    return "raised over other programs" if raised else "that of other programs; as root, they disturb less"


def _core(report: Report) -> str:
    count = report.threads[0]
    pinned = f" on core {report.core}" if count == 1 and report.core is not None else ""
    return f"{count} thread{'s' * (count != 1)}{pinned}"


def _range(name: str, values: Sequence[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = form.format(min(known)), form.format(max(known))
    return " ".join(filter(None, [name, low if low == high else f"{low} to {high}"]))
