"""The archive for a Raspberry Pi, and its install, here: other people's wheels stay this environment's own."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from export.pi import SYSTEMS, fetch_wheels, main, make_archive, pinned
from runtime.errors import DataError
from tests.proofs.updates import environment, kill_update, no_wheels, reseal, unpacked, works


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive("edge", "bookworm", "litert", tmp_path_factory.mktemp("archive"), no_wheels)


class Pi:
    """A root folder, and what ``install.sh`` did to it."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self.folder, self.archive, self.root = folder, archive, folder / "root"
        self.root.mkdir()
        self.settings = environment(self.root, folder / "tools")
        self.log = ""

    def release(self, name: str, note: str = "") -> Path:
        return unpacked(self.archive, self.folder / name, note)

    def install(self, release: Path, *options: str, **settings: str) -> int:
        return self.run(release / "install.sh", *(options or ("--no-service",)), **settings)

    def run(self, program: Path, *options: str, **settings: str) -> int:
        done = subprocess.run(
            [str(program), *options], env=self.settings | settings, capture_output=True, text=True, check=False
        )
        self.log = done.stdout + done.stderr
        return done.returncode

    @property
    def current(self) -> str:
        link = self.root / "opt/edge-digits/current"
        return link.readlink().name if link.is_symlink() else ""

    @property
    def versions(self) -> set[str]:
        return {path.name for path in (self.root / "opt/edge-digits/versions").iterdir()}


@pytest.fixture
def pi(tmp_path: Path, archive: Path) -> Pi:
    return Pi(tmp_path, archive)


@pytest.fixture
def health() -> Iterator[tuple[str, list[int]]]:
    """Where a service's health is asked, and the statuses that it answers with in turn."""
    status = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()
            status.append(status.pop(0))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/health", status
        server.shutdown()


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, archive: Path) -> None:
    again = make_archive("edge", "bookworm", "litert", tmp_path, no_wheels)
    assert again.read_bytes() == archive.read_bytes()


def test_it_holds_what_a_device_has_a_use_for(archive: Path, tmp_path: Path) -> None:
    release = unpacked(archive, tmp_path / "x")
    with tarfile.open(archive) as tar:
        assert all(entry.uid == entry.gid == 0 for entry in tar)
    (wheel,) = (release / "wheels").iterdir()
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    assert {name.split("/")[0] for name in names} == {"runtime", "benchmarks", "edge_digits-0.1.0.dist-info"}
    assert "runtime/models/edge/manifest.json" in names
    assert not any(name.endswith(".keras") for name in names)
    assert json.loads((release / "target.json").read_text())["python"] == "3.11"
    unit = (release / "edge-digits.service").read_text()
    assert "--model edge --backend litert" in unit
    assert "@" not in unit.replace("@system-service", "").replace("~@privileged @resources @mount @obsolete", "")


@pytest.mark.parametrize("system", SYSTEMS)
def test_versions_are_those_that_are_pinned(system: str) -> None:
    numpy, litert = pinned(SYSTEMS[system], ["numpy", "ai-edge-litert"])
    assert litert.startswith("ai-edge-litert==2.")
    # Picamera2 of bookworm was built for NumPy 1, that of trixie for NumPy 2.
    assert numpy.startswith({"bookworm": "numpy==1.", "trixie": "numpy==2."}[system])
    with pytest.raises(DataError, match="does not pin nonesuch"):
        pinned(SYSTEMS[system], ["nonesuch"])


def test_a_target_without_a_wheel_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = tmp_path / "index"
    index.mkdir()
    os_environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in os_environ.items():
            patch.setenv(name, value)
        assert main(["--os", "trixie", "--out", str(tmp_path)]) == 1
    line = capsys.readouterr().err
    assert line.startswith("error: no wheel of ")
    assert "Python 3.13 on aarch64 (trixie); choose another --os or --backend\n" in line
    assert line.count("\n") == 1
    assert fetch_wheels.__doc__


def test_install_update_and_uninstall(pi: Pi) -> None:
    first, second = pi.release("first"), pi.release("second", "later")
    assert pi.install(first) == 0, pi.log
    assert works(pi.root, pi.settings) == ""
    one = pi.current
    assert pi.install(first) == 0, pi.log
    assert "is already here" in pi.log
    assert pi.current == one
    assert pi.versions == {one}
    configuration = pi.root / "etc/edge-digits/service.toml"
    configuration.write_text('source = "0"\n')
    assert pi.install(second) == 0, pi.log
    assert pi.current != one
    assert pi.versions == {one, pi.current}
    assert configuration.read_text() == 'source = "0"\n'
    assert works(pi.root, pi.settings) == ""
    assert pi.install(second) == 0, pi.log
    assert pi.versions == {one, pi.current}
    third = pi.release("third", "latest")
    two = pi.current
    assert pi.install(third) == 0, pi.log
    assert pi.versions == {two, pi.current}
    assert pi.run(pi.root / "opt/edge-digits/current/uninstall.sh") == 0
    assert not (pi.root / "opt/edge-digits").exists()
    assert configuration.exists()


def test_what_was_altered_is_refused(pi: Pi) -> None:
    assert pi.install(pi.release("first")) == 0, pi.log
    before = pi.current
    altered = pi.release("altered")
    with (altered / "service.toml").open("a") as file:
        file.write("#")
    assert pi.install(altered) == 1
    assert "was altered" in pi.log
    more = pi.release("more")
    (more / "wheels" / "extra.whl").touch()
    assert pi.install(more) == 1
    assert "does not list" in pi.log
    # Vouched for anew, but not by the list of hashes that pip is given.
    other = pi.release("other")
    (wheel,) = (other / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    reseal(other)
    assert pi.install(other) == 1
    assert "pip could not install" in pi.log
    assert pi.current == before
    assert pi.versions == {before}


def test_a_service_that_does_not_get_well_is_rolled_back(pi: Pi, health: tuple[str, list[int]]) -> None:
    url, status = health
    service = {"EDGE_DIGITS_HEALTH": url}
    assert pi.install(pi.release("first"), "--health-seconds", "60", **service) == 0, pi.log
    before = pi.current
    unit = (pi.root / "etc/systemd/system/edge-digits.service").read_text()
    bad = pi.release("bad")
    (bad / "edge-digits.service").write_text(unit + "# broken\n")
    reseal(bad)
    assert pi.install(bad, "--health-seconds", "1", **service) == 1
    assert f"{before} is current again" in pi.log
    assert pi.current == before
    assert pi.versions == {before}
    assert (pi.root / "etc/systemd/system/edge-digits.service").read_text() == unit
    # Well for a moment only, again and again; then with frames before and none since, which 503 says.
    for statuses in ([200, 503], [200, *[503] * 60]):
        status[:] = statuses
        assert pi.install(pi.release(f"second {len(statuses)}", "later"), "--health-seconds", "4", **service) == 1
        assert pi.current == before
        assert pi.versions == {before}
    status[:] = [503]
    assert pi.install(pi.release("third", "latest"), "--health-seconds", "60", **service) == 0, pi.log
    assert "no frames come" in pi.log


@pytest.mark.parametrize("metrics", ['metrics = "0.0.0.0:{port}"', 'metrics = "{port}"', ""])
def test_health_is_asked_where_the_configuration_says(pi: Pi, health: tuple[str, list[int]], metrics: str) -> None:
    configuration = pi.root / "etc/edge-digits/service.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(metrics.format(port=urlsplit(health[0]).port))
    assert pi.install(pi.release("first"), "--health-seconds", "60") == 0, pi.log
    if metrics:
        # It is this one that is asked, not another.
        health[1][:] = [500]
        assert pi.install(pi.release("second", "later"), "--health-seconds", "1") == 1, pi.log


def test_an_update_cut_off_before_its_service_was_well_is_judged_by_what_was_before(
    pi: Pi, health: tuple[str, list[int]]
) -> None:
    service = {"EDGE_DIGITS_HEALTH": health[0]}
    assert pi.install(pi.release("first"), "--health-seconds", "60", **service) == 0, pi.log
    before = pi.current
    # The power goes as soon as the service is to be restarted.
    cut = pi.folder / "cut"
    cut.write_text('#!/bin/sh\n[ "$1" != restart ] || kill -9 "$(ps -o sid= $$ | tr -d " ")"\necho active\n')
    cut.chmod(0o755)
    second = pi.release("second", "later")
    command = ["setsid", "--wait", str(second / "install.sh")]
    subprocess.run(command, env=pi.settings | service | {"EDGE_DIGITS_SYSTEMCTL": str(cut)}, check=False)
    after = pi.current
    assert after != before
    health[1][:] = [500]
    assert pi.install(second, "--health-seconds", "1", **service) == 1
    assert f"{before} is current again" in pi.log
    assert pi.current == before
    assert pi.versions == {before}
    health[1][:] = [200]
    assert pi.install(second, "--health-seconds", "60", **service) == 0, pi.log
    assert pi.current == after


def test_a_version_that_was_damaged_is_installed_anew(pi: Pi) -> None:
    first = pi.release("first")
    assert pi.install(first) == 0, pi.log
    (model,) = (pi.root / "opt/edge-digits/current/site/runtime/models/edge").glob("*-int8.tflite")
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    assert works(pi.root, pi.settings)
    assert pi.install(first) == 0, pi.log
    assert "damaged" in pi.log
    assert works(pi.root, pi.settings) == ""
    assert pi.versions == {pi.current}


def test_wrong_use_is_one_line(pi: Pi) -> None:
    release = pi.release("first")
    assert pi.install(release, "--nonsense") == 2
    assert pi.install(release, "--health-seconds", "soon") == 2
    assert pi.install(release, EDGE_DIGITS_ANY_MACHINE="") == 1
    assert pi.log.startswith("error: this is ")
    assert pi.log.count("\n") == 1
    # A system of 32 bits on a kernel of 64.
    for name, script in {"uname": "echo aarch64", "python": "case $2 in *maxsize*) exit 1;; esac; echo 3.11"}.items():
        (pi.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (pi.folder / name).chmod(0o755)
    settings = {"PATH": f"{pi.folder}:{os.environ['PATH']}", "EDGE_DIGITS_PYTHON": str(pi.folder / "python")}
    assert pi.install(release, EDGE_DIGITS_ANY_MACHINE="", **settings) == 1
    assert pi.log == "error: this system has 32 bits, the archive is for aarch64; use the 64-bit Raspberry Pi OS\n"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_unit_may_do_little(system: str, tmp_path: Path) -> None:
    release = unpacked(make_archive("edge", system, "onnx", tmp_path, no_wheels), tmp_path / "x")
    done = subprocess.run(
        [*("systemd-analyze", "security", "--offline=yes", "--threshold=25"), str(release / "edge-digits.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout


def test_an_update_that_is_killed_leaves_a_version_that_works(pi: Pi) -> None:
    assert pi.install(pi.release("first")) == 0, pi.log
    for number, seconds in enumerate((0.3, 1.2)):
        kill_update(pi.release(f"killed {number}", f"release {number}"), pi.settings, seconds)
        assert works(pi.root, pi.settings) == ""
    assert pi.install(pi.release("last", "the last")) == 0, pi.log
    assert not [name for name in pi.versions if name.startswith(".")]
    assert len(pi.versions) == 2
