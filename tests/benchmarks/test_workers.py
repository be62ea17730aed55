from __future__ import annotations

import os
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.subjects import STAGES, Spec, make_workload
from benchmarks.workers import ProcessWorker
from benchmarks.workload import drawn_frames
from runtime.bundle import load_bundle
from runtime.errors import BackendError, BundleError

TEN = "pipeline, ten digits 640×480"


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workload") / "workload.npz"
    make_workload(drawn_frames(), load_bundle()).save(path)
    return path


def spec(*operations: str) -> Spec:
    return Spec("edge", "classifier", operations, str(load_bundle().folder), "litert-int8", "litert")


def test_a_worker_does_what_it_is_told_in_its_own_process(workload: Path) -> None:
    core = max(os.sched_getaffinity(0))
    with ProcessWorker(spec("probabilities", TEN), workload, core) as worker:
        assert set(worker.operations) == {"probabilities", TEN}
        assert worker.facts["read"][TEN]["right"] >= 9
        block = worker.run("probabilities", 7, 2)
        assert [len(times) for times in block.samples.values()] == [7]
        assert 0 < block.busy < 4
        assert tuple(worker.run(TEN, 2, 0).samples) == STAGES
        assert os.sched_getaffinity(worker._process.pid) == {core}
        raised = os.getpriority(os.PRIO_PROCESS, worker._process.pid) < os.getpriority(os.PRIO_PROCESS, 0)
        assert worker.facts["raised"] is raised
    assert worker._process.returncode == 0
    worker.close()


def test_an_interpreter_that_is_missing_is_told_with_its_remedy(workload: Path) -> None:
    peer = replace(spec(), kind="peer", interpreter="openvino", python=python_without_openvino(workload))
    with pytest.raises(BackendError, match=r"openvino cannot be imported: hidden; pip install openvino"):
        ProcessWorker(peer, workload, None)


def python_without_openvino(workload: Path) -> str:
    """A Python whose OpenVINO cannot be imported."""
    folder = workload.parent / "hidden"
    if not folder.exists():
        (folder / "openvino").mkdir(parents=True)
        (folder / "openvino" / "__init__.py").write_text("raise ImportError('hidden')\n")
        program = folder / "python"
        program.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}:$PYTHONPATH" exec {sys.executable} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(folder / "python")


def test_a_damaged_bundle_is_told_as_such(workload: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(load_bundle().folder, tmp_path / "copy"))
    path = copy / load_bundle(copy).artifact("litert", "int8").file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="was altered"):
        ProcessWorker(replace(spec(), model=str(copy)), workload, None)


def test_a_python_that_is_not_there_or_dies_is_told_with_its_last_words(workload: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="edge: cannot start /absent/python: No such file"):
        ProcessWorker(replace(spec(), python="/absent/python"), workload, None)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho first >&2\necho out of memory >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(BackendError, match=r"edge: its process ended: out of memory \(exit code 3\)"):
        ProcessWorker(replace(spec(), python=str(program)), workload, None)


def test_a_worker_that_dies_while_it_works_is_told(workload: Path) -> None:
    with ProcessWorker(spec("probabilities"), workload, None) as worker:
        worker._process.kill()
        with pytest.raises(BackendError, match=r"edge: its process ended: .*exit code -9"):
            worker.run("probabilities", 3, 0)
