"""``python -m runtime.doctor``: what keeps this computer from reading digits, or from doing so well, and the fix."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from runtime.errors import UsageError, run_command
from runtime.machine import NOT_THERE, TOO_SLOW, Answer, Machine

Severity: TypeAlias = Literal["ok", "note", "warning", "error"]

MARKS: dict[Severity, str] = {"ok": "ok", "note": "note", "warning": "WARNING", "error": "ERROR"}

EXIT_CODES: dict[Severity, int] = {"ok": 0, "note": 0, "warning": 3, "error": 1}
"""By the worst that was found; 2 is wrong usage."""

_ORDER: tuple[Severity, ...] = ("ok", "note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Finding:
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What this computer is to do.

    Attributes:
        model: name of a shipped bundle, or a bundle's folder.
        backend: ``litert`` or ``onnx``.
        interpreter: of the litert backend.
        state: folder that recordings and kept crops go to.
        config: what the service's configuration says.
    """

    model: str
    backend: str
    interpreter: str
    state: Path
    config: dict[str, Any]


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
        config = _config(options.config) if options.config else {}
        plan = Plan(
            options.model or str(config.get("model", "edge")),
            options.backend or str(config.get("backend", "litert")),
            str(config.get("interpreter", "litert")),
            options.state,
            config,
        )
        findings = examine(machine or Machine(), plan)
        worst = max((finding.severity for finding in findings), key=_ORDER.index)
        if options.json:
            print(json.dumps({"worst": worst, "findings": [asdict(finding) for finding in findings]}, indent=1))
        else:
            print(_told(findings, worst))
        return EXIT_CODES[worst]

    return run_command(command)


def examine(machine: Machine, plan: Plan) -> list[Finding]:
    """Look at everything, in the order in which it matters."""
    return [finding for check in CHECKS for finding in check(machine, plan)]


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
    if memory and int(memory[1]) < _LEAST_MEMORY // 1024:
        fix = "end other programs, or boot without the desktop: sudo raspi-config nonint do_boot_behaviour B1"
        yield Finding("memory", "warning", f"{int(memory[1]) // 1024} MB free; about 150 MB are needed", fix)


_LEAST_MEMORY = 150 * 2**20


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
    governor = machine.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor == "powersave":
        fix = "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        yield Finding("governor", "warning", "powersave: the processor stays at its lowest frequency", fix)
    elif governor:
        yield Finding("governor", "ok", governor)


_PYTHONS = ((3, 11), (3, 13))


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


_GLIBC = (2, 28)


def _modules(machine: Machine, plan: Plan) -> Iterator[Finding]:
    interpreter = "onnxruntime" if plan.backend == "onnx" else _INTERPRETERS[plan.interpreter]
    for module in ("numpy", "cv2", interpreter):
        answer = machine.run_python(f"import {module} as m; print(getattr(m, '__version__', ''))")
        if answer.code == 0:
            yield Finding(module, "ok", answer.text.splitlines()[-1] if answer.text else "imports")
            continue
        found, fix = _why_not(module, answer)
        yield Finding(module, "error", found, fix)


_INTERPRETERS = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
_PACKAGES = {
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "onnxruntime": "onnxruntime",
    "ai_edge_litert.interpreter": "ai-edge-litert",
    "tflite_runtime.interpreter": "tflite-runtime",
}


def _why_not(module: str, answer: Answer) -> tuple[str, str]:
    """What an import that failed says, and the fix."""
    package, text = _PACKAGES[module], answer.text
    if answer.code in (-4, 132):
        return "illegal instruction: its wheel is built for a newer processor", f"pip install an older {package}"
    if re.search(r"_ARRAY_API|compiled using NumPy 1|multiarray failed to import", text):
        return (
            "built for another NumPy (ABI)",
            f'pip install "numpy<2" "opencv-python-headless<5", or a newer {package}',
        )
    library = re.search(r"(lib\S+?\.so[.\d]*): cannot open shared object", text)
    if library:
        packages = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}
        if module == "cv2":
            fix = f"sudo apt install {packages.get(library[1], 'libgl1 libglib2.0-0')}, or pip uninstall opencv-python "
            return f"{library[1]} is missing", fix + "and pip install opencv-python-headless"
        return f"{library[1]} is missing", f"apt-file search {library[1]}, and install what has it"
    if re.search(r"GLIBC(XX)?_[\d.]+. not found", text):
        return "its wheel needs a newer C library", "upgrade to Raspberry Pi OS bookworm or later"
    if "No module named" in text:
        return "not installed", f"pip install {package}"
    if answer in (TOO_SLOW, NOT_THERE):
        return answer.text, "try again with nothing else running; check the SD card"
    last = text.splitlines()[-1][:160] if text else f"ended with code {answer.code}"
    return last, f"pip install --force-reinstall {package}"


def _model(machine: Machine, plan: Plan) -> Iterator[Finding]:
    asked = {"model": plan.model, "backend": plan.backend, "interpreter": plan.interpreter}
    if plan.backend == "onnx":
        del asked["interpreter"]
    # Loading verifies the hashes and asks the golden vectors.
    answer = machine.run_python(
        "import sys\n"
        f"sys.path[:0] = {[str(Path(__file__).resolve().parents[1])]!r}\n"
        "from runtime import EdgeDigitsError, load_classifier\n"
        f"asked = {asked!r}\n"
        "try:\n    classifier = load_classifier(asked.pop('model'), **asked)\n"
        "except EdgeDigitsError as error:\n    sys.exit(str(error))\n"
        "print(classifier.artifact.name, classifier.artifact.sha256[:12])\n"
    )
    if answer.code == 0:
        yield Finding("model", "ok", f"{plan.model}: {answer.text.splitlines()[-1]}…, golden vectors answered")
    elif answer.code in (-4, 132):
        fix = "use the other backend: --backend onnx" if plan.backend == "litert" else "use --backend litert"
        yield Finding("model", "error", "illegal instruction while it reads", fix)
    else:
        last = answer.text.splitlines()[-1] if answer.text else f"loading ended with code {answer.code}"
        found, _, fix = last.rpartition("; ")
        altered = re.search(r"altered|does not answer|is not a manifest|not a complete", last)
        fix = f"{fix}: install the archive again" if altered else fix or "install the archive again"
        yield Finding("model", "error", found or last, fix)


def _camera(machine: Machine, plan: Plan) -> Iterator[Finding]:
    webcams = []
    for device in machine.list("/dev/video*"):
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
    program = next(
        (name for name in ("rpicam-hello", "libcamera-hello") if machine.run([name, "--version"]).code == 0), ""
    )
    ribbon = re.findall(r"^\d+ : (\w+)", machine.run([program, "--list-cameras"]).text, re.MULTILINE) if program else []
    if ribbon:
        yield Finding("Pi camera", "ok", ", ".join(ribbon))
        if machine.run_python("import picamera2").code != 0:
            if machine.run(["/usr/bin/python3", "-c", "import picamera2"]).code == 0:
                fix = "make the environment with python3 -m venv --system-site-packages"
                yield Finding("Picamera2", "warning", "only the system's Python sees it, not this one", fix)
            else:
                yield Finding("Picamera2", "warning", "not installed", "sudo apt install python3-picamera2")
    if not webcams and not ribbon:
        where = f"; the configuration reads {plan.config['source']}" if "source" in plan.config else ""
        remote = re.match(r"\w+://", str(plan.config.get("source", "")))
        fix = "plug in a USB webcam, or seat the ribbon cable (contacts toward the board) and reboot"
        yield Finding("camera", "note" if remote else "warning", f"none here{where}", "" if remote else fix)


def _display(machine: Machine, plan: Plan) -> Iterator[Finding]:
    shown = machine.environment.get("DISPLAY") or machine.environment.get("WAYLAND_DISPLAY")
    fix = "use --display none, or look from another computer: python -m runtime.serve"
    yield Finding("display", "ok", shown) if shown else Finding("display", "note", "none: no window can open", fix)


_HEAT = 80
_THROTTLED = (
    (0, "under-voltage now", "use the official power supply and a short cable"),
    (2, "throttled now", "fit a heat sink or a fan"),
    (1, "frequency capped now", "fit a heat sink or a fan"),
    (16, "under-voltage since it started", "use the official power supply and a short cable"),
    (18, "throttled since it started", "fit a heat sink or a fan"),
)


def _heat(machine: Machine, plan: Plan) -> Iterator[Finding]:
    readings = [machine.read(path) for path in machine.list("/sys/class/thermal/thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in readings if re.fullmatch(r"\d+", text)]
    if degrees:
        hot = max(degrees) >= _HEAT
        fix = "fit a heat sink or a fan, and give it air" if hot else ""
        yield Finding("temperature", "warning" if hot else "ok", f"{max(degrees):.0f} °C", fix)
    answer = machine.run(["vcgencmd", "get_throttled"])
    bits = re.search(r"throttled=(0x[0-9a-fA-F]+)", answer.text)
    if bits:
        seen = [(found, fix) for bit, found, fix in _THROTTLED if int(bits[1], 16) >> bit & 1]
        for found, fix in seen[:2]:
            yield Finding("power", "warning", f"{found} ({bits[1]})", fix)
        if not seen:
            yield Finding("power", "ok", "never throttled, voltage good")


_FULL, _TIGHT = 50 * 10**6, 500 * 10**6


def _disk(machine: Machine, plan: Plan) -> Iterator[Finding]:
    free = machine.free_bytes(plan.state)
    told = f"{free / 1e6:.0f} MB free for {plan.state}"
    fix = "delete old recordings, or set save-limit; df -h shows which disk is full"
    severity: Severity = "error" if free < _FULL else "warning" if free < _TIGHT else "ok"
    yield Finding("disk", severity, told, "" if severity == "ok" else fix)
    if not machine.may_write(plan.state):
        fix = f"sudo chown $USER {plan.state}, or name another folder"
        yield Finding("state folder", "error", f"{plan.state} cannot be written by this user", fix)


def _network(machine: Machine, plan: Plan) -> Iterator[Finding]:
    for key, usual in (("metrics", 9464), ("port", 8000)):
        if key not in plan.config:
            continue
        host, _, port = str(plan.config[key]).rpartition(":")
        number = int(port) if port.isdecimal() else usual
        trouble = machine.port_taken(host or "127.0.0.1", number)
        if trouble and '"healthy"' in machine.ask(number, "/health"):
            yield Finding("port", "ok", f"{number}: the service answers there")
            continue
        fix = f"stop what listens there (sudo ss -ltnp 'sport = :{number}'), or set another {key}"
        if trouble:
            yield Finding("port", "error", f"{host or '127.0.0.1'}:{number}: {trouble}", fix)
        else:
            yield Finding("port", "ok", f"{number} is free")
    if "mqtt" in plan.config:
        broker = urlsplit(str(plan.config["mqtt"]))
        host, number = broker.hostname or "", broker.port or (8883 if broker.scheme == "mqtts" else 1883)
        trouble = machine.unreachable(host, number)
        fix = f"start the broker, and check its name and the firewall: nc -vz {host} {number}"
        if trouble:
            yield Finding("broker", "warning", f"{host}:{number}: {trouble}", fix)
        else:
            yield Finding("broker", "ok", f"{host}:{number} listens")


Check: TypeAlias = Callable[[Machine, Plan], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    *(_system, _processor, _python, _modules, _model),
    *(_camera, _display, _heat, _disk, _network),
)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _area(size: str) -> int:
    width, height = _numbers(size)
    return width * height


def _told(findings: Sequence[Finding], worst: Severity) -> str:
    width = max(len(finding.subject) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.severity]:>7}  {finding.subject:<{width}}  {finding.found}")
        if finding.fix:
            lines.append(f"{'':>7}  {'':<{width}}  fix: {finding.fix}")
    counts = Counter(finding.severity for finding in findings)
    told = [f"{n} {severity}{'s' if n > 1 else ''}" for severity in ("error", "warning") if (n := counts[severity])]
    verdict = {
        "error": "this computer cannot read digits yet",
        "warning": "it works, but not as well as it could",
    }.get(worst, "all is well")
    return "\n".join([*lines, "", f"{verdict} ({', '.join(told)})" if worst in ("error", "warning") else verdict])


def _config(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtime.doctor",
        description="Say what keeps this computer from reading digits, or from doing so well, and how to mend it.",
        epilog="exit code: 0 all well, 1 something keeps it from working, 3 something makes it work badly",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="NAME", help="a shipped model, or the folder of a bundle; edge unless named")
    parser.add_argument("--backend", choices=("litert", "onnx"), help="what is to run it; litert unless named")
    parser.add_argument(
        "--config", metavar="FILE", help="the service's configuration: its broker, port and model are looked at"
    )
    parser.add_argument(
        "--state", type=Path, default=Path.cwd(), metavar="DIR", help="folder that recordings and crops go to"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
