from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import pytest

from runtime.config import parse as parse_options
from runtime.errors import UsageError
from runtime.messages import messages_on_stderr
from runtime.options import (
    HelpFormatter,
    add_model_options,
    add_reading_options,
    positive_number,
    probability,
    recognizer_settings,
    region,
    size,
)
from runtime.quiet import native_stderr_silent
from runtime.values import Box


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(formatter_class=HelpFormatter, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--source", default="auto", help="where from")
    parser.add_argument("--size", type=size, default="640x480", help="how large")
    parser.add_argument("--rotate", type=int, choices=(0, 90), default=0, help="how turned")
    parser.add_argument("--fast", action="store_true", help="how fast")
    add_model_options(parser)
    add_reading_options(parser)
    return parser


def parse(parser: argparse.ArgumentParser, path: Path, toml: str, *flags: str) -> argparse.Namespace:
    path.write_text(toml, encoding="utf-8")
    return parse_options(parser, ["--config", str(path), *flags])


def test_a_configuration_has_the_names_of_the_flags_and_they_win_over_it(
    parser: argparse.ArgumentParser, tmp_path: Path
) -> None:
    toml = 'source = "clip.mp4"\nsize = "320x240"\nrotate = 90\nmin-confidence = 1\nroi = "1,2,3,4"\nfast = true\n'
    options = parse(parser, tmp_path / "c.toml", toml, "--source", "0", "--min-confidence", "0.25")
    assert (options.source, options.size, options.rotate, options.fast) == ("0", (320, 240), 90, True)
    assert options.threads == 1  # named by neither
    settings = recognizer_settings(options, track=False)
    assert (settings.min_confidence, settings.roi, settings.track) == (0.25, Box(1, 2, 3, 4), False)


def test_without_a_configuration_the_defaults_hold(parser: argparse.ArgumentParser) -> None:
    options = parse_options(parser, [])
    assert (options.source, options.size, options.min_confidence) == ("auto", (640, 480), None)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('souce = "0"', r"unknown key 'souce'; did you mean source\?"),
        ("zzz = 1", "unknown key 'zzz'; known are backend, "),
        ('config = "other.toml"', "unknown key 'config'"),
        ("[source]\nx = 1", "source is {'x': 1}; expected text in quotation marks"),
        ("source = 0", "source is 0; expected text in quotation marks"),
        ("threads = 1.5", r"threads is 1\.5; expected a whole number"),
        ("threads = true", "threads is True; expected a whole number"),
        ("threads = 0", "threads: '0' is not a whole number from 1"),
        ("fast = 1", "fast is 1; expected true or false"),
        ('size = "large"', "size: 'large' is not WIDTHxHEIGHT"),
        ("rotate = 45", "rotate is 45; expected one of 0, 90"),
        ("min-confidence = 2", "min-confidence: '2' is not from 0 to 1"),
        ("min_confidence = 0.5", r"unknown key 'min_confidence'; did you mean min-confidence\?"),
        ("= 1", "is not valid TOML"),
        ("source = '\x00'", "is not valid TOML"),
    ],
)
def test_the_key_that_is_wrong_is_named(
    parser: argparse.ArgumentParser, tmp_path: Path, toml: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse(parser, tmp_path / "c.toml", toml)
    assert str(tmp_path / "c.toml") in str(raised.value)


def test_a_missing_configuration_is_named(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(UsageError, match=r"cannot read the configuration gone\.toml: No such file"):
        parse_options(parser, ["--config=gone.toml"])


def test_bytes_that_are_no_text_are_refused(parser: argparse.ArgumentParser, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"source = '\xff\xfe'")
    with pytest.raises(UsageError, match="is not valid TOML"):
        parse_options(parser, ["--config", str(tmp_path / "c.toml")])


@pytest.mark.parametrize("text", ["640", "640x", "x480", "15x15", "640x10001", "-1x480", "6 40x480", "²0x480"])
def test_sizes_that_no_camera_has_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="WIDTHxHEIGHT such as 640x480"):
        size(text)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,2,3,4", "-1,2,3,4", "1,2,0,4", "1.5,2,3,4", ""])
def test_regions_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        region(text)


@pytest.mark.parametrize("text", ["nan", "-0.1", "1.1", "inf", "x"])
def test_no_such_probabilities(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        probability(text)


@pytest.mark.parametrize("text", ["nan", "0", "-1", "inf", "1e4", ""])
def test_no_such_rates(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        positive_number(text)


def test_a_value_that_begins_with_a_minus_reaches_its_option(parser: argparse.ArgumentParser) -> None:
    with pytest.raises(SystemExit):
        parse_options(parser, ["--roi", "-1,2,3,4"])
    assert parse_options(parser, ["--source", "-1.avi"]).source == "-1.avi"


def test_help_shows_each_default_that_there_is(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    for default in ("auto", "640x480", "0", "edge", "litert", "int8", "1"):
        assert f"(default: {default})" in text
    assert "None" not in text
    assert "False" not in text


def test_messages_are_single_lines_with_a_level_only_when_it_matters(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("runtime.anything")
    with messages_on_stderr():
        log.info("opening %s", "x")
        log.warning("slow")
    log.info("afterwards")
    assert capsys.readouterr() == ("", "opening x\nwarning: slow\n")


def test_native_code_is_silenced_for_a_while_only(capfd: pytest.CaptureFixture[str]) -> None:
    with native_stderr_silent():
        os.write(2, b"chatter\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"
