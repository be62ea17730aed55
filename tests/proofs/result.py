"""What the proofs share: a report of figures and bars."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2


@dataclass
class Proof:
    """Figures, and bars that they must keep."""

    name: str
    figures: dict[str, Any] = field(default_factory=dict)
    bars: dict[str, bool] = field(default_factory=dict)

    def bar(self, text: str, kept: bool) -> None:
        """Note whether a bar was kept."""
        self.bars[text] = bool(kept)

    def finish(self, out: Path | None) -> int:
        """Print the report, write it where asked, and return the exit code: 1 where a bar was not kept."""
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "opencv": cv2.__version__}
        report = {"proof": self.name, "machine": machine, "figures": self.figures, "bars": self.bars}
        text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
        sys.stdout.write(text)
        if out:
            out.write_text(text, encoding="utf-8")
        return 0 if all(self.bars.values()) else 1


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with ``--out``."""
    made = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    made.add_argument("--out", type=Path, metavar="FILE", help="write the report here too")
    return made


def resident_bytes() -> int:
    """Memory of this process that is in RAM (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
