"""What the commands say besides results: lines on standard error, for people or for programs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from runtime.quiet import silence_opencv


@contextmanager
def messages_on_stderr(style: str = "text") -> Iterator[None]:
    """Show the package's own messages on stderr, one line each, and none of OpenCV's.

    Args:
        style: ``text`` for people; ``json``: an object per line with time (UTC), level, logger and message.
    """
    silence_opencv()
    logger = logging.getLogger("runtime")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _MessageFormatter())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _MessageFormatter(logging.Formatter):
    """Plain information as it is, all else after its level."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        return message if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {message}"


class _JsonFormatter(logging.Formatter):
    """An object per line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        values = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps({**values, "message": record.getMessage()}, ensure_ascii=False)
