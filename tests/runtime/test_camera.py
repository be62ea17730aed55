from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from runtime.camera import main
from runtime.capture import SourceSettings
from runtime.errors import SourceError
from runtime.files import VideoSource
from runtime.live import LiveSource
from runtime.pipeline import run
from runtime.sources import DemoSource, FrameSource, open_source
from runtime.stopping import StopSignals
from runtime.values import Frame, Image, Result
from tests.runtime.fakes import ListSource, SevenReader, drawn, nothing, sheet


class Command:
    """The command with a classifier and, if given, a source of the test's own."""

    def __init__(self, source: FrameSource | None = None) -> None:
        self.source = source
        self.text, self.settings, self.demo_allowed = "", SourceSettings(), False
        self.out = io.StringIO()

    def __call__(self, *argv: str) -> int:
        def open_frames(text: str, settings: SourceSettings, *, allow_demo: bool) -> FrameSource:
            self.text, self.settings, self.demo_allowed = text, settings, allow_demo
            return open_source(text, settings, allow_demo=allow_demo) if self.source is None else self.source

        return main(["--display", "none", *argv], load=SevenReader, open_frames=open_frames, stdout=self.out)


class TestCommand:
    def test_json_lines_go_to_stdout_and_nothing_else_does(self) -> None:
        command = Command(ListSource([sheet((40, 60), (70, 60)), sheet()]))
        assert command("--source", "x", "--json", "-") == 0
        lines = [json.loads(line) for line in command.out.getvalue().splitlines()]
        assert [line["frame"] for line in lines] == [0, 1]
        assert list(lines[0]) == [
            *("frame", "seconds", "source", "width", "height", "readings", "unsure", "numbers", "milliseconds")
        ]
        assert [reading["label"] for reading in lines[0]["readings"]] == ["7", "7"]
        assert [number["text"] for number in lines[0]["numbers"]] == ["77"]
        assert lines[1]["source"] == "list"

    def test_without_window_and_json_a_line_tells_what_changed(self, capsys: pytest.CaptureFixture[str]) -> None:
        pictures = [sheet((40, 60), (70, 60))] * 20 + [sheet((40, 60))] * 40
        command = Command(ListSource(pictures))
        assert command("--source", "x") == 0
        lines = command.out.getvalue().splitlines()
        assert lines[0] == "    0.0 s  77"
        assert lines[-1].endswith(" s  7")
        assert len(lines) <= 3
        assert "60 frames in" in capsys.readouterr().err

    def test_a_recording_shows_each_frame(self, tmp_path: Path) -> None:
        command = Command(ListSource([sheet((40, 60))] * 6))
        assert command("--source", "x", "--record", str(tmp_path / "out.mkv")) == 0
        with VideoSource("out", cv2.VideoCapture(str(tmp_path / "out.mkv"), cv2.CAP_FFMPEG)) as recorded:
            frames = list(recorded)
        assert len(frames) == 6
        blue = frames[0].color
        assert blue is not None
        assert (blue[:, :, 0].astype(int) - blue[:, :, 2] > 100).any()  # the box that no bar of the sheet has

    def test_options_reach_the_source(self, tmp_path: Path) -> None:
        command = Command(ListSource([sheet()]))
        flags = ["--source", "0", "--size", "320x200", "--fps", "15", "--rotate", "90", "--flip", "--wait"]
        assert command(*flags, "--exposure", "12.5", "--give-up-seconds", "60", "--frozen-seconds", "0") == 0
        assert (command.text, command.demo_allowed) == ("0", True)
        assert command.settings == SourceSettings(
            *((320, 200), 15.0, 90, "horizontal", 12.5, None, False, True), give_up_seconds=60, frozen_seconds=0
        )

    @pytest.mark.parametrize(("flags", "color"), [([], False), (["--record", "out.mkv"], True)])
    def test_color_is_asked_for_where_pictures_are_shown(
        self, flags: list[str], color: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        command = Command(ListSource([]))
        assert command("--source", "0", *flags) == 0
        assert command.settings.color is color

    @pytest.mark.parametrize("flags", [["--json"], ["--record", "out.mkv"], ["--save-unsure", "crops"]])
    def test_the_demo_is_not_allowed_where_results_are_kept(
        self, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        command = Command(ListSource([]))
        assert command(*flags) == 0
        assert command.demo_allowed is False

    def test_the_demo_ends_with_its_score(self) -> None:
        page = sheet((40, 60), (160, 60)), (drawn("7", 40, 60), drawn("1", 160, 60))
        command = Command(DemoSource(frames=[page] * 12))
        assert command("--source", "demo") == 0
        last = command.out.getvalue().splitlines()[-1]
        assert last.startswith("demo: 24 digits in 12 frames: ")
        assert "12 right (50.00 %), 12 wrong, 0 missed, 0 invented; " in last
        assert last.endswith(" frames per second (recognition alone)")

    def test_with_json_lines_on_stdout_the_score_goes_to_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        command = Command(DemoSource(frames=[(sheet(), ())]))
        assert command("--source", "demo", "--json", "-") == 0
        assert len(command.out.getvalue().splitlines()) == 1
        assert "demo: 0 digits in 1 frames" in capsys.readouterr().err

    def test_a_region_of_interest_hides_the_rest(self) -> None:
        command = Command(ListSource([sheet((40, 60), (200, 60))]))
        assert command("--source", "x", "--json", "-", "--roi", "120,0,200,240") == 0
        (line,) = map(json.loads, command.out.getvalue().splitlines())
        assert len(line["readings"]) == 1
        assert line["readings"][0]["box"][0] >= 195

    def test_a_configuration_is_read_and_flags_win(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('source = "1"\nfps = 5\nsize = "320x240"\n')
        command = Command(ListSource([sheet()]))
        assert command("--config", str(tmp_path / "c.toml"), "--fps", "10") == 0
        assert (command.text, command.settings.fps, command.settings.size) == ("1", 10.0, (320, 240))

    def test_a_source_that_raises_midway_is_one_line_and_all_is_let_go(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source = ListSource([sheet()] * 3, SourceError("camera 0 stopped delivering pictures after 3"))
        path = tmp_path / "out.jsonl"
        assert Command(source)("--source", "0", "--json", str(path)) == 1
        assert source.exited
        assert len(path.read_text().splitlines()) == 3
        assert capsys.readouterr().err == "error: camera 0 stopped delivering pictures after 3\n"

    def test_the_capture_thread_ends_with_the_command(self) -> None:
        class Camera:
            released = False

            def read(self) -> tuple[bool, Image]:
                time.sleep(0.001)
                return True, sheet()

            def release(self) -> None:
                self.released = True

        camera = Camera()
        assert Command(LiveSource("fake", lambda: camera))("--source", "0", "--max-frames", "3") == 0
        assert camera.released
        assert not [thread for thread in threading.enumerate() if thread.name == "capture fake"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder full of what users point at by mistake, made the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    (tmp_path / "zero.png").touch()
    (tmp_path / "notes.txt").write_text("no video\n" * 99)
    (tmp_path / "empty").mkdir()
    (tmp_path / "typo.toml").write_text('souce = "demo"')
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (40_000).to_bytes(4, "big") * 2
    (tmp_path / "huge.png").write_bytes(header + b"\x08\0\0\0\0")
    cv2.imwrite(str(tmp_path / "sheet.png"), sheet((40, 60)))
    writer = cv2.VideoWriter("clip.avi", cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for _ in range(30):
        writer.write(sheet((40, 60)))
    writer.release()
    whole = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["--source", "87"], 1, "no camera at /dev/video87 (present: "),
        (["--source", "gone.mp4"], 1, "cannot open gone.mp4: No such file or directory"),
        (["--source", "zero.png"], 1, "zero.png is empty: 0 bytes"),
        (["--source", "notes.txt"], 1, "notes.txt is neither a video nor a picture"),
        (["--source", "empty"], 1, "no pictures in empty"),
        (["--source", "huge.png"], 1, "huge.png has 40000 x 40000 = 1600 million pixels"),
        (["--source", "cut.avi"], 1, "of 30 pictures: the file is cut off or damaged"),
        (["--source", "demo", "--rotate", "180"], 2, "the demo is drawn upright"),
        (
            ["--source", "clip.avi", "--record", "clip.avi"],
            2,
            "clip.avi is the --source, which it would overwrite",
        ),
        (["--json", "a.mkv", "--record", "a.mkv"], 2, "--record a.mkv is written by --json, which it would"),
        (["--source", "demo", "--record", "out.wmv"], 1, "its name must end in .mkv, .mp4, .avi"),
        (["--source", "demo", "--json", "gone/out"], 1, "cannot write JSON lines to gone/out"),
        (["--source", "demo", "--display", "window"], 1, "cannot show a window: no display"),
        (["--source", "demo", "--json", "photo.jpg"], 2, "--json photo.jpg looks like a picture to read"),
        (["--source", "sheet.png", "--roi", "300,0,100,100"], 2, "not inside the frame of 320x240"),
        (["--config", "typo.toml"], 2, "typo.toml: unknown key 'souce'; did you mean source?"),
        (["--config", "gone.toml"], 2, "cannot read the configuration gone.toml"),
    ],
)
@pytest.mark.usefixtures("files")
def test_bad_input_is_one_line_and_its_exit_code(
    argv: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert Command()(*argv) == code
    lines = capfd.readouterr().err.splitlines()
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert message in error
    assert lines[-1] == error
    assert len(lines) <= 2  # what was being opened, at most


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--size", "12"], "argument --size: '12' is not WIDTHxHEIGHT such as 640x480"),
        (["--rotate", "45"], "argument --rotate: invalid choice: 45"),
        (["--backend", "tensorflow"], "argument --backend: invalid choice: 'tensorflow'"),
        (["--min-confidence", "7"], "argument --min-confidence: '7' is not from 0 to 1"),
        (["--roi", "1,2,3"], "argument --roi: '1,2,3' is not X,Y,W,H"),
        (["--roi", "-1,0,9,9"], "argument --roi: '-1,0,9,9' is not X,Y,W,H"),
        (["--max-frames", "0"], "argument --max-frames: '0' is not a whole number from 1"),
        (["--max", "3"], "unrecognized arguments: --max 3"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_wrong_usage_names_the_option(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        Command()(*argv)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_examples_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    assert raised.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "(default: auto)" in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["--model", "nope"], "no model nope"), (["--precision", "int3"], "has no int3 artifact")],
)
def test_a_model_that_is_not_there_is_named(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", "demo", "--display", "none", *argv]) == 1
    assert message in capsys.readouterr().err


class TestSignals:
    def test_the_first_signal_lets_the_frame_under_way_be_finished(self) -> None:
        taken = []
        with StopSignals() as signals:
            for frame in signals.frames(ListSource([sheet()] * 9)):
                if frame.index == 2:
                    os.kill(os.getpid(), signal.SIGTERM)
                taken.append(frame.index)
        assert taken == [0, 1, 2]

    def test_waiting_for_a_frame_is_ended_at_once(self) -> None:
        def stalled() -> Iterator[Image]:
            yield sheet()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
            yield sheet()

        with StopSignals() as signals:
            assert len(list(signals.frames(ListSource(stalled())))) == 1

    def test_the_second_signal_ends_anything(self) -> None:
        def interrupt_twice(frame: Frame) -> Result:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            return nothing(frame)

        with StopSignals() as signals, pytest.raises(KeyboardInterrupt):
            run(signals.frames(ListSource([sheet()] * 9)), interrupt_twice, [])

    def test_handlers_are_put_back(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with StopSignals():
            assert signal.getsignal(signal.SIGTERM) != before
        assert signal.getsignal(signal.SIGTERM) == before


def command_line(*argv: str, **options: Any) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "runtime.camera", "--display", "none", *argv]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_whole_files_and_exit_code_0(number: int, tmp_path: Path) -> None:
    lines, video = tmp_path / "out.jsonl", tmp_path / "out.mkv"
    process = command_line("--source", "demo", "--json", str(lines), "--record", str(video))
    deadline = time.monotonic() + 60
    while (not lines.exists() or lines.stat().st_size < 5000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
    count = len([json.loads(line) for line in lines.read_text().splitlines()])
    assert 0 < count < 280
    assert output.startswith("demo: ")
    with VideoSource("out", cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)) as recorded:
        assert len(list(recorded)) == count


def test_a_reader_that_leaves_ends_the_command_without_a_word() -> None:
    process = command_line("--source", "demo", "--json", "-")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["frame"] == 0
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_the_demo_is_read_end_to_end_with_nothing_but_the_shipped_model(tmp_path: Path) -> None:
    # From another folder, by a bare process: what `make run` does where there is no camera and no display.
    root = Path(__file__).resolve().parents[2]
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"PYTHONPATH": str(root)}
    output, errors = command_line(cwd=tmp_path, env=environment).communicate(timeout=120)
    score = output.splitlines()[-1]
    assert score.startswith("demo: "), errors
    shown, right = int(score.split()[1]), int(score.split()[6])
    assert shown > 3000
    assert right / shown >= 0.95
    assert errors.startswith("warning: NO CAMERA (none is connected): showing the built-in demo instead\n")
    assert len(errors.splitlines()) == 2


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder with two pages of one upright bar each."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), sheet((140, 80)))
    return tmp_path


def test_no_evidence_goes_from_one_picture_of_a_folder_to_the_next(pages: Path) -> None:
    command = Command()
    assert command("--source", str(pages), "--json") == 0
    lines = [json.loads(line) for line in command.out.getvalue().splitlines()]
    assert [[reading["track"] for reading in line["readings"]] for line in lines] == [[0], [0]]
    assert [line["file"] for line in lines] == [str(pages / "a.png"), str(pages / "b.png")]


def test_each_picture_of_a_folder_has_its_line_and_one_left_out_is_a_failure(
    pages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pages / "broken.png").write_bytes(b"no picture")
    command = Command()
    assert command("--source", str(pages)) == 1
    assert command.out.getvalue() == f"{pages}/a.png: 7 (1 digit)\n{pages}/b.png: 7 (1 digit)\n"
    assert "1 left out" in capsys.readouterr().err
