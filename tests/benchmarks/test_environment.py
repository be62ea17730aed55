from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.environment import Environment, describe_machine

XEON = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse4_1 avx2 hypervisor avx512f avx512_vnni

processor\t: 1
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu sse4_1 avx2 hypervisor avx512f avx512_vnni amx_int8
"""
PI5 = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU part\t: 0xd0b

Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""


def system(root: Path, **files: str) -> Path:
    """A root folder with these files in it, by path with ``__`` for the slashes."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_this_machine_is_described() -> None:
    machine = describe_machine()
    assert machine.cpu
    assert machine.architecture == platform.machine()
    assert 1 <= machine.usable_cores <= machine.cores == os.cpu_count()
    assert machine.packages["numpy"] == np.__version__
    assert any(name.startswith("opencv") for name in machine.packages)
    assert platform.python_version() in machine.python


def test_a_virtual_x86_machine_is_told(tmp_path: Path) -> None:
    machine = describe_machine(system(tmp_path, proc__cpuinfo=XEON), "x86_64")
    assert machine.cpu == "Intel(R) Xeon(R) Processor"
    assert machine.flags == ("sse4_1", "avx2", "avx512f", "avx512_vnni")
    assert machine.emulation == "virtual machine"


def test_a_pi_is_told_with_its_board_governor_frequency_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "release", lambda: "6.12.25+rpt-rpi-2712")
    root = system(
        tmp_path,
        proc__cpuinfo=PI5,
        proc__meminfo="MemTotal:        8245696 kB\nMemFree:  1 kB\nMemAvailable:    7000000 kB\n",
        sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="ondemand\n",
        sys__devices__system__cpu__cpu0__cpufreq__cpuinfo_max_freq="2400000\n",
    )
    (root / "proc/device-tree").mkdir()
    (root / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    machine = describe_machine(root, "aarch64")
    assert (machine.cpu, machine.board) == ("Cortex-A76", "Raspberry Pi 5 Model B Rev 1.0")
    assert machine.flags == ("asimd", "asimdhp", "asimddp")
    assert (machine.governor, machine.max_megahertz) == ("ondemand", 2400)
    assert (machine.memory_bytes, machine.available_bytes) == (8245696 * 1024, 7000000 * 1024)
    assert machine.emulation == ""


def test_an_arm_program_on_an_x86_host_is_emulated(tmp_path: Path) -> None:
    machine = describe_machine(system(tmp_path, proc__cpuinfo=XEON), "aarch64")
    assert machine.emulation == "emulated"
    assert any("emulated" in doubt for doubt in machine.doubts())


def test_an_arm_program_on_an_x86_kernel_is_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-40-amd64")
    assert describe_machine(system(tmp_path, proc__cpuinfo=PI5), "aarch64").emulation == "emulated"


def test_a_system_that_says_nothing_leaves_the_fields_empty(tmp_path: Path) -> None:
    machine = describe_machine(tmp_path, "x86_64")
    assert machine.cpu
    assert (machine.flags, machine.governor, machine.max_megahertz, machine.memory_bytes) == ((), "", 0, 0)


@pytest.fixture
def quiet_machine(tmp_path: Path) -> Environment:
    return replace(describe_machine(tmp_path, "x86_64"), usable_cores=4, load_average=(0.1, 0.1, 0.1), emulation="")


def test_a_quiet_machine_leaves_no_doubts(quiet_machine: Environment) -> None:
    assert quiet_machine.doubts() == []
    assert replace(quiet_machine, governor="performance").doubts() == []


def test_a_busy_machine_and_a_thrifty_governor_are_doubts(quiet_machine: Environment) -> None:
    (doubt,) = replace(quiet_machine, load_average=(2.1, 0.0, 0.0)).doubts()
    assert "load average 2.1 on 4 cores" in doubt
    (doubt,) = replace(quiet_machine, governor="powersave").doubts()
    assert "powersave" in doubt
