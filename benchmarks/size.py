"""What reading digits takes on disk: each artifact, each interpreter's package, and all that a device needs."""

from __future__ import annotations

import gzip
import importlib.metadata
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import runtime
from benchmarks.graph import Graph, count_onnx, count_tflite
from runtime.bundle import MANIFEST, Artifact, Bundle

OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Distributions that bring ``cv2``; at most one of them should be installed."""

INTERPRETER_PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime", "onnxruntime": "onnxruntime"}
"""Distribution of each interpreter."""


@dataclass(frozen=True, slots=True)
class ArtifactSize:
    """An artifact's file, in bytes.

    Attributes:
        model: the bundle's name.
        artifact: name in its manifest.
        file: in the bundle's folder.
        bytes: as it is.
        gzip_bytes: under gzip at its strongest.
        graph: what is in it, counted; None where nothing here can read it.
    """

    model: str
    artifact: str
    file: str
    bytes: int
    gzip_bytes: int
    graph: Graph | None


@dataclass(frozen=True, slots=True)
class PackageSize:
    """An installed distribution: the bytes of the files that its own record lists."""

    package: str
    version: str
    bytes: int


@dataclass(frozen=True, slots=True)
class DeviceSize:
    """All that a device needs with one interpreter.

    Attributes:
        interpreter: the only one.
        packages: the distributions that it takes: NumPy, OpenCV, the interpreter and whatever these require.
        bytes: of these, this project's ``runtime`` and the bundle with all its artifacts; not of Python itself.
    """

    interpreter: str
    packages: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Size:
    """The size benchmark.

    Attributes:
        artifacts: model files, of all bundles.
        bundle_bytes: of the first bundle's files, its manifest and golden vectors.
        runtime_bytes: the source files of the ``runtime`` package.
        packages: what a device may need, as installed here.
        devices: the total for each interpreter that is installed here.
    """

    artifacts: tuple[ArtifactSize, ...]
    bundle_bytes: int
    runtime_bytes: int
    packages: tuple[PackageSize, ...]
    devices: tuple[DeviceSize, ...]


def measure_size(chosen: Sequence[tuple[Bundle, Sequence[Artifact]]]) -> Size:
    """Measure files and installed packages.

    Args:
        chosen: bundles, whose files are verified as they are read, and their artifacts to list; the total always counts
            all of the first.

    Raises:
        BundleError: a file is missing or altered.
    """
    bundle = chosen[0][0]
    files = {artifact.file for artifact in bundle.manifest.artifacts} | {MANIFEST, bundle.manifest.golden}
    bundle_bytes = sum((bundle.folder / file).stat().st_size for file in files)
    runtime_bytes = sum(path.stat().st_size for path in Path(runtime.__file__).parent.glob("*.py"))
    base = [name for name in ("numpy", *OPENCV) if _installed(name)]
    interpreters = {name: package for name, package in INTERPRETER_PACKAGES.items() if _installed(package)}
    packages = {name: package_size(name) for name in required_packages([*base, *interpreters.values()])}
    devices = []
    for name, package in interpreters.items():
        needed = required_packages([*base, package])
        total = sum(packages[needs].bytes for needs in needed) + runtime_bytes + bundle_bytes
        devices.append(DeviceSize(name, needed, total))
    return Size(
        tuple(artifact_size(each, artifact) for each, artifacts in chosen for artifact in artifacts),
        bundle_bytes,
        runtime_bytes,
        tuple(packages.values()),
        tuple(devices),
    )


def artifact_size(bundle: Bundle, artifact: Artifact) -> ArtifactSize:
    """Size of an artifact's file, plain and compressed.

    Raises:
        BundleError: the file is missing or altered.
    """
    content = bundle.read(artifact)
    graph = count_onnx(content) if artifact.backend == "onnx" else count_tflite(content)
    packed = len(gzip.compress(content, 9, mtime=0))
    return ArtifactSize(bundle.manifest.name, artifact.name, artifact.file, len(content), packed, graph)


def package_size(package: str) -> PackageSize:
    """Size of an installed distribution; 0 bytes where its installer (apt) left no record of its files.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    distribution = importlib.metadata.distribution(package)
    paths = (Path(str(file.locate())) for file in distribution.files or ())
    return PackageSize(package, distribution.version, sum(path.stat().st_size for path in paths if path.is_file()))


def required_packages(packages: Iterable[str]) -> tuple[str, ...]:
    """Distributions and all that they require as far as it is installed; what only an extra requires is left out."""
    found: list[str] = []
    waiting = list(packages)
    while waiting:
        package = waiting.pop(0)
        if package in found or not _installed(package):
            continue
        found.append(package)
        for line in importlib.metadata.requires(package) or ():
            # Conditions other than extras hold here if what they require is installed, near enough.
            name = re.match(r"[A-Za-z0-9._-]+", line)
            if name and "extra ==" not in line:
                waiting.append(re.sub(r"[-_.]+", "-", name[0]).lower())
    return tuple(found)


def _installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
