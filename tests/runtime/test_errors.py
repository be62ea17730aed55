from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import errors
from runtime.errors import EdgeDigitsError, UsageError, run_command

ERRORS = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if member.__module__ == errors.__name__ and member is not EdgeDigitsError
]


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize("error", ERRORS)
def test_every_expected_error_ends_its_command_with_one_line_and_the_code_of_the_tree(
    error: type[EdgeDigitsError], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(raising(error("found a, expected b; do c")))
    assert code == (2 if error is UsageError else 1)
    assert capsys.readouterr() == ("", "error: found a, expected b; do c\n")


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    tree = [line.split()[1] for line in (errors.__doc__ or "").splitlines() if line.startswith(("├", "└"))]
    assert sorted(tree) == sorted(error.__name__ for error in ERRORS)
    assert all(error.__bases__ == (EdgeDigitsError,) for error in ERRORS)


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_that_raises_nothing_keeps_its_own_code(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda: code) == code
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_ends_a_command_as_shells_expect(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_an_error_that_nobody_expected_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))


@pytest.mark.parametrize(("out", "code"), [("/dev/full", 1), ("&-", 0)])
def test_a_command_that_cannot_say_anything_ends_without_a_traceback(out: str, code: int) -> None:
    script = "from runtime.errors import run_command; raise SystemExit(run_command(lambda: print('x') or 0))"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" >{out}', sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == code, done.stderr
    lines = ["error: cannot write to standard output: No space left on device"] if code else []
    assert done.stderr.splitlines() == lines


@pytest.mark.parametrize("lines", [1, 100_000], ids=["when it ends", "while it prints"])
def test_a_command_whose_reader_is_gone_ends_without_a_word(lines: int) -> None:
    script = (
        "import sys\n"
        "from runtime.errors import run_command\n"
        "sys.stdin.read()\n"
        f"sys.exit(run_command(lambda: print('\\n'.join(['a line'] * {lines})) or 0))\n"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    assert command.stdout is not None
    command.stdout.close()
    _, complaint = command.communicate(timeout=60)  # closes stdin: now it prints
    assert complaint == b""
    assert command.returncode == 141
