"""Where a report's JSON goes: opened before minutes are spent on measuring, complete or not there at all."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from runtime.errors import SinkError


class JsonOutput:
    """A file that appears under its name only once it is whole; or a device, a pipe, or stdout (``-``)."""

    def __init__(self, out: str) -> None:
        """Open it.

        Raises:
            SinkError: it cannot be written.
        """
        self._path = Path(out)
        self._partial: Path | None = None
        self._stream: TextIO = sys.stdout
        if out == "-":
            return
        try:
            # A folder is refused here; a device or a pipe cannot be renamed into place.
            if not self._path.exists() or self._path.is_file():
                self._partial = self._path.with_name(f".{self._path.name}.partial")
            self._stream = (self._partial or self._path).open("w", encoding="utf-8")
        except OSError as error:
            raise self._error(error, "name a file in a folder that you can write to") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not sys.stdout:
            self._stream.close()
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Write the whole text, once.

        Raises:
            SinkError: it cannot be written, as when the disk is full.
        """
        if self._stream is sys.stdout:
            self._stream.write(text)
            return
        try:
            with self._stream:
                self._stream.write(text)
            if self._partial is not None:
                self._partial.replace(self._path)
        except OSError as error:
            raise self._error(error, "make room, or name another file") from error

    def _error(self, error: OSError, advice: str) -> SinkError:
        return SinkError(f"cannot write --json {self._path}: {error.strerror}; {advice}")
