"""Make one of the project's virtual environments: pinned versions, and an OpenCV that loads on this system.

    python3 tools/make_environment.py .venv-run --constraints constraints/device.txt --small
    python3 tools/make_environment.py .venv --constraints constraints/full.txt --extras onnx,mqtt,serve,train,dev

The Makefile calls it; standard library only, since it runs before anything is installed. What plain pip cannot do is
take ``opencv-python-headless`` where the libraries that ``opencv-python`` links are missing: a requirement cannot
depend on a shared library, and the two wheels must never be in one environment, because they write the same files.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DESKTOP_OPENCV = "opencv-python"
HEADLESS_OPENCV = "opencv-python-headless"

DESKTOP_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libSM.so.6": "libsm6",
    "libXext.so.6": "libxext6",
}
"""What opencv-python's wheel takes from the system, with Debian's package for it.

The first two are needed to import it at all; without the others it imports, and aborts the process when a window opens.
"""


def main(argv: list[str] | None = None) -> int:
    """Make or update the environment that the arguments describe."""
    parser = argparse.ArgumentParser(description="Make one of the project's virtual environments.")
    parser.add_argument("folder", type=Path, help="where the environment is made")
    parser.add_argument("--constraints", type=Path, required=True, help="file that pins every version")
    parser.add_argument("--extras", default="", help="extras of this project to install too, separated by commas")
    parser.add_argument(
        "--small", action="store_true", help="no byte code ahead of use, no setuptools: what a device should carry"
    )
    parser.add_argument(
        "--keep", action="store_true", help="update an environment that is there, rather than start anew"
    )
    options = parser.parse_args(argv)
    extras = [extra for extra in options.extras.split(",") if extra]
    try:
        make_environment(options.folder, options.constraints, extras, small=options.small, keep=options.keep)
    except subprocess.CalledProcessError as error:
        print(
            f"error: {options.folder} was not made: {shell_line(error.cmd)} ended with {error.returncode}; see above",
            file=sys.stderr,
        )
        return 1
    return 0


def make_environment(folder: Path, constraints: Path, extras: Iterable[str], *, small: bool, keep: bool) -> None:
    """Create ``folder``, install the requirements at their pinned versions, then this checkout in editable mode.

    Args:
        folder: the environment; a ``.stamp`` in it says that it is complete.
        constraints: pip constraints that hold a version for everything that may be installed.
        extras: names from ``[project.optional-dependencies]``.
        small: leave out what a device does not need.
        keep: leave an environment of the same Python version in place and change only what differs.

    Raises:
        subprocess.CalledProcessError: when venv or pip fails; it has said why.
    """
    stamp = folder / ".stamp"
    stamp.unlink(missing_ok=True)
    fresh = [] if keep and holds_this_python(folder) else ["--clear"]
    run([sys.executable, "-m", "venv", *fresh, str(folder)])
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip"]
    if small and sys.version_info < (3, 12):
        # Python 3.11 puts it into every environment; nothing on the device uses it.
        run([*pip, "uninstall", "--quiet", "--yes", "setuptools"])
    install = [*pip, "install", "--disable-pip-version-check"] + (["--no-compile"] if small else [])
    if not sys.stderr.isatty():
        install.append("--quiet")  # a person sees pip's progress, a log only what went wrong

    missing = missing_libraries()
    opencv, other = (HEADLESS_OPENCV, DESKTOP_OPENCV) if missing else (DESKTOP_OPENCV, HEADLESS_OPENCV)
    if missing:
        packages = " ".join(DESKTOP_LIBRARIES[name] for name in missing)
        print(
            f"note: no {', '.join(missing)} here, so installing {HEADLESS_OPENCV}: everything works but the window "
            f"(on Debian, `apt install {packages}` and `make clean-environments` bring it back)",
            file=sys.stderr,
        )
    if not fresh:
        run([*pip, "uninstall", "--quiet", "--yes", other])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [with_opencv(requirement, opencv) for requirement in requirements(project, extras)]
    run([*install, "--constraint", str(constraints), *wanted])
    # The build environment that pip makes for the editable install takes its pins from here (one name each for old and
    # new pip).
    pins = {"PIP_CONSTRAINT": str(constraints.resolve()), "PIP_BUILD_CONSTRAINT": str(constraints.resolve())}
    run([*install, "--no-deps", "--editable", str(ROOT)], environment=os.environ | pins)
    run([str(python), "-c", "import cv2"])
    stamp.touch()


def requirements(project: dict[str, object], extras: Iterable[str]) -> list[str]:
    """The requirement lines of the project and of the extras, with extras that name other extras resolved.

    Args:
        project: the ``[project]`` table of ``pyproject.toml``.
        extras: names from its ``optional-dependencies``.

    Raises:
        KeyError: when there is no such extra.
    """
    lines: list[str] = list(project["dependencies"])  # type: ignore[call-overload]
    optional: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    for extra in extras:
        for line in optional[extra]:
            nested = re.fullmatch(rf"{re.escape(str(project['name']))}\[(.+)\]", line)
            lines += requirements({**project, "dependencies": []}, nested[1].split(",")) if nested else [line]
    return list(dict.fromkeys(lines))


def with_opencv(requirement: str, opencv: str) -> str:
    """The same requirement, asking for the OpenCV wheel ``opencv`` where it asked for the desktop one."""
    return re.sub(rf"^{DESKTOP_OPENCV}(?![\w-])", opencv, requirement)


def missing_libraries(load: Callable[[str], object] = ctypes.CDLL) -> list[str]:
    """Which of the libraries that opencv-python links cannot be loaded; none on systems other than Linux."""
    if sys.platform != "linux":
        return []
    missing = []
    for name in DESKTOP_LIBRARIES:
        try:
            load(name)
        except OSError:
            missing.append(name)
    return missing


def holds_this_python(folder: Path) -> bool:
    """Whether ``folder`` is an environment of the Python version that runs this script."""
    return (folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages").is_dir()


def shell_line(command: Iterable[str]) -> str:
    """The command as one could type it, cut to a length that fits an error message."""
    text = " ".join(command)
    return text if len(text) <= 100 else text[:99] + "…"


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command whose failure ends the whole; what it prints goes to stderr, since `make run` prints readings."""
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
