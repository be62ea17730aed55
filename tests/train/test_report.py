from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.bundle import load_bundle
from runtime.errors import DataError
from tests.html import check_page
from train.card import _made_of
from train.comparison import work_of
from train.report import _history, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def epochs() -> list[dict[str, float]]:
    names = ("loss", "accuracy", "validation_loss", "validation_accuracy")
    return [dict(zip(names, (0.5 / i, 1 - 0.1 / i, 0.3 / i, 1 - 0.05 / i), strict=True)) for i in range(1, 6)]


def test_a_bundle_gets_a_page_and_a_card(
    archive: Path, epochs: list[dict[str, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "edge"
    shutil.copytree(ROOT / "models" / "edge", bundle)
    run = tmp_path / "run"
    run.mkdir()
    (run / "history.json").write_text(json.dumps({"epochs": epochs}))
    np.savez(tmp_path / "marks.npz", images=np.zeros((4, 28, 28), np.uint8), labels=np.full(4, 10))
    arguments = ["--model", str(bundle), "--on", str(archive), "--also", str(tmp_path / "marks.npz"), "--limit", "60"]
    assert main([*arguments, "--run", str(run), "--out", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    page = check_page(tmp_path / "report" / "edge.html")
    assert page.count("<figure>") == 5  # two curves, three plots of the answers
    card = (bundle / "README.md").read_text()
    artifact = load_bundle(bundle).artifact("litert", "int8")
    for text in (out, page, card):
        assert "79,819" in text
    metric = artifact.metrics["mnist_test_preprocessed"]
    assert f"{100 * metric['accuracy']:.2f} %" in card
    assert "## Weak at" in card
    assert f"Of {artifact.metrics['crops']['digits']:,} digits that the detector cut out" in " ".join(card.split())
    assert "/marks |" not in card  # holds no digit: no row, but a sentence
    assert "/marks, " in " ".join(card.split())
    assert max(len(line) for line in card.splitlines() if not line.startswith("|")) <= 120
    assert "python -m train --model edge --teacher wide --seed 0" in " ".join(card.split())
    assert "learning from `wide`'s answers too" in " ".join(card.split())
    assert load_bundle(bundle).manifest.name == "edge"  # the card is no part of what is sealed


def test_the_card_of_a_model_without_a_teacher_names_none() -> None:
    bundle = load_bundle("edge")
    provenance = {"training": {**bundle.manifest.provenance["training"], "teacher": None}}
    text = " ".join(_made_of(replace(bundle, manifest=replace(bundle.manifest, provenance=provenance))))
    assert "python -m train --model edge --seed 0`" in text
    assert "answers too" not in text


def test_the_card_of_a_model_taught_somebodys_own_digits_says_so(tmp_path: Path) -> None:
    bundle = load_bundle("edge")
    settings = {"model": "edge", "recipe": "extra", "pictures": 67, "epochs": 10, "batch": 64, "seed": 0}
    manifest = replace(bundle.manifest, name="own", provenance={"training": {"settings": settings}})
    text = " ".join(_made_of(replace(bundle, manifest=manifest)))
    assert "67 pictures of somebody's own" in text
    assert "python -m train --extra DIR --model edge --seed 0" in text
    # Its history has no curves to draw; of a run that was named they must be there.
    (tmp_path / "history.json").write_text(json.dumps({"epochs": [{"loss": 0.1, "accuracy": 0.9, "seconds": 1}]}))
    assert _history(tmp_path, named=False) is None
    with pytest.raises(DataError, match="validation_accuracy"):
        _history(tmp_path, named=True)


def test_bundles_are_compared_on_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--compare", "edge", "edge", "--out", str(tmp_path)]) == 0
    head, *rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert head.split() == [
        "artifact",
        "MNIST",
        "test",
        "(95",
        "%)",
        "parameters",
        "million",
        "MAC",
        "int8",
        "weights",
        "file",
        "latency,",
        "µs",
    ]
    assert len(rows) == 2 * len(load_bundle("edge").manifest.artifacts)
    assert all(float(row.split()[-1]) > 0 for row in rows)
    assert all(row.startswith("models/edge ") for row in rows)  # of one name: told apart by where they are
    assert check_page(tmp_path / "comparison.html").count("<figure>") == 1


def test_the_work_of_the_shipped_network_is_counted() -> None:
    work = work_of(load_bundle("edge"))
    assert (work.parameters, work.weight_bytes) == (79_819, 79_852)


@pytest.mark.parametrize("content", [None, "", "{}", '{"epochs": []}', '{"epochs": [{}]}'])
def test_a_run_that_is_named_must_be_one(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "history.json").write_text(content)
    assert main(["--on", str(archive), "--run", str(tmp_path), "--card", str(tmp_path / "card.md")]) == 1
    assert "history.json is missing or broken" in capsys.readouterr().err
    assert not (tmp_path / "card.md").exists()
