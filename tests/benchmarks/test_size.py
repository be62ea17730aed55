from __future__ import annotations

import gzip
import importlib.metadata
import sys
from pathlib import Path

import pytest

from benchmarks.size import measure_size, package_size, required_packages
from runtime.bundle import MANIFEST, Bundle, load_bundle


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def install(site: Path, name: str, version: str, files: dict[str, bytes], requires: tuple[str, ...] = ()) -> None:
    """Put a distribution into a folder as pip would, record and all."""
    information = site / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir(parents=True)
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    (information / "METADATA").write_text("\n".join(metadata) + "\n")
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
    (information / "RECORD").write_text("".join(f"{path},,\n" for path in files))


def test_an_artifacts_size_is_its_files(bundle: Bundle) -> None:
    size = measure_size([(bundle, bundle.manifest.artifacts)])
    assert [entry.artifact for entry in size.artifacts] == [artifact.name for artifact in bundle.manifest.artifacts]
    for entry in size.artifacts:
        path = bundle.folder / entry.file
        assert entry.bytes == path.stat().st_size
        assert entry.model == "edge"
        assert entry.graph is not None
        assert entry.graph.weight_bytes < entry.bytes
        assert entry.gzip_bytes == len(gzip.compress(path.read_bytes(), 9, mtime=0))


def test_the_bundle_counts_what_a_device_gets_and_nothing_else(bundle: Bundle) -> None:
    files = [artifact.file for artifact in bundle.manifest.artifacts] + [MANIFEST, bundle.manifest.golden]
    expected = sum((bundle.folder / file).stat().st_size for file in files)
    assert measure_size([(bundle, bundle.manifest.artifacts[:1])]).bundle_bytes == expected


def test_a_device_is_the_sum_of_its_parts(bundle: Bundle) -> None:
    size = measure_size([(bundle, ())])
    bytes_of = {package.package: package.bytes for package in size.packages}
    assert {device.interpreter for device in size.devices} <= {"litert", "tflite-runtime", "onnxruntime"}
    assert size.devices
    for device in size.devices:
        assert "numpy" in device.packages
        assert any(package.startswith("opencv") for package in device.packages)
        assert device.bytes == sum(bytes_of[name] for name in device.packages) + size.runtime_bytes + size.bundle_bytes


def test_a_packages_size_is_that_of_the_files_in_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "thing", "1.2", {"thing/a.py": b"12345", "thing/b.so": bytes(1000)})
    (tmp_path / "thing" / "unrecorded").write_bytes(bytes(77))
    (tmp_path / "thing" / "a.py").write_bytes(b"123")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = package_size("thing")
    assert (found.version, found.bytes) == ("1.2", 1003)


def test_a_recorded_file_that_is_gone_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "thing", "1.2", {"thing/a.py": b"12345", "thing/b.py": b"1"})
    (tmp_path / "thing" / "a.py").unlink()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert package_size("thing").bytes == 1


def test_a_package_that_is_not_installed_is_an_error_here() -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        package_size("no-such-thing-as-this")


def test_what_is_required_is_followed_but_not_extras_nor_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "top", "1", {}, ("Middle_Part>=2", 'sidecar; extra == "more"', 'missing; python_version < "3"'))
    install(tmp_path, "middle-part", "2", {}, ("bottom[x]~=1.0", "top"))
    install(tmp_path, "bottom", "1", {})
    install(tmp_path, "sidecar", "1", {})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert required_packages(["top", "absent-altogether"]) == ("top", "middle-part", "bottom")
