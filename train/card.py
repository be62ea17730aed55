"""The model card: what a model is and was made of, how good it is and where it is not (M. Mitchell et al., 2019)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from runtime.bundle import Artifact, Bundle
from train.comparison import Work
from train.data import LABELS, NONE
from train.evaluation import Evaluation, Robustness


def model_card(
    bundle: Bundle, work: Work, found: Evaluation, besides: Sequence[Evaluation], families: Sequence[Robustness]
) -> str:
    """The card as Markdown.

    Args:
        bundle: whose card it is.
        work: of its network.
        found: its main evaluation.
        besides: others.
        families: how it does on corrupted pictures.
    """
    manifest = bundle.manifest
    none = "none" in manifest.labels
    artifact = next(each for each in manifest.artifacts if found.model.endswith(f" {each.name}"))
    lines = [
        f"# {manifest.name}",
        "",
        f"A network of {work.parameters:,} parameters and {work.multiply_accumulates / 1e6:.1f} million "
        f"multiply-accumulates a digit, {work.weight_bytes / 1000:.1f} kB of weights in int8; the file that is asked "
        f"here, `{artifact.file}`, has {artifact.bytes / 1000:.1f} kB.",
        "",
        "**Input** 28×28 gray levels 0–255, bright ink on black, placed as `runtime/preprocess.py` does. **Output** "
        + ("eleven logits: the digits, and `none` for what is not a digit." if none else "ten logits, one a digit."),
        "",
        "**For** reading handwritten digits on paper or a screen, in front of a camera. **Not for** decisions about "
        "people, or wherever a digit misread does harm and nobody looks.",
        "",
        f"## How good: {found.model}",
        "",
        "| measured on | n | right (95 %) |",
        "| --- | --- | --- |",
        *(
            f"| {each.images.name} | {len(each.answers):,} | {each.accuracy} |"
            for each in (found, *besides)
            if (each.images.labels != NONE).any()
        ),
    ]
    for name, key in (
        ("MNIST's test set through `preprocess`", "mnist_test_preprocessed"),
        ("validation digits, augmented (the gate of parity)", "gate"),
    ):
        if metric := artifact.metrics.get(key):
            lines.append(f"| {name} | {metric['n']:,} | {_percent(metric)} |")
    lines += ["", _reading(found), *_on_crops(artifact), *_false(besides), ""]
    lines += ["## Weak at", "", *_weaknesses(found, families), "", "## Made of", "", *_made_of(bundle), ""]
    lines += [
        "## License",
        "",
        "MIT, as the code; MNIST (Y. LeCun, C. Cortes, C. Burges) is offered under CC BY-SA 3.0.",
        "",
        "Written by `python -m train.report`; intervals are Wilson's. Answering `none` counts as an error on digits.",
        "",
    ]
    return "\n".join(line if line.startswith("|") else _wrapped(line) for line in lines)


def _wrapped(line: str) -> str:
    """A paragraph, or a point of a list, in lines of 120 characters."""
    further = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=further, break_long_words=False, break_on_hyphens=False)


def _reading(found: Evaluation) -> str:
    reading = found.reading
    return (
        f"Reading only what is at least {100 * reading.threshold:.0f} % sure: {reading.right} of the digits of "
        f"{found.images.name} are read right, {reading.wrong} wrong, {reading.passed} are passed over."
    )


def _on_crops(artifact: Artifact) -> list[str]:
    seen = artifact.metrics.get("crops")
    if not seen:
        return []
    return [
        f"Of {seen['digits']:,} digits that the detector cut out of rendered validation frames "
        f"{100 * seen['right']:.1f} % are read right; of {seen['nones']:,} cuts of anything else "
        f"{100 * seen['invented']:.1f} % are read as a digit."
    ]


def _false(besides: Sequence[Evaluation]) -> list[str]:
    return [
        f"Of what is no digit in {each.images.name}, {each.reading.false} is read as one."
        for each in besides
        if each.reading.false.of
    ]


def _weaknesses(found: Evaluation, families: Sequence[Robustness]) -> list[str]:
    pairs = [
        (int(found.table[i, j]), LABELS[i], LABELS[j])
        for i in range(len(LABELS))
        for j in range(len(LABELS))
        if i != j and found.table[i, j]
    ]
    pairs.sort(reverse=True)
    lines = []
    if pairs:
        told = ", ".join(f"{truth} as {answer} ({count})" for count, truth, answer in pairs[:4])
        lines.append(f"- digits most often misread: {told}, of {len(found.answers):,}")
    worst = sorted((each for each in families if each.name != "identity"), key=lambda each: each.right.value)[:5]
    told = ", ".join(f"{each.name.replace('_', ' ')} {100 * each.right.value:.0f} %" for each in worst)
    lines.append(f"- corrupted pictures (MNIST-C's families; right answers): {told}")
    lines.append("- letters of one stroke (`l` is a 1 to it), touching digits, anything turned by more than 20 degrees")
    lines.append("- numerals other than 0–9, and children's first digits, which it has not seen")
    return lines


def _made_of(bundle: Bundle) -> list[str]:
    provenance = bundle.manifest.provenance
    training = provenance.get("training", {})
    settings = training.get("settings", {})
    name = bundle.manifest.name
    epochs, batch, seed = (settings.get(key, "?") for key in ("epochs", "batch", "seed"))
    settings_at = "every setting is in `manifest.json`"
    settings_at += f", revision {provenance['revision'][:12]}." if provenance.get("revision") else "."
    if settings.get("recipe") == "extra":
        base = settings.get("model", "?")
        return [
            f"**Data** What `{base}` was made of, and {settings.get('pictures', '?')} pictures of somebody's own; "
            "MNIST's digits among them, so that none is forgotten.",
            "",
            f"**Recipe** `{base}` trained on for {epochs} rounds, seed {seed}; {settings_at}",
            "",
            f"**Make it again** `python -m train --extra DIR --model {base} --seed {seed}` with the folder of those "
            "pictures, then the `python -m export` that it names.",
        ]
    data = "MNIST's training images"
    recipe = ""
    if "none" in bundle.manifest.labels:
        data += ", digits drawn by `runtime/strokes.py`, and drawn letters, signs, scribbles, cut and joined digits "
        data += "for `none`"
    else:
        recipe = f" --recipe {settings.get('recipe', 'digits')}"
    if training.get("crops"):
        data += "; what the runtime's detector cuts out of rendered camera frames"
    taught = ""
    if training.get("teacher"):
        recipe += f" --teacher {training['teacher']['network']}"
        taught = f", learning from `{training['teacher']['network']}`'s answers too"
    return [
        f"**Data** {data}. 5,000 training images chose the recipe; the test set only reports.",
        "",
        f"**Recipe** {epochs} epochs of {batch} pictures a step, seed {seed}{taught}; {settings_at}",
        "",
        f"**Make it again** `python -m train --model {settings.get('model', name)}{recipe} --seed {seed}`, then "
        f"`python -m export --model {name}`. The same seed gives the same weights on the same "
        "machine.",
    ]


def _percent(metric: dict[str, Any]) -> str:
    low, high = metric["interval95"]
    return f"{100 * metric['accuracy']:.2f} % ({100 * low:.2f}–{100 * high:.2f} %)"
