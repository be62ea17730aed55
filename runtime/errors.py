"""The errors that a user can cause or meet, and the exit code that each one ends a command with.

EdgeDigitsError             what went wrong, found against expected, what to do         exit 1
├── UsageError              an option or argument has a value that cannot work          exit 2
├── SourceError             a camera, video, folder or image cannot be opened or read
├── SinkError               a window, recording or output file cannot be written
├── BundleError             a model bundle is missing, altered or does not fit this version
├── BackendError            an interpreter is not installed, or does not run here
└── DataError               a data set is missing, truncated or altered

Only a command's ``main`` catches these: ``run_command`` prints the message as one line on stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path


class EdgeDigitsError(Exception):
    """Base of every expected error. ``str(error)`` is one line fit to show to a user."""

    exit_code = 1


class UsageError(EdgeDigitsError):
    """An option or argument has a value that cannot work, alone or with the others."""

    exit_code = 2


class SourceError(EdgeDigitsError):
    """A camera, video, folder or image cannot be opened or read."""


class SinkError(EdgeDigitsError):
    """A window, recording or output file cannot be written."""


class BundleError(EdgeDigitsError):
    """A model bundle is missing, altered or does not fit this version."""


class BackendError(EdgeDigitsError):
    """An interpreter is not installed, or does not run on this machine."""


class DataError(EdgeDigitsError):
    """A data set is missing, truncated or altered."""


def run_command(command: Callable[[], int]) -> int:
    """Run the body of a command and turn what a user can cause into an exit code.

    Args:
        command: the body; returns 0 (done) or 1 (a check failed).

    Returns:
        The body's own code; the error's ``exit_code`` after printing its one line on stderr; 130 after Ctrl-C;
        141 when whoever read stdout has gone away.
    """
    if sys.stdout is None:  # the shell closed it: >&-
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    try:
        code = _exit_code(command)
        sys.stdout.flush()  # what is still buffered meets a closed pipe here rather than while Python shuts down
        return code
    except BrokenPipeError:
        # Whoever read our output (head, a closed terminal) is gone: the shell's convention is 128 + SIGPIPE.
        # Without a stdout the interpreter does not try, and complain, once more as it shuts down.
        sys.stdout = None
        return 141
    except OSError as error:
        sys.stdout = None
        print(f"error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        return 1


def _exit_code(command: Callable[[], int]) -> int:
    try:
        return command()
    except EdgeDigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
