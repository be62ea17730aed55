from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.monitor import Moment
from benchmarks.steps import Steps
from runtime.errors import DataError, SinkError, UsageError

RUN = {"quick": True, "threads": (1, 2), "model": "abc"}
MOMENTS = (Moment(0.0, None, 48.5, 0, 0.1, 7, 0.0), Moment(1.0, 2400, None, None, None, None, None))


def refuse() -> tuple[Moment, ...]:
    raise AssertionError("done again")


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    first = Steps(tmp_path, RUN)
    assert not first.resumed
    assert first.do("moments", tuple[Moment, ...], lambda: MOMENTS) == MOMENTS
    again = Steps(tmp_path, RUN)
    assert again.resumed
    assert again.do("moments", tuple[Moment, ...], refuse) == MOMENTS
    assert again.do("other", int, lambda: 3) == 3


def test_a_step_that_was_stopped_is_done_again(tmp_path: Path) -> None:
    def stopped() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Steps(tmp_path, RUN).do("one", int, stopped)
    assert Steps(tmp_path, RUN).do("one", int, lambda: 1) == 1


@pytest.mark.parametrize(
    ("change", "told"), [({"quick": False}, "quick"), ({"model": "x", "threads": (1,)}, "threads, model")]
)
def test_the_steps_of_another_run_are_not_mixed_in(change: dict[str, object], told: str, tmp_path: Path) -> None:
    Steps(tmp_path, RUN)
    with pytest.raises(UsageError, match=f"an unfinished run with other {told}; give the same options"):
        Steps(tmp_path, RUN | change)


def test_a_finished_run_leaves_nothing_behind(tmp_path: Path) -> None:
    steps = Steps(tmp_path, RUN)
    steps.do("one", int, lambda: 1)
    steps.forget()
    assert list(tmp_path.iterdir()) == []
    assert not Steps(tmp_path, RUN | {"quick": False}).resumed


def test_without_a_folder_nothing_is_kept() -> None:
    steps = Steps(None, RUN)
    assert [steps.do("one", int, lambda value=value: value) for value in (1, 2)] == [1, 2]  # type: ignore[misc]
    steps.forget()


def test_a_step_that_cannot_be_read_names_its_file(tmp_path: Path) -> None:
    Steps(tmp_path, RUN).do("moments", tuple[Moment, ...], lambda: MOMENTS)
    (tmp_path / "steps" / "moments.json").write_text(json.dumps({"value": [{"seconds": "x"}]}))
    with pytest.raises(DataError, match=r"cannot read .*moments\.json: .*remove it to do the step again"):
        Steps(tmp_path, RUN).do("moments", tuple[Moment, ...], refuse)
    (tmp_path / "steps" / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run\.json is not JSON"):
        Steps(tmp_path, RUN)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"cannot write .*; name a folder for --out"):
        Steps(tmp_path / "file", RUN)
