"""The project as it is installed: environments, pins, wheel, and what may be in the repository."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
DEVICE_PYTHON = ROOT / ".venv-run" / "bin" / "python"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

NEVER_ON_DEVICE = ("tensorflow", "keras", "onnx", "tf2onnx")
DEVICE_MEGABYTES = 330
EXTRAS_OF = {
    "device.txt": ["onnx", "mqtt", "serve"],
    "full.txt": ["onnx", "mqtt", "serve", "train", "dev"],
    "tflite-runtime.txt": ["tflite-runtime", "onnx", "mqtt", "serve", "test"],
}

RUNTIME_MODULES = sorted(path.stem for path in (ROOT / "runtime").glob("[!_]*.py"))


def has_main(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


RUNTIME_COMMANDS = [name for name in RUNTIME_MODULES if has_main(ROOT / "runtime" / f"{name}.py")]
# What each command of training needs to be given before it would do anything.
TRAIN_ARGUMENTS = {"train.scenes": ["--out", "frames"], "train.kaggle": ["train.csv", "test.csv"]}
TRAIN_COMMANDS = [
    "train" if path.stem == "__main__" else f"train.{path.stem}"
    for path in sorted((ROOT / "train").glob("*.py"))
    if has_main(path)
]


@pytest.fixture(scope="module")
def device_python() -> Path:
    """The interpreter of the environment that `make run` makes."""
    if not DEVICE_PYTHON.exists():
        message = "no environment with only the device dependencies; `make environments` makes it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return DEVICE_PYTHON


@pytest.fixture(scope="module")
def make_environment() -> ModuleType:
    """The script behind the Makefile's environments, as a module."""
    spec = importlib.util.spec_from_file_location("make_environment", ROOT / "tools" / "make_environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def run_python(python: Path, *arguments: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the interpreter without the caller's own Python settings and without a display."""
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [str(python), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


# --- the device's environment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", RUNTIME_MODULES)
def test_a_runtime_module_imports_with_only_the_device_dependencies(
    device_python: Path, module: str, tmp_path: Path
) -> None:
    code = f"import sys, runtime.{module}; print(*[name for name in {NEVER_ON_DEVICE} if name in sys.modules])"
    done = run_python(device_python, "-W", "error", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("command", RUNTIME_COMMANDS)
def test_a_command_shows_its_help_with_only_the_device_dependencies(
    device_python: Path, command: str, tmp_path: Path
) -> None:
    done = run_python(device_python, "-m", f"runtime.{command}", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: python -m runtime.{command} ")
    assert done.stderr == ""


@pytest.mark.parametrize("command", TRAIN_COMMANDS)
def test_a_command_of_training_explains_itself_and_names_what_it_lacks_on_a_device(
    device_python: Path, command: str, tmp_path: Path
) -> None:
    helped = run_python(device_python, "-m", command, "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "None" not in helped.stdout
    done = run_python(device_python, "-m", command, *TRAIN_ARGUMENTS.get(command, []), cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(r'error: [\w, ]+ (is|are) not installed; pip install "edge-digits\[train\]"\n', done.stderr)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("export", ["--run", "run"]),
        ("export.verify", []),
        ("export.verify", ["--reference", "onnx", "--sets", "demo"]),
        ("export.verify", ["--reference", "onnx", "--sets", "demo", "--out", "report"]),
    ],
)
def test_a_command_of_export_explains_itself_and_names_what_it_lacks_on_a_device(
    device_python: Path, command: str, arguments: list[str], tmp_path: Path
) -> None:
    helped = run_python(device_python, "-m", command, "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.keras").touch()
    (run / "history.json").write_text('{"settings": {"epochs": 1}, "augmentation": {}, "epochs": [{}]}')
    done = run_python(device_python, "-m", command, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    extra = "verify" if command.endswith("verify") else "train"
    expected = rf'error: (cannot export: )?[\w, -]+ (is|are) not installed; pip install "edge-digits\[{extra}\]"\n'
    assert re.fullmatch(expected, done.stderr), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_commands_were_found() -> None:
    assert {"camera", "image"} <= set(RUNTIME_COMMANDS)
    assert {"train", "train.scenes"} <= set(TRAIN_COMMANDS)


def test_importing_the_runtime_loads_neither_an_interpreter_nor_opencv(device_python: Path, tmp_path: Path) -> None:
    code = "import sys, runtime; print(*sorted({'cv2', 'ai_edge_litert', 'onnxruntime'} & set(sys.modules)))"
    done = run_python(device_python, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_device_environment_holds_the_pinned_versions_and_one_opencv(device_python: Path, tmp_path: Path) -> None:
    code = "import importlib.metadata as m; print(*[f'{d.name}=={d.version}' for d in m.distributions()])"
    installed = dict(line.split("==") for line in run_python(device_python, "-c", code, cwd=tmp_path).stdout.split())
    versions: dict[str, str] = {canonicalize_name(name): version for name, version in installed.items()}
    assert len({"opencv-python", "opencv-python-headless"} & set(versions)) == 1
    del versions["edge-digits"], versions["pip"]
    pins = pins_of("device.txt", installed_python(device_python))
    assert versions.items() <= pins.items()


def test_the_device_environment_is_small_enough(device_python: Path) -> None:
    environment = device_python.parent.parent
    blocks = sum(path.lstat().st_blocks for path in environment.rglob("*"))
    assert blocks * 512 / 2**20 <= DEVICE_MEGABYTES


# --- making environments ----------------------------------------------------------------------------------------------


def load_only(*present: str) -> Any:
    """A loader of shared libraries on a system that has only those named."""

    def load(name: str) -> None:
        if name not in present:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    return load


@pytest.mark.skipif(sys.platform != "linux", reason="the wheels of other systems bring their libraries")
def test_what_a_system_lacks_for_the_desktop_opencv_is_found(make_environment: ModuleType) -> None:
    everything = tuple(make_environment.DESKTOP_LIBRARIES)
    assert make_environment.missing_libraries(load_only(*everything)) == []
    assert make_environment.missing_libraries(load_only(*everything[1:])) == ["libGL.so.1"]
    assert make_environment.missing_libraries(load_only()) == list(everything)


def test_the_headless_opencv_takes_the_place_of_the_desktop_one(make_environment: ModuleType) -> None:
    lines = make_environment.requirements(PROJECT, ["tflite-runtime"])
    headless = [make_environment.with_opencv(line, "opencv-python-headless") for line in lines]
    names = [Requirement(line).name for line in headless if "opencv" in line]
    assert set(names) == {"opencv-python-headless"}
    assert make_environment.with_opencv("opencv-python-headless>=5", "opencv-python-headless").count("headless") == 1


def test_an_extra_that_names_another_brings_its_requirements(make_environment: ModuleType) -> None:
    project = {
        "name": "thing",
        "dependencies": ["a"],
        "optional-dependencies": {"outer": ["thing[inner]", "b"], "inner": ["c>=1"]},
    }
    assert make_environment.requirements(project, ["outer", "inner"]) == ["a", "c>=1", "b"]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, even where a make runs these tests."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_make_names_the_pythons_it_works_with_when_given_another(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = make("run", f"PYTHON={old}", f"VENV_RUN={tmp_path / 'environment'}")
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith("error: edge-digits needs Python 3.11, 3.12 or 3.13, found Python 3.9.2")
    assert not (tmp_path / "environment").exists()


def test_make_alone_explains_its_targets() -> None:
    done = make()
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^  ([a-z-]+) ", done.stdout, flags=re.MULTILINE)
    assert {"run", "test", "check", "proof", "train", "export", "bench", "wheel", "clean"} <= set(listed)


# --- pins -------------------------------------------------------------------------------------------------------------


def installed_python(python: Path) -> str:
    """The version of an interpreter, such as ``3.11``."""
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def pins_of(constraints: str, python: str) -> dict[str, str]:
    """Canonical name to version, of the pins that hold on that Python."""
    pins: dict[str, str] = {}
    for line in constraint_lines(constraints):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            pins[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    return pins


def constraint_lines(name: str) -> list[str]:
    lines = (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def flattened(extras: list[str]) -> Iterator[Requirement]:
    """The project's requirements with those of the extras and of the extras that these name."""
    for line in [
        *PROJECT["dependencies"],
        *(line for name in extras for line in PROJECT["optional-dependencies"][name]),
    ]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            yield from flattened(sorted(requirement.extras))
        else:
            yield requirement


@pytest.mark.parametrize("constraints", EXTRAS_OF)
def test_constraints_are_versions_and_nothing_else(constraints: str) -> None:
    assert constraints in {path.name for path in (ROOT / "constraints").iterdir()}
    for line in constraint_lines(constraints):
        assert re.fullmatch(r'[\w.-]+==[\w.]+( ; python_version (<|>=) "3\.\d+")?', line), line


@pytest.mark.parametrize(
    ("constraints", "python"),
    [(name, python) for name in ("device.txt", "full.txt") for python in ("3.11", "3.12", "3.13")]
    + [("tflite-runtime.txt", "3.11")],
)
def test_every_requirement_has_a_pin_that_satisfies_it(constraints: str, python: str) -> None:
    pins = pins_of(constraints, python)
    for requirement in flattened(EXTRAS_OF[constraints]):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, requirement
        assert requirement.specifier.contains(version), (requirement, version)
    assert pins["opencv-python"] == pins["opencv-python-headless"]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_device_and_the_full_environment_share_their_pins(python: str) -> None:
    assert pins_of("device.txt", python).items() <= pins_of("full.txt", python).items()


# --- the wheel --------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_the_packages_and_the_bundles_without_their_keras_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"runtime", "train", "export", "benchmarks"}
    packed = {name.removeprefix("runtime/") for name in names if name.startswith("runtime/models/")}
    shipped = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "models").rglob("*")
        if path.is_file() and path.suffix != ".keras"
    }
    assert packed == shipped
    assert "models/edge/manifest.json" in packed
    assert [
        name for name in names if name.endswith(".keras") or re.search(r"(^|/)(tests?/|test_|conftest)", name)
    ] == []


def test_the_wheel_reads_its_demo_outside_the_checkout(wheel: Path, device_python: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    where = run_python(device_python, "-c", "import runtime; print(runtime.__file__)", cwd=elsewhere, path=site)
    assert Path(where.stdout.strip()).is_relative_to(site)
    camera = ("-m", "runtime.camera", "--source", "demo", "--display", "none", "--max-frames", "20")
    done = run_python(device_python, *camera, cwd=elsewhere, path=site)
    assert done.returncode == 0, done.stderr


# --- what may be in the repository ------------------------------------------------------------------------------------


def repository_files() -> list[Path]:
    """What git tracks, and what it would with the next commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def repository_lines() -> Iterator[tuple[str, str]]:
    """Each line of text in the repository, with where it is."""
    for path in repository_files():
        data = path.read_bytes()
        if b"\0" in data or path == Path(__file__):
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def test_no_file_names_a_package_registry() -> None:
    registry = re.compile(
        r"(?i)pypi\.(org|python\.org)|python[h]osted\.org|registry\.n[p]mjs|deb(ian)?\.org/debian|(extra-)?index-url|find-links"
    )
    assert [where for where, line in repository_lines() if registry.search(line)] == []


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    # A Raspberry Pi's own /home/pi is documentation, and this project has a folder of its own there.
    machine = re.compile(r"(?<![\w.~/-])/(work|root|opt(?!/edge-digits)|Users)/\w|(?<![\w.~-])/home/(?!pi\b)\w|/tmp/\w")
    assert [where for where, line in repository_lines() if machine.search(line)] == []


def test_no_file_is_a_data_set() -> None:
    idx = (b"\x00\x00\x08\x01", b"\x00\x00\x08\x03")
    for path in repository_files():
        assert not re.search(r"ubyte|mnist.*\.(npz|gz|csv|parquet)$", path.name), path
        with path.open("rb") as file:
            assert file.read(4) not in idx, path
