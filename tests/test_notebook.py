"""The notebook runs from top to bottom, on the functions of the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.mnist import mnist_folder

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))


def test_it_is_stored_without_what_a_run_leaves() -> None:
    # MNIST's pictures would be in the outputs.
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_it_runs_from_top_to_bottom(tmp_path: Path) -> None:
    code = "\n\n".join("".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code")
    (tmp_path / "tour.py").write_text(code, encoding="utf-8")
    settings = {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT), "MNIST_DIR": str(mnist_folder()), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "tour.py")],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "read: ['407', '1985']" in done.stdout
    assert "edge, int8: 99." in done.stdout
