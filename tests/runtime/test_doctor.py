from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runtime.checkup import _CONFIGURE, Finding
from runtime.doctor import main
from runtime.machine import NOT_THERE, Answer, Machine

ROOT = Path(__file__).resolve().parents[2]
UNDEFINED_SYMBOL = "ImportError: /lib/aarch64-linux-gnu/libm.so.6: version `GLIBC_2.38' not found (required by x.so)"


class Pi(Machine):
    """A Raspberry Pi 4 that is well: files in a folder, and programs with made-up answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.root = folder
        self.python, self.architecture, self.bits, self.glibc = (3, 11, 2), "aarch64", 64, "2.36"
        self.environment = {"WAYLAND_DISPLAY": "wayland-0"}
        self.home, self.archive = ROOT, {}
        self.free, self.writable, self.away, self.web = 20_000_000_000, True, "", ""
        self.taken: dict[int, str] = {}
        self.locked: set[str] = set()
        self.tags: dict[str, list[str]] = {
            "numpy": ["cp311-cp311-manylinux_2_27_aarch64"],
            "opencv-python-headless": ["cp37-abi3-manylinux_2_28_aarch64"],
            "ai-edge-litert": ["cp311-cp311-manylinux_2_27_aarch64"],
        }
        self.programs = {
            "v4l2-ctl": Answer(0, "[0]: 'MJPG' (Motion-JPEG)\n Size: Discrete 640x480\n Size: Discrete 1280x720"),
            "vcgencmd": Answer(0, "throttled=0x0"),
            "rpicam-hello": Answer(0, "Available cameras\n0 : imx708 [4608x2592] (/base/soc/i2c0mux/imx708@1a)"),
        }
        self.modules: dict[str, Answer] = {}
        self.put("etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
        self.put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.5\0")
        self.put("proc/meminfo", "MemTotal: 3884396 kB\nMemAvailable: 3201000 kB\n")
        self.put("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n")
        self.put("sys/devices/system/cpu/possible", "0-3\n")
        self.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
        self.put("sys/class/thermal/thermal_zone0/temp", "48312\n")
        self.put("dev/video0", "")
        self.put("sys/class/video4linux/video0/name", "HD Webcam C270\n")
        self.put("dev/video10", "")
        self.put("sys/class/video4linux/video10/name", "bcm2835-codec-decode\n")

    def put(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def without(self, path: str) -> None:
        (self.root / path).unlink()

    def run(self, program: Sequence[str], seconds: float = 20) -> Answer:
        return self.programs.get(program[0], NOT_THERE)

    def run_python(self, code: str, seconds: float = 180) -> Answer:
        if "runtime.camera" in code:
            return self.modules.get("configuration", Answer(0, "usage: python -m runtime.camera"))
        asked = re.match(r"import ([\w.]+)", code)
        if asked and asked[1] != "sys":
            return self.modules.get(asked[1].split(".")[0], Answer(0, "1.2.3"))
        return self.modules.get("model", Answer(0, "4 files whole, litert-int8 answers its golden vectors"))

    def wheel_tags(self, distribution: str) -> list[str]:
        return self.tags.get(distribution, [])

    def may_read(self, path: str) -> bool:
        return path not in self.locked

    def free_bytes(self, folder: Path) -> int:
        return self.free

    def may_write(self, folder: Path) -> bool:
        return self.writable

    def port_taken(self, host: str, port: int) -> str:
        return self.taken.get(port, "")

    def ask(self, port: int, path: str) -> str:
        return self.web

    def unreachable(self, host: str, port: int) -> str:
        return self.away


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path / "root")


Told = tuple[int, list[Finding]]


def told(machine: Machine, capsys: pytest.CaptureFixture[str], *options: str) -> Told:
    """The exit code and the findings of the command."""
    code = main([*options, "--json"], machine=machine)
    return code, [Finding(**finding) for finding in json.loads(capsys.readouterr().out)["findings"]]


def test_nothing_is_found_where_nothing_is_wrong(pi: Pi, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = told(pi, capsys)
    assert code == 0
    assert {finding.severity for finding in findings} == {"ok"}
    assert all(not finding.fix for finding in findings)
    found = " / ".join(finding.found for finding in findings)
    for what in (
        "bookworm",
        "Raspberry Pi 4",
        "NEON",
        "3.11.2",
        "glibc 2.36",
        "ondemand",
        "48 °C",
        "20000 MB",
        "imx708",
    ):
        assert what in found
    assert "/dev/video0 (HD Webcam C270): MJPG up to 1280x720" in found
    assert "video10" not in found


def sets(**values: object) -> Callable[[Pi], None]:
    def plant(pi: Pi) -> None:
        for name, value in values.items():
            setattr(pi, name, value)

    return plant


def no_camera(pi: Pi) -> None:
    pi.without("dev/video0")
    del pi.programs["rpicam-hello"]


def picamera2_of_the_system(pi: Pi) -> None:
    pi.modules["picamera2"] = Answer(1, "ModuleNotFoundError: No module named 'picamera2'")
    pi.programs["/usr/bin/python3"] = Answer(0, "")


def ends(module: str, code: int, text: str = "") -> Callable[[Pi], None]:
    return lambda pi: pi.modules.update({module: Answer(code, text)})


TROUBLES: dict[str, tuple[Callable[[Pi], object], str, str, str]] = {
    # what is planted, then the severity, what is found and the fix that have to be told
    "too old a Python": (
        sets(python=(3, 9, 2), tags={}),
        "error",
        "3.9.2; expected 3.11",
        "bookworm",
    ),
    "too new a Python": (
        sets(python=(3, 14, 0), tags={}),
        "error",
        "3.14.0; expected",
        "trixie",
    ),
    "a 32-bit system": (sets(bits=32), "error", "32 bits", "64-bit Raspberry Pi OS"),
    "musl": (sets(glibc=""), "error", "not glibc", "Raspberry Pi OS"),
    "an old glibc": (sets(glibc="2.24"), "error", "glibc 2.24", "upgrade"),
    "no NEON": (lambda pi: pi.put("proc/cpuinfo", "Features : fp\n"), "error", "no NEON", "another board"),
    "wheels of another Python": (
        lambda pi: pi.tags.update(numpy=["cp313-cp313-manylinux_2_27_aarch64"]),
        *("error", "wheel is for cp313-cp313-manylinux_2_27_aarch64, this Python is cp311", "--force-reinstall numpy"),
    ),
    "wheels of another processor": (
        lambda pi: pi.tags.update({"opencv-python-headless": ["cp37-abi3-manylinux_2_28_x86_64"]}),
        *("error", "x86_64, this Python is cp311 aarch64", "--force-reinstall opencv-python-headless"),
    ),
    "both OpenCVs": (
        lambda pi: pi.tags.update({"opencv-python": ["cp37-abi3-manylinux_2_28_aarch64"]}),
        *("warning", "overwrite each other", "uninstall opencv-python"),
    ),
    "NumPy's ABI": (
        ends(
            "cv2", 1, "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.4\nImportError: numpy.core"
        ),
        *("error", "another NumPy (ABI)", '"numpy<2"'),
    ),
    "NumPy's ABI, said in passing": (
        ends("ai_edge_litert", 0, "AttributeError: _ARRAY_API not found"),
        *("error", "another NumPy (ABI)", '"numpy<2"'),
    ),
    "an illegal instruction": (
        ends("ai_edge_litert", -signal.SIGILL),
        *("error", "illegal instruction", "pip install"),
    ),
    "an illegal instruction while it reads": (
        ends("model", -signal.SIGILL),
        *("error", "illegal instruction while it reads", "use the other backend: onnx"),
    ),
    "no interpreter": (
        ends("ai_edge_litert", 1, "ModuleNotFoundError: No module named 'ai_edge_litert'"),
        *("error", "not installed", "pip install ai-edge-litert"),
    ),
    "no libGL": (
        ends("cv2", 1, "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"),
        *("error", "libGL.so.1 is missing", "apt install libgl1"),
    ),
    "too old a C library for a wheel": (
        ends("numpy", 1, UNDEFINED_SYMBOL),
        *("error", "newer C library", "upgrade to Raspberry Pi OS"),
    ),
    "an import that never ends": (ends("cv2", 124, "did not end in time"), "error", "in time", "check the SD card"),
    "a killed import": (ends("cv2", -signal.SIGKILL), "error", "ended with code -9", "--force-reinstall"),
    "no camera": (
        no_camera,
        *("warning", "none here", "plug in a USB webcam, or seat the ribbon cable"),
    ),
    "a locked camera": (
        lambda pi: pi.locked.add("/dev/video0"),
        *("error", "/dev/video0 (HD Webcam C270): this user may not open it", "usermod -aG video"),
    ),
    "Picamera2 for the system's Python alone": (
        picamera2_of_the_system,
        *("warning", "only the system's Python", "--system-site-packages"),
    ),
    "no Picamera2": (
        ends("picamera2", 1, "No module named 'picamera2'"),
        *("warning", "the Pi camera needs it", "apt install python3-picamera2"),
    ),
    "Picamera2 of another NumPy": (
        ends("picamera2", 1, "ValueError: numpy.dtype size changed, may indicate binary incompatibility"),
        *("warning", "another NumPy (ABI)", '"numpy<2"'),
    ),
    "no display": (sets(environment={}), "note", "no window can open", "--display none"),
    "powersave": (
        lambda pi: pi.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
        *("warning", "powersave", "scaling_governor"),
    ),
    "no list of cores": (
        lambda pi: pi.without("sys/devices/system/cpu/possible"),
        *("warning", "without its fast kernels", "mount /sys"),
    ),
    "heat": (lambda pi: pi.put("sys/class/thermal/thermal_zone0/temp", "84000"), "warning", "84 °C", "heat sink"),
    "under-voltage": (
        lambda pi: pi.programs.update(vcgencmd=Answer(0, "throttled=0x10001")),
        *("warning", "under-voltage now (0x10001)", "official power supply"),
    ),
    "throttling in the past": (
        lambda pi: pi.programs.update(vcgencmd=Answer(0, "throttled=0x40000")),
        *("warning", "throttled since it started", "heat sink"),
    ),
    "little memory": (lambda pi: pi.put("proc/meminfo", "MemAvailable: 92000 kB\n"), "warning", "89 MB free", "raspi"),
    "a full disk": (sets(free=3_000_000), "error", "3 MB free", "delete old recordings"),
    "a disk soon full": (sets(free=300_000_000), "warning", "300 MB free", "save-limit"),
    "a read-only folder": (sets(writable=False), "error", "cannot be written", "chown"),
    "the page's port taken": (
        lambda pi: pi.taken.update({8080: "Address already in use"}),
        *("warning", "8080 (port): Address already in use", "ss -ltnp"),
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_planted_trouble_is_found_alone_and_its_fix_is_named(
    name: str, pi: Pi, capsys: pytest.CaptureFixture[str]
) -> None:
    plant, severity, found, fix = TROUBLES[name]
    plant(pi)
    code, findings = told(pi, capsys)
    assert code == {"note": 0, "warning": 3, "error": 1}[severity]
    (finding,) = (finding for finding in findings if finding.severity != "ok" and finding.subject != "camera modes")
    assert finding.severity == severity
    assert found in finding.found
    assert fix in finding.fix


CONFIGURED: dict[str, tuple[str, Callable[[Pi], object], str, str, str]] = {
    # lines of the configuration, what is planted, then the severity, what is found and the fix
    "the metrics' port taken": (
        'metrics = "9464"',
        lambda pi: pi.taken.update({9464: "Address already in use"}),
        *("error", "127.0.0.1:9464 (metrics): Address already in use", "sport = :9464"),
    ),
    "no port": ('metrics = "94640"', lambda pi: None, "error", "'94640', which is no port", "0.0.0.0:9464"),
    "the broker away": (
        'mqtt = "mqtt://u:hunter2@broker.local"',
        sets(away="Connection refused"),
        *("warning", "broker.local:1883: Connection refused", "nc -vz broker.local 1883"),
    ),
    "no address of a broker": ('mqtt = "broker"', lambda pi: None, "error", "no address", "mqtt://broker.local"),
    "no number of a broker's port": ('mqtt = "mqtt://b:x"', lambda pi: None, "error", "no address", "mqtt://broker"),
    "a camera that is not here": (
        'source = "2"',
        lambda pi: None,
        *("warning", "reads /dev/video2, which is not here; found /dev/video0", "auto"),
    ),
    "an interpreter after its last Python": (
        'interpreter = "tflite-runtime"',
        sets(python=(3, 13, 1), tags={}),
        *("error", "no wheel after 3.11", "interpreter litert"),
    ),
}


@pytest.mark.parametrize("name", CONFIGURED)
@pytest.mark.parametrize("installed", [False, True], ids=["named", "installed"])
def test_a_trouble_of_what_the_configuration_asks_for_is_found(
    name: str, installed: bool, pi: Pi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, plant, severity, found, fix = CONFIGURED[name]
    plant(pi)
    path = tmp_path / "root/etc/edge-digits/service.toml" if installed else tmp_path / "mine.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines)
    code, findings = told(pi, capsys, *(() if installed else ("--config", str(path))))
    assert code == {"warning": 3, "error": 1}[severity]
    (finding,) = (finding for finding in findings if finding.severity != "ok")
    assert (finding.severity, found in finding.found, fix in finding.fix) == (severity, True, True)
    assert "hunter2" not in str(findings)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('sorce = "0"', "unknown key 'sorce'; did you mean source?"),
        ("min-confidence = 2", "min-confidence: "),
        ('source = "0"', "source"),
    ],
)
def test_options_that_the_service_would_refuse_are_found(
    line: str, found: str, pi: Pi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"{line}\n")
    pi.modules["configuration"] = Machine().run_python(_CONFIGURE.format(home=str(ROOT), file=str(path)))
    code, findings = told(pi, capsys, "--config", str(path))
    (finding,) = (finding for finding in findings if finding.subject == "configuration")
    wrong = found != "source"
    assert (code, finding.severity) == ((1, "error") if wrong else (0, "ok"))
    assert f"{path}: {found}" in finding.found
    assert bool(finding.fix) is wrong


def test_a_port_that_the_service_itself_has_is_no_trouble(
    pi: Pi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text('metrics = "9464"\nsource = "rtsp://camera/1"\n')
    pi.taken, pi.web = {9464: "Address already in use"}, '{"healthy": true}'
    pi.without("dev/video0")
    pi.programs.clear()  # a stream needs no camera here
    code, findings = told(pi, capsys, "--config", str(tmp_path / "mine.toml"))
    assert code == 0
    assert Finding("port", "ok", "9464: the service answers there") in findings


def test_an_archive_is_mended_by_the_archive(pi: Pi, capsys: pytest.CaptureFixture[str]) -> None:
    pi.archive = {"model": "edge", "backend": "onnx"}
    pi.modules["numpy"] = Answer(1, "ModuleNotFoundError: No module named 'numpy'")
    _, findings = told(pi, capsys)
    assert Finding("numpy", "error", "not installed", "unpack the archive anew and run its install.sh") in findings
    assert Finding("onnxruntime", "ok", "1.2.3") in findings


def test_the_worst_finding_decides_the_exit_code_and_the_last_line(pi: Pi, capsys: pytest.CaptureFixture[str]) -> None:
    pi.put("sys/class/thermal/thermal_zone0/temp", "84000")
    pi.free = 1
    assert main([], machine=pi) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "this computer cannot read digits yet (1 error, 1 warning)"
    assert sum(line.lstrip().startswith("fix: ") for line in lines) == 2


@pytest.mark.parametrize("options", [["--config", "none.toml"], ["--config", "bad.toml"], ["--backend", "cuda"]])
def test_wrong_usage_is_one_line(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text("source = \n")
    try:
        code: object = main(options)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def model_of(findings: list[Finding]) -> Finding:
    (finding,) = (finding for finding in findings if finding.subject == "model")
    return finding


class Real(Machine):
    """This computer, asked of its model alone, however long it takes."""

    def run(self, program: Sequence[str], seconds: float = 20) -> Answer:
        return NOT_THERE

    def run_python(self, code: str, seconds: float = 180) -> Answer:
        return Machine.run(self, [sys.executable, "-c", code], 900) if "load_bundle" in code else Answer(0, "")


def test_this_computer_reads_the_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    _, findings = told(Real(), capsys)
    assert model_of(findings).severity == "ok", findings
    assert {f.subject for f in findings if f.severity == "error"} == set()


@pytest.mark.parametrize("file", ["edge-int8.tflite", "edge-float32.onnx", "manifest.json", "golden.npz"])
def test_one_altered_byte_in_any_file_of_the_bundle_is_found(
    file: str, bundle_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_copy / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, findings = told(Real(), capsys, "--model", str(bundle_copy))
    assert code == 1
    assert model_of(findings).severity == "error"
    assert "restore the bundle" in model_of(findings).fix or "export the bundle again" in model_of(findings).fix


def test_a_model_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    _, findings = told(Real(), capsys, "--model", "nowhere")
    assert model_of(findings).severity == "error"
    assert "no model nowhere" in model_of(findings).found + model_of(findings).fix


def test_everything_that_the_runtime_needs_imports_here(capsys: pytest.CaptureFixture[str]) -> None:
    _, findings = told(Machine(), capsys)
    imports = {finding.subject: finding.severity for finding in findings}
    assert [imports[name] for name in ("numpy", "cv2", "ai_edge_litert")] == ["ok"] * 3, findings


def doctor(*python: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*python, "-m", "runtime.doctor"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_it_runs_where_nothing_else_is_installed() -> None:
    code, text = doctor(sys.executable, "-S")
    assert code in (1, 3)
    assert "C library" in text


def old_python() -> str:
    """A Python too old for this project; skips the test where there is none."""
    for name in ("python3.9", "python3.10"):
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip("no Python 3.9 or 3.10 here")


def test_it_runs_on_a_python_too_old_for_the_rest_and_says_so() -> None:
    code, text = doctor(old_python())
    assert code == 1
    assert re.search(r"ERROR +Python +3\.(9|10)\.\d+; expected 3\.11 to 3\.13", text)


class Probe(Machine):
    """The real probes, on files of a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root


def test_probes_say_nothing_of_what_is_not_there(tmp_path: Path) -> None:
    machine = Probe(tmp_path)
    assert machine.read("/proc/cpuinfo") == ""
    assert machine.matches("/dev/video*") == []
    assert machine.run(["no-such-program"]) == NOT_THERE
    assert machine.wheel_tags("no-such-distribution") == []
    assert machine.free_bytes(tmp_path / "not" / "there") > 0
    assert machine.may_write(tmp_path / "not" / "there")


def test_devices_are_listed_in_a_persons_order(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for number in (10, 2, 0):
        (tmp_path / f"dev/video{number}").touch()
    assert Probe(tmp_path).matches("/dev/video*") == ["/dev/video0", "/dev/video2", "/dev/video10"]


def test_what_kills_a_child_process_is_told_and_kills_nothing_else() -> None:
    illegal = Machine().run_python("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert illegal.code == -signal.SIGILL
    assert Machine().run_python("import time; time.sleep(60)", seconds=0.5).code == 124


def test_a_taken_port_a_silent_one_and_a_server_are_told_apart() -> None:
    machine = Machine()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert machine.port_taken("127.0.0.1", port)
        assert machine.unreachable("127.0.0.1", port) == ""
    assert machine.unreachable("127.0.0.1", port)
    assert machine.port_taken("127.0.0.1", port) == ""
    assert machine.ask(port, "/health") == ""
