"""``python -m export.pi``: one archive that installs a model and its runtime on a Raspberry Pi without a network."""

from __future__ import annotations

import argparse
import base64
import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import load_bundle
from runtime.errors import DataError, SinkError, run_command

ROOT = Path(__file__).resolve().parents[1]
DEVICE = Path(__file__).parent / "device"
"""The scripts of the archive, the unit and its configuration."""

_MOMENT = 946_684_800
"""Time of every file in an archive, so that the same content gives the same bytes."""

_ON_DEVICE = ("runtime/", "benchmarks/", "edge_digits-")
"""What of this project's wheel a device has a use for."""


@dataclass(frozen=True, slots=True)
class System:
    """A release of the 64-bit Raspberry Pi OS.

    Attributes:
        python: its own Python.
        glibc: its own C library's minor version.
        constraints: file in ``constraints/`` that pins what is installed.
        backoff: lines of the unit that make systemd wait longer from restart to restart.
    """

    python: tuple[int, int]
    glibc: int
    constraints: str
    backoff: str


SYSTEMS = {
    # Its Picamera2 was built for NumPy 1, and must share a process with ours.
    "bookworm": System((3, 11), 36, "tflite-runtime.txt", "# This systemd always waits as long."),
    "trixie": System((3, 13), 41, "device.txt", "RestartSteps=6\nRestartMaxDelaySec=300"),
}

INTERPRETERS = {"litert": "ai-edge-litert", "onnx": "onnxruntime"}
"""The interpreter's distribution by backend. What else it asks pip for, its ``Interpreter`` does not import."""

SERVICES = (
    *("paho-mqtt", "prometheus_client"),
    *("starlette", "uvicorn", "python-multipart", "anyio", "idna", "h11", "click", "typing_extensions"),
)
"""For MQTT, metrics and the page."""

PIP = "pip==26.3"
"""Goes along: a Lite system may have none."""


def main(argv: Sequence[str] | None = None, *, fetch: Callable[..., None] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments; the process's own by default.
        fetch: downloads wheels, as ``fetch_wheels`` does; tests hand in another.

    Returns:
        The exit code: 0 the archive was written, 1 an expected error, 2 wrong usage.
    """

    def command() -> int:
        options = _parser().parse_args(argv)
        archive = make_archive(options.model, options.os, options.backend, options.out, fetch or fetch_wheels)
        print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB")
        print(f"on the Pi: tar -xf {archive.name} && sudo {_folder_name(archive)}/install.sh")
        return 0

    return run_command(command)


def make_archive(model: str, system: str, backend: str, out: Path, fetch: Callable[..., None]) -> Path:
    """Write the archive of a bundle for a system; the same content gives the same bytes.

    Args:
        model: name of a shipped bundle, or a bundle's folder.
        system: one of ``SYSTEMS``.
        backend: one of ``INTERPRETERS``.
        out: folder for the archive.
        fetch: puts the wheels of requirements into a folder: ``(requirements, system, folder)``.

    Raises:
        BundleError: the bundle is missing or altered.
        DataError: a wheel does not exist for the system, or this project's own cannot be built.
        SinkError: the archive cannot be written.
    """
    bundle = load_bundle(model)
    bundle.golden()
    for artifact in bundle.manifest.artifacts:
        bundle.read(artifact)
    bundle.artifact(backend, "int8")  # which the service reads with
    name = f"edge-digits-{bundle.manifest.name}-{system}-{backend}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        wheels = folder / "wheels"
        wheels.mkdir(parents=True)
        fetch(
            [*pinned(SYSTEMS[system], ("numpy", "opencv-python-headless", INTERPRETERS[backend], *SERVICES)), PIP],
            system,
            wheels,
        )
        (pip,) = wheels.glob("pip-*.whl")
        pip.rename(folder / pip.name)
        build_wheel(bundle.folder, bundle.manifest.name, wheels)
        lines = [f"./wheels/{path.name} --hash=sha256:{_sha256(path)}" for path in sorted(wheels.iterdir())]
        (folder / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        marks = {"MODEL": bundle.manifest.name, "BACKEND": backend, "BACKOFF": SYSTEMS[system].backoff}
        for path in sorted(DEVICE.iterdir()):
            if path.is_file():
                text = path.read_text(encoding="utf-8")
                for mark, value in marks.items():
                    text = text.replace(f"@{mark}@", value)
                (folder / path.name).write_text(text, encoding="utf-8")
        target = {
            "model": bundle.manifest.name,
            "backend": backend,
            "system": system,
            "python": ".".join(map(str, SYSTEMS[system].python)),
            "architecture": "aarch64",
        }
        (folder / "target.env").write_text("".join(f"{k}={v}\n" for k, v in target.items()), encoding="utf-8")
        (folder / "target.json").write_text(json.dumps(target, indent=1) + "\n", encoding="utf-8")
        sums = "".join(
            f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in sorted(folder.rglob("*")) if path.is_file()
        )
        (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
        return _pack(folder, out / f"{name}.tar.gz")


def pinned(system: System, names: Iterable[str]) -> list[str]:
    """The requirement lines of these distributions, at the versions that the system's constraints pin.

    Raises:
        DataError: one of them is not pinned.
    """
    path = ROOT / "constraints" / system.constraints
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = []
    for name in names:
        found = re.findall(
            rf"^{re.escape(name)}==([\w.]+)(?: ; python_version (<|>=) \"3\.(\d+)\")?$", text, re.MULTILINE
        )
        versions = [
            version for version, sign, minor in found if not sign or (system.python[1] < int(minor)) == (sign == "<")
        ]
        if not versions:
            raise DataError(f"{path} does not pin {name}; use a checkout of the repository")
        lines.append(f"{name}=={versions[0]}")
    return lines


def fetch_wheels(requirements: Sequence[str], system: str, folder: Path) -> None:
    """Download the wheels for a system with pip, from the index that this computer uses.

    Raises:
        DataError: there is no wheel of one, or the index cannot be reached.
    """
    target = SYSTEMS[system]
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(target.glibc, 16, -1)] + ["manylinux2014_aarch64"]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary=:all:", "--implementation", "cp", "--dest", str(folder)),
        *("--python-version", ".".join(map(str, target.python))),
        *(word for platform in platforms for word in ("--platform", platform)),
        *requirements,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing = re.search(r"No matching distribution found for (\S+)", done.stderr)
        python = ".".join(map(str, target.python))
        if missing:
            raise DataError(
                f"no wheel of {missing[1]} for Python {python} on aarch64 ({system}); choose another --os or --backend"
            )
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"code {done.returncode}"
        raise DataError(f"pip could not download the wheels ({last}); check the network and pip's index")


def build_wheel(bundle: Path, name: str, folder: Path) -> None:
    """Build this project's wheel with what a device has a use for: the runtime, the benchmarks and one bundle.

    Raises:
        DataError: it cannot be built.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", scratch, str(ROOT)]
        moment = {"SOURCE_DATE_EPOCH": str(_MOMENT)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | moment)
        built = list(Path(scratch).glob("edge_digits-*.whl"))
        if done.returncode or not built:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise DataError(f"this project's wheel cannot be built ({' '.join(last)}); pip install -e '.[dev]'")
        files = {}
        with zipfile.ZipFile(built[0]) as wheel:
            for entry in wheel.namelist():
                if (
                    entry.startswith(_ON_DEVICE)
                    and not entry.startswith("runtime/models/")
                    and not entry.endswith("/RECORD")
                ):
                    files[entry] = wheel.read(entry)
            record = next(entry for entry in wheel.namelist() if entry.endswith("/RECORD"))
        for path in sorted(bundle.iterdir()):
            if path.is_file() and path.suffix != ".keras":
                files[f"runtime/models/{name}/{path.name}"] = path.read_bytes()
        _write_wheel(folder / built[0].name, files, record)


def _write_wheel(path: Path, files: dict[str, bytes], record: str) -> None:
    """A wheel of these files, with the list of their hashes that pip wants (PyPA's binary distribution format)."""
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        table.writerow([name, f"sha256={digest}", len(content)])
    table.writerow([record, "", ""])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in [*sorted(files.items()), (record, rows.getvalue().encode())]:
            entry = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, content)


def _pack(folder: Path, archive: Path) -> Path:
    """A compressed archive of a folder: sorted, owned by root, of one time."""

    def settle(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = _MOMENT
        entry.mode = 0o755 if entry.isdir() or entry.name.endswith(".sh") else 0o644
        return entry

    fresh = archive.with_name(f"fresh-{archive.name}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with (
            fresh.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, _MOMENT) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in [folder, *sorted(folder.rglob("*"))]:
                tar.add(path, str(path.relative_to(folder.parent)), recursive=False, filter=settle)
        fresh.replace(archive)
    except OSError as error:
        raise SinkError(
            f"cannot write {archive} ({error.strerror or error}); name another folder with --out"
        ) from error
    return archive


def _folder_name(archive: Path) -> str:
    return archive.name.removesuffix(".tar.gz")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.pi",
        description="Make one archive that installs a model, the runtime and all that it needs on a 64-bit Raspberry "
        "Pi OS, without a network: as a service that starts by itself, updates in one step and rolls back.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", default="edge", metavar="NAME", help="a shipped model, or the folder of a bundle")
    parser.add_argument("--os", choices=tuple(SYSTEMS), required=True, help="the Raspberry Pi OS that it is for")
    parser.add_argument("--backend", choices=tuple(INTERPRETERS), default="litert", help="what runs the model there")
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="folder for the archive")
    return parser


if __name__ == "__main__":
    sys.exit(main())
