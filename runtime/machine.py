"""What a computer says about itself, for ``runtime.doctor``. Standard library only: anything else may be broken.

Runs on Python 3.9, so that an old system can be told that it is one.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Answer(NamedTuple):
    """What a program ended with: its code, negative where a signal killed it, and all that it printed."""

    code: int
    text: str


NOT_THERE = Answer(127, "not installed")
"""Of a program that is not here."""

TOO_SLOW = Answer(124, "did not end in time")
"""Of a program that was still running when time was up."""


class Machine:
    """This computer. Tests hand in another, of files in a folder and answers that they make up.

    Attributes:
        root: where ``proc``, ``sys``, ``dev`` and ``etc`` are.
        python: version of this Python.
        architecture: that the kernel was built for, such as ``aarch64``.
        bits: of this Python's pointers.
        glibc: version of the C library; empty where it is another.
        environment: variables of this process.
        home: folder that holds this package.
        archive: what the archive of ``export.pi`` that brought it there is for; empty where none did.
    """

    root = Path("/")

    def __init__(self) -> None:
        """Ask the system what costs nothing."""
        self.python: tuple[int, int, int] = sys.version_info[:3]
        self.architecture = platform.machine()
        self.bits = 8 * struct.calcsize("P")
        self.glibc = platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else ""
        self.environment: Mapping[str, str] = os.environ
        self.home = Path(__file__).resolve().parents[1]
        target = self.home.parent / "target.json"
        self.archive: Mapping[str, str] = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}

    def read(self, path: str) -> str:
        """Text of a file; empty where it cannot be read."""
        try:
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return ""

    def matches(self, pattern: str) -> list[str]:
        """Paths that match, sorted as a person would: ``video2`` before ``video10``."""
        found = [f"/{path.relative_to(self.root)}" for path in self.root.glob(pattern.lstrip("/"))]
        return sorted(found, key=lambda path: (len(path), path))

    def may_read(self, path: str) -> bool:
        """Whether this user may open a file."""
        return os.access(self.root / path.lstrip("/"), os.R_OK)

    def run(self, program: Sequence[str], seconds: float = 20) -> Answer:
        """Run a program that needs no input."""
        if not shutil.which(program[0]):
            return NOT_THERE
        try:
            done = subprocess.run(
                program,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8"},  # messages are looked into, in English
            )
        except subprocess.TimeoutExpired:
            return TOO_SLOW
        except OSError as error:
            return Answer(126, error.strerror or str(error))
        return Answer(done.returncode, done.stdout.decode(errors="replace").strip())

    def run_python(self, code: str, seconds: float = 180) -> Answer:
        """Run code in another process of this Python, so that what kills it does not kill us."""
        return self.run([sys.executable, "-B", "-W", "ignore", "-c", code], seconds)

    def wheel_tags(self, distribution: str) -> list[str]:
        """What an installed wheel was built for, such as ``cp311-cp311-manylinux_2_28_aarch64`` (PEP 425).

        Empty where it is not installed, or by another than pip.
        """
        try:
            text = importlib.metadata.distribution(distribution).read_text("WHEEL") or ""
        except importlib.metadata.PackageNotFoundError:
            return []
        return re.findall(r"^Tag: (\S+)$", text, re.MULTILINE)

    def free_bytes(self, folder: Path) -> int:
        """Space for this user on the folder's disk, or that of the nearest folder above that is there."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def may_write(self, folder: Path) -> bool:
        """Whether this user may make a file in the folder, or make the folder."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return os.access(folder, os.W_OK | os.X_OK)

    def port_taken(self, host: str, port: int) -> str:
        """Why nothing can listen there; empty where it can."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError as error:
                return error.strerror or str(error)
        return ""

    def ask(self, port: int, path: str) -> str:
        """What this computer's own web server answers, whatever its status; empty where none does."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def unreachable(self, host: str, port: int) -> str:
        """Why nothing can be said to a server; empty where it listens."""
        try:
            socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            return error.strerror or str(error)
        except UnicodeError:
            return "no name of a host"
        return ""
