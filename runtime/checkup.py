"""What ``runtime.doctor`` looks at, one function a subject, each finding with its fix.

Like ``runtime.machine`` it has to run where anything else is broken: standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from runtime.machine import NOT_THERE, TOO_SLOW, Answer, Machine

if TYPE_CHECKING:  # Python 3.9 has no TypeAlias
    from typing import TypeAlias

Severity: TypeAlias = Literal["ok", "note", "warning", "error"]


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        subject: what it is about, in a word or two.
        severity: ``error`` keeps the kit from working, ``warning`` makes it work badly, ``note`` is good to know.
        found: what is so here.
        fix: what to do; empty where nothing has to be.
    """

    subject: str
    severity: Severity
    found: str
    fix: str = ""


class Plan(NamedTuple):
    """What this computer is to do.

    Attributes:
        model: name of a shipped bundle, or a bundle's folder.
        backend: ``litert`` or ``onnx``.
        interpreter: of the litert backend.
        state: folder that recordings and kept crops go to.
        config: what the service's configuration says; empty where there is none.
        config_file: where that is.
    """

    model: str
    backend: str
    interpreter: str
    state: Path
    config: dict[str, Any]
    config_file: str


def examine(machine: Machine, plan: Plan) -> list[Finding]:
    """Look at everything, in the order in which it matters."""
    return [finding for check in CHECKS for finding in check(machine, plan)]


_LEAST_MEMORY = 150
"""Megabytes that the service needs."""


def _system(machine: Machine, plan: Plan) -> Iterator[Finding]:
    release = dict(re.findall(r'^(\w+)="?(.*?)"?$', machine.read("/etc/os-release"), re.MULTILINE))
    board = machine.read("/proc/device-tree/model")
    name = release.get("PRETTY_NAME", "an unknown system")
    yield Finding("system", "ok", f"{name}, {machine.architecture}{f', {board}' if board else ''}")
    if machine.bits == 32:
        fix = "flash the 64-bit Raspberry Pi OS (Imager: Raspberry Pi OS Lite 64-bit)"
        if machine.architecture == "armv7l" and plan.interpreter == "tflite-runtime":
            yield Finding("32 bits", "note", "this Python has 32 bits, for which tflite-runtime alone has wheels")
        else:
            yield Finding("32 bits", "error", "this Python has 32 bits; LiteRT, ONNX Runtime and OpenCV need 64", fix)
    memory = re.search(r"^MemAvailable: +(\d+) kB", machine.read("/proc/meminfo"), re.MULTILINE)
    if memory and int(memory[1]) < _LEAST_MEMORY * 1024:
        fix = "end other programs, or boot without the desktop: sudo raspi-config nonint do_boot_behaviour B1"
        found = f"{int(memory[1]) // 1024} MB free; about {_LEAST_MEMORY} are needed"
        yield Finding("memory", "warning", found, fix)


def _processor(machine: Machine, plan: Plan) -> Iterator[Finding]:
    arm = machine.architecture in ("aarch64", "arm64")
    found = re.search(rf"^{'Features' if arm else 'flags'}\s*: (.*)$", machine.read("/proc/cpuinfo"), re.MULTILINE)
    has = set(found[1].split()) if found else set()
    if not found:
        yield Finding("processor", "note", f"{machine.architecture}; the system does not say what it can (emulated?)")
    elif arm:
        if "asimd" not in has:
            yield Finding("processor", "error", "no NEON (asimd), which every wheel is built for", "use another board")
            return
        fast = [name for flag, name in (("asimddp", "dot product"), ("i8mm", "i8mm")) if flag in has]
        yield Finding("processor", "ok", f"NEON{''.join(f', {name}' for name in fast)}")
    else:
        fast = [flag for flag in ("avx2", "avx512_vnni", "avx_vnni") if flag in has]
        yield Finding("processor", "ok", ", ".join(fast) or "no AVX2")
    # Without this list XNNPACK cannot count the cores, and LiteRT falls back to its slow kernels without a word.
    if plan.backend == "litert" and not machine.read("/sys/devices/system/cpu/possible"):
        fix = "mount /sys here: mount -t sysfs sysfs /sys, or --volume /sys:/sys:ro for a container"
        found_list = "the list of cores (/sys/devices/system/cpu) cannot be read: LiteRT runs without its fast kernels"
        yield Finding("cores", "warning", found_list, fix)
    governor = machine.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor == "powersave":
        fix = "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        yield Finding("governor", "warning", "powersave: the processor stays at its lowest frequency", fix)
    elif governor:
        yield Finding("governor", "ok", governor)


_PYTHONS = ((3, 11), (3, 13))
_GLIBC = (2, 28)


def _python(machine: Machine, plan: Plan) -> Iterator[Finding]:
    version = ".".join(map(str, machine.python))
    if not _PYTHONS[0] <= machine.python[:2] <= _PYTHONS[1]:
        fix = "use the system's own python3 of Raspberry Pi OS bookworm (3.11) or trixie (3.13)"
        yield Finding("Python", "error", f"{version}; expected 3.11 to 3.13", fix)
    elif plan.interpreter == "tflite-runtime" and machine.python[:2] > (3, 11):
        fix = "use interpreter litert, or Python 3.11"
        yield Finding("Python", "error", f"{version}; tflite-runtime has no wheel after 3.11", fix)
    else:
        yield Finding("Python", "ok", version)
    if not machine.glibc:
        fix = "use a system with glibc, such as Raspberry Pi OS; Alpine's musl has no wheels"
        yield Finding("C library", "error", "not glibc", fix)
    elif _numbers(machine.glibc) < _GLIBC:
        fix = "upgrade to Raspberry Pi OS bookworm or later"
        yield Finding("C library", "error", f"glibc {machine.glibc}; the wheels need 2.28", fix)
    else:
        yield Finding("C library", "ok", f"glibc {machine.glibc}")


_INTERPRETERS = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
_PACKAGES = {
    "numpy": ("numpy",),
    "cv2": ("opencv-python-headless", "opencv-python"),
    "onnxruntime": ("onnxruntime",),
    "ai_edge_litert.interpreter": ("ai-edge-litert",),
    "tflite_runtime.interpreter": ("tflite-runtime",),
}
_ABI = re.compile(r"_ARRAY_API|compiled using NumPy 1|multiarray failed to import|numpy\.dtype size changed")
_ILLEGAL = (-4, 132)
"""How a process ends that an illegal instruction killed, as Python and as a shell tell it."""


def _modules(machine: Machine, plan: Plan) -> Iterator[Finding]:
    for module in ("numpy", "cv2", "onnxruntime" if plan.backend == "onnx" else _INTERPRETERS[plan.interpreter]):
        subject, packages = module.split(".")[0], _PACKAGES[module]
        wheels = {package: machine.wheel_tags(package) for package in packages}
        answer = machine.run_python(f"import {module} as m; print(getattr(m, '__version__', ''))")
        foreign = [(package, tags) for package, tags in wheels.items() if tags and not _fits(tags, machine)]
        if foreign:
            package, tags = foreign[0]
            ours = f"cp{machine.python[0]}{machine.python[1]} {machine.architecture}"
            fix = _install(
                machine, f"--force-reinstall {package}", "install the archive for this system: export.pi --os"
            )
            yield Finding(subject, "error", f"its wheel is for {tags[0]}, this Python is {ours}", fix)
        # tflite-runtime's import succeeds with a NumPy that it cannot use, and only says so.
        elif answer.code == 0 and not _ABI.search(answer.text):
            yield Finding(subject, "ok", answer.text.splitlines()[-1] if answer.text else "imports")
        else:
            yield Finding(subject, "error", *_why_not(module, answer, machine))
        if sum(bool(tags) for tags in wheels.values()) > 1:
            fix = f"{_pip(machine)} uninstall opencv-python opencv-python-headless, then install the headless one"
            yield Finding(subject, "warning", f"{' and '.join(packages)} overwrite each other's files", fix)


def _fits(tags: list[str], machine: Machine) -> bool:
    """Whether one of a wheel's tags, interpreter-abi-platform (PEP 425), is for this Python."""
    ours = f"cp{machine.python[0]}{machine.python[1]}"
    for tag in tags:
        interpreter, abi, platform = [*tag.split("-"), "", ""][:3]
        version = re.match(r"cp3(\d+)", interpreter)
        stable = abi == "abi3" and version is not None and int(version[1]) <= machine.python[1]
        if (interpreter == ours or stable or "py3" in interpreter) and platform.endswith(("any", machine.architecture)):
            return True
    return False


def _why_not(module: str, answer: Answer, machine: Machine) -> tuple[str, str]:
    """What an import that failed says, and the fix."""
    package, pip, text = _PACKAGES[module][0], _pip(machine), answer.text
    if answer.code in _ILLEGAL:
        older = f'{pip} install "{package}<VERSION" with the last version that ran here, or the other --backend'
        return "illegal instruction: its wheel is built for a newer processor", older
    if _ABI.search(text):
        return (
            "built for another NumPy (ABI)",
            f'{pip} install "numpy<2" "opencv-python-headless<5", or a newer {package}',
        )
    library = re.search(r"(lib\S+?\.so[.\d]*): cannot open shared object", text)
    if library:
        packages = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}
        if module == "cv2":
            fix = (
                f"sudo apt install {packages.get(library[1], 'libgl1 libglib2.0-0')}, or {pip} uninstall opencv-python "
            )
            return f"{library[1]} is missing", fix + f"and {pip} install opencv-python-headless"
        return f"{library[1]} is missing", f"apt-file search {library[1]}, and install what has it"
    if re.search(r"(GLIBC|GLIBCXX|CXXABI)_[\d.]+. not found", text):
        return "its wheel needs a newer C library", "upgrade to Raspberry Pi OS bookworm or later"
    if re.search(rf"No module named '{module.split('.')[0]}'", text):
        return "not installed", _install(machine, package)
    if answer in (TOO_SLOW, NOT_THERE):
        return answer.text, "try again with nothing else running; check the SD card"
    last = text.splitlines()[-1][:160] if text else f"ended with code {answer.code}"
    return last, _install(machine, f"--force-reinstall {package}")


def _install(machine: Machine, packages: str, archive: str = "unpack the archive anew and run its install.sh") -> str:
    """How to install packages, here where pip brought this project, or an archive did."""
    return archive if machine.archive else f"{_pip(machine)} install {packages}"


def _pip(machine: Machine) -> str:
    return f"python{machine.python[0]}.{machine.python[1]} -m pip"


_LOAD = """
import sys
sys.path[:0] = [{home!r}]
from runtime import EdgeDigitsError, load_classifier
from runtime.bundle import load_bundle
try:
    bundle = load_bundle({model!r})
    for artifact in bundle.manifest.artifacts:
        bundle.read(artifact)
    classifier = load_classifier({model!r}, **{options!r})
except EdgeDigitsError as error:
    sys.exit(str(error))
print(f"{{len(bundle.manifest.artifacts)}} files whole, {{classifier.artifact.name}} answers its golden vectors")
"""


def _model(machine: Machine, plan: Plan) -> Iterator[Finding]:
    options = {"backend": plan.backend}
    if plan.backend == "litert":
        options["interpreter"] = plan.interpreter
    answer = machine.run_python(_LOAD.format(home=str(machine.home), model=plan.model, options=options))
    last = answer.text.splitlines()[-1] if answer.text else f"loading ended with code {answer.code}"
    if answer.code == 0:
        yield Finding("model", "ok", f"{plan.model}: {last}")
    elif answer.code in _ILLEGAL:
        other = "litert" if plan.backend == "onnx" else "onnx"
        yield Finding("model", "error", "illegal instruction while it reads", f"use the other backend: {other}")
    elif answer in (TOO_SLOW, NOT_THERE):
        yield Finding("model", "error", answer.text, "try again with nothing else running; check the SD card")
    elif "No module named" in last or _ABI.search(answer.text):
        yield Finding("model", "error", "not tried: what it needs does not import", "mend that first, see above")
    else:
        found, _, fix = last.rpartition("; ")
        yield Finding("model", "error", found or last, fix if found else "install the archive again")


_CONFIGURE = """
import sys
sys.path[:0] = [{home!r}]
from runtime.camera import main
sys.exit(main(["--config", {file!r}, "--help"]))
"""


def _configuration(machine: Machine, plan: Plan) -> Iterator[Finding]:
    if not plan.config:
        return
    answer = machine.run_python(_CONFIGURE.format(home=str(machine.home), file=plan.config_file))
    if answer.code == 0:
        yield Finding("configuration", "ok", f"{plan.config_file}: {', '.join(plan.config)}")
    elif answer.code == 2 and answer.text:  # of anything else there are findings above
        found = answer.text.splitlines()[-1].removeprefix("error: ")
        fix = f"edit {plan.config_file}; until then the service does not start"
        yield Finding("configuration", "error", found, fix)


def _camera(machine: Machine, plan: Plan) -> Iterator[Finding]:
    source = str(plan.config.get("source", ""))
    webcams = []
    for device in machine.matches("/dev/video*"):
        name = machine.read(f"/sys/class/video4linux/{device[5:]}/name")
        # A Raspberry Pi's own codecs and image processor are video devices too.
        if not re.match(r"bcm2835-(codec|isp)|rpi-hevc|pispbe|rp1-cfe|unicam", name):
            webcams.append((device, name))
    for device, name in webcams:
        if not machine.may_read(device):
            fix = "sudo usermod -aG video $USER, then log in again"
            yield Finding("camera", "error", f"{device} ({name}): this user may not open it", fix)
            continue
        modes = machine.run(["v4l2-ctl", "--device", device, "--list-formats-ext"])
        sizes = re.findall(r"Size: Discrete (\d+x\d+)", modes.text) if modes.code == 0 else []
        kinds = re.findall(r"'(\w{4})'", modes.text) if modes.code == 0 else []
        if modes.code == 0 and not kinds:
            continue  # a webcam's second device, for metadata
        told = f": {', '.join(dict.fromkeys(kinds))} up to {max(sizes, key=_area)}" if sizes else ""
        yield Finding("camera", "ok", f"{device} ({name}){told}")
        if modes == NOT_THERE:
            yield Finding("camera modes", "note", "v4l2-ctl is not installed", "sudo apt install v4l-utils shows them")
    ribbon = _ribbon(machine)
    if ribbon:
        yield Finding("Pi camera", "ok", ", ".join(ribbon))
        yield from _picamera2(machine)
    wanted = f"/dev/video{source}" if source.isdecimal() else source
    if wanted.startswith("/dev/") and wanted not in [device for device, _ in webcams]:
        there = ", ".join(device for device, _ in webcams) or "none"
        fix = "plug it in, or change source in the configuration: auto takes the first that works"
        yield Finding("camera", "warning", f"the configuration reads {wanted}, which is not here; found {there}", fix)
    elif not webcams and not ribbon and not re.match(r"\w+://", source):
        fix = "plug in a USB webcam, or seat the ribbon cable (contacts toward the board) and reboot"
        yield Finding("camera", "warning", "none here", fix)


def _ribbon(machine: Machine) -> list[str]:
    """Sensors on a Raspberry Pi's camera connectors, as libcamera's own program lists them."""
    for program in ("rpicam-hello", "libcamera-hello"):
        answer = machine.run([program, "--list-cameras"])
        if answer != NOT_THERE:
            return re.findall(r"^\d+ : (\w+)", answer.text, re.MULTILINE)
    return []


def _picamera2(machine: Machine) -> Iterator[Finding]:
    answer = machine.run_python("import picamera2")
    if answer.code == 0:
        yield Finding("Picamera2", "ok", "imports")
    elif _ABI.search(answer.text):
        fix = f'{_pip(machine)} install "numpy<2" "opencv-python-headless<5", as the archive for bookworm has them'
        yield Finding("Picamera2", "warning", "built for another NumPy (ABI)", fix)
    elif machine.run(["/usr/bin/python3", "-c", "import picamera2"]).code == 0:
        fix = "make the environment with python3 -m venv --system-site-packages"
        yield Finding("Picamera2", "warning", "only the system's Python sees it, not this one", fix)
    else:
        fix = "sudo apt install python3-picamera2"
        yield Finding("Picamera2", "warning", "not installed, and the Pi camera needs it", fix)


def _display(machine: Machine, plan: Plan) -> Iterator[Finding]:
    shown = machine.environment.get("DISPLAY") or machine.environment.get("WAYLAND_DISPLAY")
    fix = "use --display none, or look from another computer: python -m runtime.serve"
    yield Finding("display", "ok", shown) if shown else Finding("display", "note", "none: no window can open", fix)


_HEAT = 80
"""Degrees Celsius at which a Raspberry Pi begins to slow down."""

_COOLING = "fit a heat sink or a fan, and give it air"
_POWER = (
    (0, 16, "under-voltage", "use the official power supply and a short cable"),
    (2, 18, "throttled", _COOLING),
    (1, 17, "frequency capped", _COOLING),
)
"""Bits of ``vcgencmd get_throttled``: now, and since it started (Raspberry Pi's documentation of vcgencmd)."""


def _heat(machine: Machine, plan: Plan) -> Iterator[Finding]:
    readings = [machine.read(path) for path in machine.matches("/sys/class/thermal/thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in readings if re.fullmatch(r"\d+", text)]
    if degrees:
        hot = max(degrees) >= _HEAT
        yield Finding("temperature", "warning" if hot else "ok", f"{max(degrees):.0f} °C", _COOLING if hot else "")
    bits = re.search(r"throttled=(0x[0-9a-fA-F]+)", machine.run(["vcgencmd", "get_throttled"]).text)
    if bits:
        set_bits = int(bits[1], 16)
        for now, since, found, fix in _POWER:
            when = "now" if set_bits >> now & 1 else "since it started" if set_bits >> since & 1 else ""
            if when:
                yield Finding("power", "warning", f"{found} {when} ({bits[1]})", fix)
        if not set_bits:
            yield Finding("power", "ok", "never throttled, voltage good")


_FULL, _TIGHT = 50, 500
"""Megabytes free."""


def _disk(machine: Machine, plan: Plan) -> Iterator[Finding]:
    free = machine.free_bytes(plan.state) / 1e6
    severity: Severity = "error" if free < _FULL else "warning" if free < _TIGHT else "ok"
    fix = "" if severity == "ok" else "delete old recordings, or set save-limit; df -h shows which disk is full"
    yield Finding("disk", severity, f"{free:.0f} MB free for {plan.state}", fix)
    if not machine.may_write(plan.state):
        fix = f"sudo chown $USER {plan.state}, or name another folder; a read-only SD card: see dmesg"
        yield Finding("state folder", "error", f"{plan.state} cannot be written by this user", fix)


def _port(machine: Machine, plan: Plan) -> Iterator[Finding]:
    # The page's usual one, and what the configuration names.
    asked = {"port": "8080"} | {key: str(plan.config[key]) for key in ("port", "metrics") if key in plan.config}
    for key, text in asked.items():
        host, _, port = text.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if not port.isdecimal() or int(port) > 65535:
            fix = 'write it as "9464" or "0.0.0.0:9464"'
            yield Finding("port", "error", f"{key} is {text!r}, which is no port", fix)
            continue
        trouble = machine.port_taken(host, int(port))
        if not trouble:
            yield Finding("port", "ok", f"{port} is free ({key})")
        elif '"healthy"' in machine.ask(int(port), "/health"):
            yield Finding("port", "ok", f"{port}: the service answers there")
        else:
            fix = f"stop what listens there (sudo ss -ltnp 'sport = :{port}'), or set another {key}"
            severity: Severity = "error" if key in plan.config else "warning"
            yield Finding("port", severity, f"{host}:{port} ({key}): {trouble}", fix)


def _broker(machine: Machine, plan: Plan) -> Iterator[Finding]:
    if "mqtt" not in plan.config:
        return
    try:
        broker = urlsplit(str(plan.config["mqtt"]))
        host, port = broker.hostname or "", broker.port or (8883 if broker.scheme == "mqtts" else 1883)
    except ValueError:
        host, port = "", 0
    if not host:
        fix = 'write it as "mqtt://broker.local" or "mqtts://user:secret@broker.local:8883"'
        yield Finding("broker", "error", "mqtt in the configuration is no address", fix)
        return
    trouble = machine.unreachable(host, port)
    fix = f"start the broker, and check its name and the firewall: nc -vz {host} {port}"
    if trouble:
        yield Finding("broker", "warning", f"{host}:{port}: {trouble}", fix)
    else:
        yield Finding("broker", "ok", f"{host}:{port} listens")


Check: TypeAlias = Callable[[Machine, Plan], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    *(_system, _processor, _python, _modules, _model),
    *(_configuration, _camera, _display, _heat, _disk, _port, _broker),
)
"""Every check, in the order in which their findings are told."""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _area(size: str) -> int:
    width, height = _numbers(size)
    return width * height
