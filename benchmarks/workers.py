"""Worker processes, from the side that starts them."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import benchmarks
from benchmarks.subjects import Spec
from runtime.errors import BackendError, BundleError


@dataclass(frozen=True, slots=True)
class Block:
    """Calls in a row.

    Attributes:
        samples: by stage, nanoseconds of each call.
        busy: time that the process had a core for, as a share of the time that passed; over 1 with several threads.
            What is missing to 1, other programs had.
    """

    samples: Mapping[str, list[int]]
    busy: float


class Worker(Protocol):
    """A subject that can be told to make calls.

    Attributes:
        facts: what it says of itself, see ``benchmarks.subjects``.
        operations: what it can be told.
    """

    facts: Mapping[str, Any]
    operations: tuple[str, ...]

    def run(self, operation: str, calls: int, settle: int) -> Block:
        """Make calls that do not count, then those that do."""

    def close(self) -> None:
        """End it; a second time does nothing."""


class ProcessWorker:
    """A worker in a Python process of its own, in this environment or in another."""

    def __init__(self, spec: Spec, workload: Path, core: int | None) -> None:
        """Start it and wait until it is ready.

        Args:
            spec: what it is to be.
            workload: file that ``Workload.save`` wrote.
            core: that it stays on; None is any.

        Raises:
            BackendError: something that it takes is not installed, or it died.
            BundleError: the bundle is damaged.
        """
        self._name = spec.name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the process
        try:
            self._process = subprocess.Popen(
                [spec.python or sys.executable, "-m", "benchmarks.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                env=child_environment(spec.python),
            )
        except OSError as error:
            self._errors.close()
            raise BackendError(f"{spec.name}: cannot start {spec.python}: {error.strerror}") from error
        try:
            ready = self._ask({"spec": dataclasses.asdict(spec), "workload": str(workload), "core": core})
            if "error" in ready:
                raise (BackendError if ready["missing"] else BundleError)(ready["error"])
        except BaseException:
            self.close()
            raise
        self.facts: Mapping[str, Any] = ready["facts"]
        self.operations: tuple[str, ...] = tuple(ready["operations"])

    def run(self, operation: str, calls: int, settle: int) -> Block:
        """Make calls that do not count, then those that do.

        Raises:
            BackendError: the process died.
        """
        return Block(**self._ask({"operation": operation, "calls": calls, "settle": settle}))

    def close(self) -> None:
        """End the process; a second time does nothing."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass  # it is gone already, as wanted
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise BackendError(f"{self._name}: its process ended: {self._last_words()}")
        content: dict[str, Any] = json.loads(answer)
        return content

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"{lines[-1].strip() if lines else 'it said nothing'} (exit code {self._process.returncode})"


def child_environment(python: str) -> dict[str, str]:
    """Where the process finds this package: beside it in a checkout; installed, only in this environment."""
    root = Path(benchmarks.__file__).resolve().parent.parent
    kept = dict(os.environ)
    if not python or root.name not in ("site-packages", "dist-packages"):
        kept["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    return kept
