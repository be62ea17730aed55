"""A long run in steps that are kept as they are done, so that one that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.serial import build, to_text
from runtime.errors import DataError, SinkError, UsageError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A step's value as its file holds it; a dataclass turns what is in it into JSON, too."""

    value: Any


class Steps:
    """Keeps each step's value in a folder, as JSON; without a folder it just runs them."""

    def __init__(self, folder: Path | None, run: Mapping[str, Any]) -> None:
        """Begin, or go on.

        Args:
            folder: made where it is not there; None keeps nothing.
            run: what tells this run from others: options, hashes of what is measured, machine and packages.

        Raises:
            UsageError: the folder holds the steps of another run.
            SinkError: it cannot be written.
        """
        self._folder = None if folder is None else folder / "steps"
        self.resumed = False
        if self._folder is None:
            return
        plan = self._folder / "run.json"
        # As JSON has it: tuples are lists there.
        wanted = json.loads(json.dumps(run))
        try:
            if plan.is_file():
                found = json.loads(plan.read_text(encoding="utf-8"))
                changed = [name for name in wanted if found.get(name) != wanted[name]]
                if changed:
                    raise UsageError(
                        f"{self._folder} holds an unfinished run with other {', '.join(changed)}; give the same "
                        "options to go on with it, or remove it or name another --out to begin anew"
                    )
                self.resumed = True
            self._folder.mkdir(parents=True, exist_ok=True)
            _replace(plan, json.dumps(wanted))
        except OSError as error:
            raise _cannot(self._folder, error) from error
        except ValueError as error:
            raise DataError(f"{plan} is not JSON: {error}; remove {self._folder} to begin anew") from error

    def do(self, name: str, kind: Any, work: Callable[[], Value]) -> Value:
        """The value of a step: of the run before, where it was done then, or of the work.

        Args:
            name: of the step.
            kind: type of the value: a dataclass, or a tuple or mapping of such.
            work: does it.

        Raises:
            DataError: what was kept cannot be read.
            SinkError: it cannot be kept.
        """
        if self._folder is None:
            return work()
        path = self._folder / f"{name}.json"
        if path.is_file():
            try:
                kept: Value = build(kind, json.loads(path.read_text(encoding="utf-8"))["value"])
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(f"cannot read {path}: {error}; remove it to do the step again") from error
            return kept
        value = work()
        try:
            _replace(path, to_text(_Kept(value)))
        except OSError as error:
            raise _cannot(path, error) from error
        return value

    def forget(self) -> None:
        """Remove the steps: the run is done and its report is written."""
        if self._folder is not None:
            for path in self._folder.glob("*.json"):
                path.unlink()
            self._folder.rmdir()


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _cannot(path: Path, error: OSError) -> SinkError:
    return SinkError(f"cannot write {path}: {error.strerror}; name a folder for --out that you can write to")
