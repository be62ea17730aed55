"""The slow proofs in a quick form; ``tests.proofs`` has the commands, ``docs/proofs`` their last full results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "proofs"
SCRIPTS = {
    "soak": "from tests.proofs.soak import *; from tests.proofs.soak import CHANCES\n"
    "proof = soak(2500, 200, {fault: 20 * chance for fault, chance in CHANCES.items()} | dict(freeze=2e-3, loss=2e-3))",
    "hostile": "from tests.proofs.hostile import hostile\nproof = hostile(260, bombs=False)",
    "kills": "from tests.proofs.kills import kills\nproof = kills(1)",
    "streams": "from tests.proofs.streams import torment\nproof = torment(1)",
    "age": "from tests.proofs.age import reading_age\nproof = reading_age(40)",
    "page": "from tests.proofs.page import serve\nproof = serve(8)",
}


# Those that keep to the clock need a machine with time to spare.
@pytest.mark.parametrize(
    "name", ["soak", "hostile", *(pytest.param(n, marks=pytest.mark.slow) for n in ("kills", "streams", "age", "page"))]
)
def test_a_proof_keeps_its_bars_in_its_quick_form(name: str, tmp_path: Path) -> None:
    if name == "hostile":
        pytest.importorskip("PIL")
    script = f"import sys\nfrom pathlib import Path\n{SCRIPTS[name]}\nsys.exit(proof.finish(Path('out.json')))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["bars"]
    assert [bar for bar, kept in report["bars"].items() if not kept] == [], report["figures"]
    if name == "soak":
        assert {"unreadable", "resized", "frozen", "lost"} == set(report["figures"]["faults_counted"])


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_last_full_run_kept_every_bar(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["proof"] == path.stem
    assert report["bars"]
    assert all(report["bars"].values())


def test_the_emulated_raspberry_pi_ran_the_shipped_bundle_whole() -> None:
    report = json.loads((RESULTS / "arm64.json").read_text(encoding="utf-8"))
    figures = report["figures"]
    shipped = {artifact.name: artifact.sha256 for artifact in load_bundle("edge").manifest.artifacts}
    assert figures["artifacts"] == shipped, "run make proof-arm64 ARGS='--out docs/proofs/arm64.json' for this bundle"
    for system in ("bookworm", "trixie"):
        for processor in ("cortex-a72", "cortex-a76"):
            reads = figures[system]["reads"][processor]
            assert {"litert-int8@reference", "demo, litert", "demo, onnx", "doctor", *shipped} == set(reads)
            assert all(reads[name]["images"] >= 1000 for name in shipped)
        assert len(figures[system]["life"]["steps"]) == 8
