"""``python -m runtime.doctor``: what keeps this computer from reading digits, or from doing so well, and the fix.

It starts where nothing else does: without NumPy or OpenCV, and on Python 3.9, which is too old for the rest.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.checkup import Finding, Plan, Severity, examine
from runtime.errors import UsageError, run_command
from runtime.machine import Machine

SERVICE = "/etc/edge-digits/service.toml"
"""The service's configuration, where an archive put one."""

MARKS: dict[Severity, str] = {"ok": "ok", "note": "note", "warning": "WARNING", "error": "ERROR"}

EXIT_CODES: dict[Severity, int] = {"ok": 0, "note": 0, "warning": 3, "error": 1}
"""By the worst that was found; 2 is wrong usage."""


def main(argv: Sequence[str] | None = None, *, machine: Machine | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        machine: what to look at; this computer by default.

    Returns:
        The exit code: 0 all well, 1 something keeps it from working, 2 wrong usage, 3 something makes it work badly.
    """

    def command() -> int:
        options = _parser().parse_args(argv)
        looked_at = machine or Machine()
        config = _config(looked_at, options.config)
        usual = {"model": "edge", "backend": "litert", "interpreter": "litert", **looked_at.archive, **config}
        for key in ("backend", "interpreter"):
            if usual[key] not in CHOICES[key]:
                raise UsageError(
                    f"{options.config or SERVICE}: {key} is {usual[key]!r}; expected one of {', '.join(CHOICES[key])}"
                )
        plan = Plan(
            options.model or str(usual["model"]),
            options.backend or str(usual["backend"]),
            options.interpreter or str(usual["interpreter"]),
            options.state,
            config,
            options.config or SERVICE,
        )
        findings = examine(looked_at, plan)
        worst = max((finding.severity for finding in findings), key=list(MARKS).index)
        if options.json:
            told = {"worst": worst, "findings": [finding._asdict() for finding in findings]}
            print(json.dumps(told, indent=1, ensure_ascii=False))
        else:
            print(_told(findings, worst))
        return EXIT_CODES[worst]

    return run_command(command)


CHOICES = {"backend": ("litert", "onnx"), "interpreter": ("litert", "tflite-runtime")}
"""What may run a model."""


def _told(findings: Sequence[Finding], worst: Severity) -> str:
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.severity]:>7}  {finding.subject:<{width}}  {finding.found}")
        if finding.fix:
            lines.append(f"{'':>7}  {'':<{width}}  fix: {finding.fix}")
    counts = Counter(finding.severity for finding in findings)
    told = [f"{n} {severity}{'s' if n > 1 else ''}" for severity in ("error", "warning") if (n := counts[severity])]
    verdicts = {"error": "this computer cannot read digits yet", "warning": "it works, but not as well as it could"}
    return "\n".join([*lines, "", f"{verdicts[worst]} ({', '.join(told)})" if worst in verdicts else "all is well"])


def _config(machine: Machine, path: str | None) -> dict[str, Any]:
    """The service's configuration; empty where none is named and none is installed, or this user may not read it."""
    try:
        import tomllib
    except ImportError:  # before 3.11, which is a finding of its own
        return {}
    text = machine.read(SERVICE)
    if path is not None:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is not UTF-8 text: {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path or SERVICE} is not valid TOML: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.doctor",
        description="Say what keeps this computer from reading digits, or from doing so well, and how to mend it.",
        epilog="exit code: 0 all well, 1 something keeps it from working, 3 something makes it work badly",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="NAME", help="a shipped model, or the folder of a bundle; edge unless named")
    parser.add_argument(
        "--backend",
        choices=CHOICES["backend"],
        help="what is to run it; unless named, the installed archive's, or litert",
    )
    parser.add_argument(
        "--interpreter", choices=CHOICES["interpreter"], help="of the litert backend; litert unless named"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"the service's configuration, whose options, source, ports and broker are looked at; {SERVICE} if there",
    )
    parser.add_argument(
        "--state", type=Path, default=Path.cwd(), metavar="DIR", help="folder that recordings and crops go to"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
