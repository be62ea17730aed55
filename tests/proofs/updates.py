"""Updates killed at random moments, with what was not yet on the disk lost: an install that works is left each time.

sudo python -m tests.proofs.updates --times 100 --out docs/proofs/updates.json

The device's disk is an ext4 file system in a file. ``kill -9`` ends the update, and in the same moment the file system
is told to write nothing more, not even its journal (ext4's shutdown, which tests of file systems use for a power cut);
then it is mounted again, as after a boot. The archive is a real one but for other people's wheels, which stay this
environment's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from export.pi import make_archive
from tests.proofs.result import Proof, parser

_SHUTDOWN = 0x8004587D  # ext4's ioctl of that name; the same as XFS's
_NO_LOG_FLUSH = 2

_PIP = "import sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"

SYSTEMCTL = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/asked"
[ "$1" != is-active ] || echo active
[ "$1" != restart ] || grep -q broken "$EDGE_DIGITS_ROOT/etc/systemd/system/edge-digits.service" && exit 1 || exit 0
"""


def no_wheels(requirements: Sequence[str], system: str, folder: Path) -> None:
    """In place of a download: a pip that is this environment's own, and nothing else."""
    with zipfile.ZipFile(folder / "pip-0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(zipfile.ZipInfo("pip/__main__.py"), _PIP)


def unpacked(archive: Path, folder: Path, note: str = "") -> Path:
    """An archive unpacked; with a note it is another release."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")
    (inner,) = folder.iterdir()
    if note:
        (inner / "service.toml").write_text((inner / "service.toml").read_text() + f"# {note}\n")
        reseal(inner)
    return inner


def reseal(folder: Path) -> None:
    """Vouch anew for an archive's files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(sums))


def environment(root: Path, tools: Path) -> dict[str, str]:
    """For ``install.sh``: a root of its own, this Python, and a systemctl that says that all is well."""
    tools.mkdir(exist_ok=True)
    systemctl = tools / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    names = {"ROOT": root, "PYTHON": sys.executable, "SYSTEMCTL": systemctl, "ANY_MACHINE": 1}
    return os.environ | {f"EDGE_DIGITS_{name}": str(value) for name, value in names.items()}


def works(root: Path, settings: dict[str, str]) -> str:
    """What is wrong with the current version; empty where it loads its model, whose hashes are right."""
    current = root / "opt/edge-digits/current"
    if not current.is_symlink():
        return "nothing is current"
    code = "import runtime; runtime.load_classifier(); print(runtime.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env=settings | {"PYTHONPATH": str(current / "site"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    return "" if str(current / "site") in done.stdout else f"it loads {done.stdout.strip()}"


def kill_update(release: Path, settings: dict[str, str], seconds: float) -> bool:
    """Begin to install a release and kill all of it after so long; whether it was still at it."""
    update = subprocess.Popen(
        [str(release / "install.sh"), "--no-service"],
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        update.wait(seconds)
    running = update.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(update.pid, signal.SIGKILL)
    update.wait()
    return running


class Disk:
    """An ext4 file system in a file, that can lose power."""

    def __init__(self, image: Path, place: Path) -> None:
        """Make it; root alone may."""
        self.image, self.place = image, place
        with image.open("wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", str(image)], check=True)
        place.mkdir()

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """The file system's root, until the end of the block."""
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.place)], check=True)
        try:
            yield self.place
        finally:
            # Until the killed are gone, and whoever else has a copy of this mount in a namespace of its own.
            deadline = time.monotonic() + 600
            while self._in_use():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{self.place} stays in use")
                time.sleep(0.1)

    def _in_use(self) -> bool:
        subprocess.run(["umount", str(self.place)], capture_output=True, check=False)
        loops = subprocess.run(["losetup", "-j", str(self.image)], capture_output=True, text=True, check=True)
        return bool(loops.stdout)

    def cut_power(self) -> None:
        """Nothing more reaches the disk, not what was written before either, unless it was synced."""
        folder = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)


def updates(times: int) -> Proof:
    """Kill so many updates."""
    proof = Proof("updates")
    rng = np.random.default_rng(5)
    broken, moments, finished = [], {"old": 0, "new": 0}, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        archive = make_archive("edge", "bookworm", "litert", folder, no_wheels)
        disk = Disk(folder / "disk.img", folder / "disk")
        settings = environment(disk.place, folder / "tools")
        with disk.mounted() as root:
            begun = time.monotonic()
            first = unpacked(archive, folder / "first")
            subprocess.run([str(first / "install.sh"), "--no-service"], env=settings, check=True, capture_output=True)
            usual = time.monotonic() - begun
        for number in range(times):
            release = unpacked(archive, folder / "release", f"release {number}")
            with disk.mounted() as root:
                before = (root / "opt/edge-digits/current").readlink()
                finished += not kill_update(release, settings, float(rng.uniform(0, 1.1 * usual)))
                disk.cut_power()
            with disk.mounted() as root:
                trouble = works(root, settings)
                if trouble:
                    broken.append(trouble)
                    subprocess.run([str(first / "install.sh"), "--no-service"], env=settings, check=True)
                moments["old" if (root / "opt/edge-digits/current").readlink() == before else "new"] += 1
            shutil.rmtree(folder / "release")
            print(f"{number}: {trouble or 'works'}", file=sys.stderr, flush=True)
    proof.figures = {
        "times": times,
        "killed_before_the_end": times - finished,
        "current_afterwards": moments,
        "broken": broken,
    }
    proof.bar("an install that works after each", not broken)
    return proof


def why_not() -> str:
    """What keeps this machine from the proof; empty where nothing does."""
    if os.geteuid() or not shutil.which("mke2fs") or not Path("/dev/loop-control").exists():
        return "it needs root, mke2fs and loop devices"
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the proof; 1 where a bar was not kept or the machine cannot run it."""
    options = parser(__doc__)
    options.add_argument("--times", type=int, default=100, metavar="N", help="updates to kill")
    chosen = options.parse_args(argv)
    trouble = why_not()
    if trouble:
        print(f"error: {trouble}", file=sys.stderr)
        return 1
    return updates(chosen.times).finish(chosen.out)


if __name__ == "__main__":
    sys.exit(main())
