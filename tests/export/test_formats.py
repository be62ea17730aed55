from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from export.formats import DEFAULT_FORMATS, FORMATS, parse_formats
from export.packages import OLDEST, check_packages
from runtime.backends import BACKENDS
from runtime.errors import BackendError, UsageError

PYPROJECT = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")


class TestFormats:
    def test_each_name_is_a_backend_and_a_precision_of_its_own(self) -> None:
        parts = [name.split("-", 1) for name in FORMATS]
        assert {backend for backend, _ in parts} == set(BACKENDS)
        assert set(DEFAULT_FORMATS) < set(FORMATS)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("all", tuple(FORMATS)),
            ("onnx-int8, litert-int8", ("litert-int8", "onnx-int8")),
            ("litert-dynamic,litert-dynamic,", ("litert-dynamic",)),
        ],
    )
    def test_a_list_is_read_in_the_order_of_the_bundle(self, text: str, expected: tuple[str, ...]) -> None:
        assert parse_formats(text) == expected

    @pytest.mark.parametrize(("text", "found"), [("int8", "'int8'"), ("", "no format named"), ("all,int8", "'all'")])
    def test_what_is_no_format_is_named_beside_those_there_are(self, text: str, found: str) -> None:
        with pytest.raises(UsageError, match=found) as caught:
            parse_formats(text)
        assert all(name in str(caught.value) for name in FORMATS)


class TestPackages:
    def test_the_oldest_versions_are_those_that_an_install_asks_for(self) -> None:
        asked = dict(re.findall(r'^    "([a-z0-9-]+)>=([\d.]+)[";]', PYPROJECT, re.MULTILINE))
        asked |= dict(re.findall(r'^onnx = \["(onnxruntime)>=([\d.]+)"\]', PYPROJECT, re.MULTILINE))
        assert {name: asked[name] for name in OLDEST} == OLDEST

    def test_the_versions_here_are_told(self) -> None:
        found = check_packages()
        assert set(found) == set(OLDEST)

    @pytest.mark.parametrize(
        ("installed", "fits"),
        [("2.21.0", True), ("2.100.0rc1", True), ("3.0", True), ("2.9.3", False), ("1.99", False)],
    )
    def test_versions_are_compared_as_numbers(self, installed: str, fits: bool) -> None:
        if fits:
            assert check_packages({"tensorflow": "2.21"}, lambda name: installed) == {"tensorflow": installed}
            return
        with pytest.raises(BackendError, match=rf"tensorflow is {installed}, 2\.21 or later is needed"):
            check_packages({"tensorflow": "2.21"}, lambda name: installed)

    def test_every_wrong_package_is_named_in_one_line(self) -> None:
        def installed(name: str) -> str:
            if name == "keras":
                raise PackageNotFoundError(name)
            return "0.1"

        with pytest.raises(BackendError) as caught:
            check_packages({"tensorflow": "2.21", "keras": "3.12"}, installed)
        assert "tensorflow is 0.1" in str(caught.value)
        assert "keras is not installed" in str(caught.value)
        assert "\n" not in str(caught.value)
