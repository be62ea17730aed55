"""What a command owes a user who asked for something that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def refusal(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str], arguments: Sequence[str | Path], code: int
) -> str:
    """Run a command that must end with this code and one line of error, which is returned."""
    assert main([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    errors = [line for line in err.splitlines() if line != "loading TensorFlow"]
    assert out == ""
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    return errors[0]
