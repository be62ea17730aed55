"""The machine beside the figures: without it no latency means anything."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import clock_cost_ns
from benchmarks.size import INTERPRETER_PACKAGES, OPENCV

FLAGS = (
    *("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""CPU features that decide which kernels an interpreter has (``asimddp`` is ARM's dot product), x86's and ARM's."""

_ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
}
_X86 = ("x86_64", "i686", "i386", "AMD64")


@dataclass(frozen=True, slots=True)
class Environment:
    """A machine and what is installed on it, when the run began.

    Attributes:
        cpu: its model.
        board: of a single-board computer, such as ``Raspberry Pi 5 Model B``; else empty.
        architecture: such as ``x86_64`` or ``aarch64``.
        cores: logical ones.
        usable_cores: those that this process may run on.
        flags: those of ``FLAGS`` that the CPU has.
        governor: of the first core's frequency; empty where it cannot be read.
        max_megahertz: of the first core; 0 where it cannot be read.
        memory_bytes: in all; 0 where it cannot be read.
        available_bytes: for new programs; 0 where it cannot be read.
        load_average: of the last 1, 5 and 15 minutes; empty where the system has none.
        emulation: empty on plain hardware as far as can be seen; else ``virtual machine`` or ``emulated``.
        system: name and version of the operating system.
        kernel: its release.
        python: implementation and version.
        packages: versions by distribution.
        clock_cost_ns: what the clock adds to every figure.
    """

    cpu: str
    board: str
    architecture: str
    cores: int
    usable_cores: int
    flags: tuple[str, ...]
    governor: str
    max_megahertz: int
    memory_bytes: int
    available_bytes: int
    load_average: tuple[float, ...]
    emulation: str
    system: str
    kernel: str
    python: str
    packages: Mapping[str, str]
    clock_cost_ns: int

    def doubts(self) -> list[str]:
        """Why the figures of this machine may mislead, in words for the user."""
        found = []
        if self.load_average and self.load_average[0] > 0.5 * self.usable_cores:
            found.append(
                f"other programs are busy: load average {self.load_average[0]:.1f} on {self.usable_cores} cores "
                "before the run began"
            )
        if self.governor not in ("", "performance"):
            found.append(f"the CPU's frequency governor is {self.governor}; performance gives steadier figures")
        if self.emulation == "emulated":
            found.append("this CPU is emulated: the figures say nothing about a real one")
        return found


def describe_machine(root: Path = Path("/"), architecture: str | None = None) -> Environment:
    """Read what the system says about itself; what it does not say stays empty.

    Args:
        root: where ``proc`` and ``sys`` are; elsewhere than ``/`` only in tests.
        architecture: what this process was built for; asked of the system if None.
    """
    architecture = architecture or platform.machine()
    cpuinfo = _read(root / "proc/cpuinfo")
    meminfo = re.findall(r"^(\w+): +(\d+) kB$", _read(root / "proc/meminfo"), re.MULTILINE)
    memory = {name: int(kilobytes) * 1024 for name, kilobytes in meminfo}
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    cores = os.cpu_count() or 1
    present = set(" ".join(re.findall(r"^(?:flags|Features)\s*: (.*)$", cpuinfo, re.MULTILINE)[:1]).split())
    return Environment(
        cpu=_cpu(cpuinfo) or platform.processor() or "unknown",
        board=_read(root / "proc/device-tree/model").strip("\0\n "),
        architecture=architecture,
        cores=cores,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores,
        flags=tuple(flag for flag in FLAGS if flag in present),
        governor=_read(frequency / "scaling_governor").strip(),
        max_megahertz=int(_read(frequency / "cpuinfo_max_freq").strip() or 0) // 1000,
        memory_bytes=memory.get("MemTotal", 0),
        available_bytes=memory.get("MemAvailable", 0),
        load_average=tuple(round(load, 2) for load in os.getloadavg()) if hasattr(os, "getloadavg") else (),
        emulation=_emulation(cpuinfo, architecture, platform.release()),
        system=_system(),
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=_packages(),
        clock_cost_ns=clock_cost_ns(),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu(cpuinfo: str) -> str:
    name = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    if name:
        return name[1].strip()
    part = re.search(r"^CPU part\s*: (0x\w+)$", cpuinfo, re.MULTILINE)
    return "" if part is None else _ARM_PARTS.get(part[1], f"ARM part {part[1]}")


def _emulation(cpuinfo: str, architecture: str, kernel: str) -> str:
    """A hint: QEMU's user mode shows the host's cpuinfo or kernel to a program of another architecture."""
    host_is_x86 = "vendor_id" in cpuinfo or re.search(r"amd64|x86_64", kernel) is not None
    if host_is_x86 and architecture not in _X86:
        return "emulated"
    if re.search(r"^model name\s*: .*TCG", cpuinfo, re.MULTILINE):
        return "emulated"
    return "virtual machine" if re.search(r"^flags\s*:.* hypervisor\b", cpuinfo, re.MULTILINE) else ""


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.version()}"


def _packages() -> dict[str, str]:
    versions = {}
    for name in ("edge-digits", "numpy", *OPENCV, *INTERPRETER_PACKAGES.values()):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
