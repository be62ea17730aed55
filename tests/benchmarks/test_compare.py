from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("scipy", reason="comparing takes SciPy")

from benchmarks.compare import ALPHA, TOLERANCE, Change, compare, main, section
from benchmarks.report import Report, to_json
from benchmarks.sessions import Plan
from benchmarks.size import ArtifactSize, Size
from benchmarks.tables import WIDTH, to_text
from runtime.errors import DataError
from tests.benchmarks.conftest import Machine, simulate, usual_times

RESTLESS = {"process": 0.02, "block": 0.03, "drift": 0.01, "slow": 0.01}
SMALL = Plan(sessions=12, rounds=4, block_ns=1, least=5, most=5, settle=1)


def run(seed: int, detect: float = 2_000_000, **machine: float) -> Report:
    mood = RESTLESS | machine
    return simulate(Machine(seed=seed, **mood), usual_times(detect=detect), SMALL)  # type: ignore[arg-type]


def test_twenty_runs_against_their_repeats_raise_one_false_alarm_at_most() -> None:
    # The repeat's machine is 7 % slower altogether: that is no finding either.
    alarms = [
        bool([c for c in compare(run(2 * n), run(2 * n + 1, speed=1.07)).changes if c.verdict]) for n in range(20)
    ]
    assert sum(alarms) <= 1


def test_a_stage_that_is_a_tenth_slower_is_caught_eighteen_times_of_twenty() -> None:
    caught = 0
    for number in range(20):
        found = compare(run(100 + 2 * number), run(101 + 2 * number, detect=2_200_000))
        slower = [c.figure for c in found.changes if c.verdict == "slower"]
        caught += any("detect" in figure for figure in slower) and found.regressed
        assert not any("classify" in figure for figure in slower)
    assert caught >= 18


def test_without_the_reference_a_slower_machine_looks_like_slower_code() -> None:
    # What taking the machine out is good for: the same two runs without the reference work.
    before, after = run(1, drift=0.0), run(2, drift=0.0, speed=1.15)

    def bare(report: Report) -> Report:
        return replace(report, series=tuple(s for s in report.series if s.subject != "reference"))

    assert not compare(before, after).regressed
    assert compare(bare(before), bare(after)).regressed


def test_blocks_that_other_programs_interrupt_raise_no_alarm() -> None:
    quiet, busy = run(1), run(2, busy=0.5)
    found = compare(quiet, busy)
    assert [change for change in found.changes if change.verdict] == []
    assert any("interrupted" in note for note in found.notes)
    # Taken as they are, they leave hardly anything to be said.
    blind = replace(busy, series=tuple(replace(s, busy=tuple((1.0,) * 4 for _ in s.busy)) for s in busy.series))
    widths = [sum(c.high - c.low for c in each.changes) for each in (found, compare(quiet, blind))]
    assert widths[1] > 2 * widths[0]


def test_figures_of_which_no_block_was_left_alone_are_not_compared() -> None:
    found = compare(run(1), run(2, busy=0.99))
    assert len(found.changes) < 19
    assert any("were not compared: other programs interrupted too many blocks" in note for note in found.notes)


def test_a_change_is_told_with_an_interval_that_holds_it() -> None:
    found = compare(run(1), run(2, detect=2_600_000))
    change = next(c for c in found.changes if c.figure == "pipeline, ten digits 640×480, detect")
    assert change.verdict == "slower"
    assert change.low < 0.3 < change.high
    assert change.low > 0
    assert change.p < ALPHA
    assert change.before < change.after
    assert found.changes[0].verdict == "slower"


def test_what_became_faster_is_told_and_is_no_regression() -> None:
    found = compare(run(1), run(2, detect=1_500_000))
    assert {c.verdict for c in found.changes if "detect" in c.figure} == {"faster"}
    assert not found.regressed


def test_a_change_within_the_tolerance_is_not_told_however_sure() -> None:
    quiet = {"process": 0.001, "block": 0.001, "drift": 0.0, "slow": 0.0}
    before, after = run(1, **quiet), run(2, detect=2_080_000, **quiet)
    (change,) = [c for c in compare(before, after).changes if c.figure.endswith("full page 640×480, detect")]
    assert change.p < ALPHA
    assert change.change == pytest.approx(0.04, abs=0.01)
    assert change.verdict == ""
    assert compare(before, after, tolerance=0.02).regressed


def test_p_values_and_intervals_are_corrected_step_down() -> None:
    before, after = run(1), run(2, detect=2_200_000)
    found = compare(before, after)
    assert len(found.changes) == 19
    alone = {}
    for change in found.changes:
        (alone[change.subject, change.figure],) = compare(only(before, change), only(after, change)).changes
    order = sorted(found.changes, key=lambda c: alone[c.subject, c.figure].p)
    expected = 0.0
    for rank, change in enumerate(order):
        expected = max(expected, min(1.0, (19 - rank) * alone[change.subject, change.figure].p))
        assert change.p == pytest.approx(expected)
        width, own = (
            change.high - change.low,
            alone[change.subject, change.figure].high - alone[change.subject, change.figure].low,
        )
        assert width == pytest.approx(own) if rank == 18 else width > own
    assert all(c.low <= 0 <= c.high for c in found.changes if c.p >= ALPHA)


def only(report: Report, change: Change) -> Report:
    """The report with one figure and the reference work."""
    kept = []
    for series in report.series:
        figure = series.operation + (f", {series.stage}" if series.stage != "total" else "")
        if series.subject == "reference" or (series.subject, figure) == (change.subject, change.figure):
            kept.append(series)
    return replace(report, series=tuple(kept))


def test_equal_samples_are_no_change() -> None:
    still = simulate(Machine(call=0.0), plan=SMALL)
    found = compare(still, still)
    assert {(c.change, c.low, c.high, c.p, c.verdict) for c in found.changes} == {(0.0, 0.0, 0.0, 1.0, "")}


def test_another_machine_and_other_packages_are_compared_as_they_are_and_said() -> None:
    before, after = run(1), run(2)
    other = replace(after, environment=replace(after.environment, cpu="Cortex-A76"))
    found = compare(before, other)
    assert found.machine is None
    assert "Cortex-A76" in found.notes[0]
    packages = dict(after.environment.packages) | {"numpy": "9.9"}
    found = compare(before, replace(after, environment=replace(after.environment, packages=packages)))
    assert found.machine is None
    assert "9.9" in found.notes[0]


def test_the_machines_own_speed_is_told() -> None:
    found = compare(run(1, drift=0.0), run(2, drift=0.0, speed=1.2))
    assert found.machine == pytest.approx(0.2, abs=0.05)


def size(count: int) -> Size:
    return Size((ArtifactSize("edge", "litert-int8", "f", count, 1, None),), 1, 1, (), ())


def test_a_larger_file_is_a_regression_without_any_chance_in_it() -> None:
    before = replace(run(1), size=size(1000))
    assert compare(before, replace(run(1), size=size(1050))).worse == ()
    found = compare(before, replace(run(1), size=size(1051)))
    assert found.worse == ("larger: edge litert-int8 has 1,051 bytes, before 1,000",)
    assert found.regressed


def test_digits_that_are_no_longer_read_are_a_regression() -> None:
    before = run(1)
    name = "pipeline, ten digits 640×480"
    subject = before.subjects[1]
    fewer = dict(subject.read) | {name: dict(subject.read[name]) | {"right": 7, "invented": 1}}
    after = replace(before, subjects=(before.subjects[0], replace(subject, read=fewer), *before.subjects[2:]))
    found = compare(before, after)
    assert found.worse == (f"read worse: {subject.name}, {name}: 7 right, before 9",)
    assert not compare(after, before).worse[0].endswith("before 7")


def test_two_sessions_say_nothing_of_chance() -> None:
    few = simulate(Machine(), plan=replace(SMALL, sessions=2))
    with pytest.raises(DataError, match="fewer than 3 sessions"):
        compare(few, few)


def test_reports_without_a_common_figure_are_refused() -> None:
    with pytest.raises(DataError, match="no figure in common"):
        compare(run(1), replace(run(1), series=()))


def test_every_line_fits_the_terminal() -> None:
    found = compare(run(1), run(2, detect=2_600_000))
    text = to_text([section(found, TOLERANCE)])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "slower" in text


def test_the_command_exits_with_1_on_a_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / name for name in ("before.json", "after.json")]
    for path, report in zip(paths, (run(1), run(2, detect=2_600_000)), strict=True):
        path.write_text(to_json(report), encoding="utf-8")
    before, after = map(str, paths)
    assert main([before, after]) == 1
    assert "slower" in capsys.readouterr().out
    assert main([after, before]) == 0
    assert main([before, after, "--tolerance", "0.5"]) == 0
    capsys.readouterr()
    assert main([before, after, "--json", "-"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["changes"][0]["verdict"] == "slower"


def test_a_comparison_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(to_json(run(1)), encoding="utf-8")
    assert main([str(path), str(path), "--json", str(tmp_path / "absent" / "x.json")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write --json")
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 1}'])
def test_what_is_no_report_is_told_in_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    assert main([str(path), str(path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: {path}: ")
    assert output.err.count("\n") == 1


def test_a_report_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/absent.json", "/absent.json"]) == 1
    assert capsys.readouterr().err.startswith("error: cannot read /absent.json")
