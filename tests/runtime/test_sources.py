from __future__ import annotations

import logging
import resource
import struct
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.capture import SourceSettings
from runtime.errors import SourceError, UsageError
from runtime.files import PictureSource
from runtime.pages import DrawnDigit
from runtime.pictures import Flip, Orientation, natural_key, picture_size, read_picture, to_frame
from runtime.sources import DemoSource, FrameSource, auto_source, open_source
from runtime.values import Box, Frame, Image
from tests.runtime.fakes import corners, plain, quadrants


def write_video(path: Path, values: list[int], size: tuple[int, int] = (64, 48), fps: float = 25.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    assert writer.isOpened()
    for value in values:
        writer.write(plain(value, *size))
    writer.release()
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises width x height black pixels and has a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def collect(source: FrameSource, frames: list[Frame]) -> None:
    for frame in source:
        frames.append(frame)  # noqa: PERF402 - one by one: what came before an error is kept


class TestFiles:
    def test_a_video_delivers_every_frame_in_order_with_its_time(self, tmp_path: Path) -> None:
        write_video(tmp_path / "clip.avi", list(range(20, 220, 20)))
        with open_source(str(tmp_path / "clip.avi")) as source:
            frames = list(source)
            assert (source.live, source.dropped, source.fps) == (False, 0, 25.0)
        assert [frame.index for frame in frames] == list(range(10))
        assert [frame.seconds for frame in frames] == pytest.approx([i / 25 for i in range(10)], abs=1e-3)
        for frame, value in zip(frames, range(20, 220, 20), strict=True):
            assert frame.color is not None
            assert frame.color.shape == (48, 64, 3)
            assert abs(int(frame.luma[24, 32]) - value) <= 3  # JPEG

    @pytest.mark.parametrize("suffix", [".mkv", ".avi"])
    def test_a_truncated_video_is_read_as_far_as_it_goes_and_then_named(self, tmp_path: Path, suffix: str) -> None:
        whole = write_video(tmp_path / f"whole{suffix}", [100] * 60)
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        frames: list[Frame] = []
        with open_source(str(cut)) as source, pytest.raises(SourceError, match=r"cut.* ended after \d+ of 60 pictures"):
            collect(source, frames)
        assert 15 <= len(frames) < 60

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("zero.png", b"", "is empty: 0 bytes"),
            ("zero.mp4", b"", "is empty: 0 bytes"),
            ("notes.txt", b"no video at all\n" * 50, "neither a video nor a picture"),
            ("text.mp4", b"no video at all\n" * 50, "neither a video nor a picture"),
        ],
    )
    def test_a_file_that_holds_no_pictures_is_refused_on_opening(
        self, tmp_path: Path, name: str, content: bytes, message: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=message):
            open_source(str(tmp_path / name))

    def test_a_missing_file_is_named(self) -> None:
        with pytest.raises(SourceError, match=r"cannot open nowhere/clip\.mp4: No such file"):
            open_source("nowhere/clip.mp4")

    def test_a_folder_is_read_in_natural_order_and_what_is_no_picture_is_left_alone(self, tmp_path: Path) -> None:
        for number in (10, 9, 1, 2):
            cv2.imwrite(str(tmp_path / f"page{number}.png"), plain(number))
        (tmp_path / "notes.txt").write_text("not a picture")
        (tmp_path / ".hidden.png").write_bytes(b"")
        with open_source(str(tmp_path), SourceSettings(fps=10)) as source:
            frames = list(source)
        assert [int(frame.luma[0, 0]) for frame in frames] == [1, 2, 9, 10]
        assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])
        assert [Path(frame.file).name for frame in frames] == ["page1.png", "page2.png", "page9.png", "page10.png"]

    def test_an_unreadable_picture_in_a_folder_is_named_counted_and_passed_over(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for number in (1, 3):
            cv2.imwrite(str(tmp_path / f"{number}.png"), plain(number))
        (tmp_path / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
        with caplog.at_level(logging.WARNING), open_source(str(tmp_path)) as source:
            frames = list(source)
            assert source.dropped == 1
        assert [(frame.index, int(frame.luma[0, 0])) for frame in frames] == [(0, 1), (2, 3)]
        assert [record.message for record in caplog.records] == [
            f"left out: {tmp_path}/2.png is not a picture that can be read "
            "(PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF or PNM)"
        ]

    def test_a_folder_of_unreadable_pictures_is_an_error(self, tmp_path: Path) -> None:
        for number in (1, 2):
            (tmp_path / f"{number}.png").touch()
        with open_source(str(tmp_path)) as source, pytest.raises(SourceError, match="none of the 2 pictures"):
            list(source)

    def test_a_folder_without_pictures_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no pictures in"):
            open_source(str(tmp_path))

    def test_a_consumer_that_stops_early_leaves_the_other_pictures_unread(self) -> None:
        read: list[Path] = []

        def reading(path: Path) -> Image:
            read.append(path)
            return plain(1)

        with PictureSource("folder", [Path(f"{i}.png") for i in range(9)], read=reading) as source:
            next(iter(source))
        assert read == [Path("0.png")]

    @pytest.mark.parametrize(
        ("rotate", "flip", "expected"),
        [
            (0, "none", (10, 20, 30, 40)),
            (90, "none", (30, 10, 40, 20)),
            (180, "none", (40, 30, 20, 10)),
            (270, "none", (20, 40, 10, 30)),
            (0, "horizontal", (20, 10, 40, 30)),
            (0, "vertical", (30, 40, 10, 20)),
            (0, "both", (40, 30, 20, 10)),
            (90, "horizontal", (10, 30, 20, 40)),
        ],
    )
    def test_pictures_are_rotated_clockwise_and_then_flipped(
        self, tmp_path: Path, rotate: int, flip: Flip, expected: tuple[int, ...]
    ) -> None:
        cv2.imwrite(str(tmp_path / "picture.png"), quadrants())
        with open_source(str(tmp_path / "picture.png"), SourceSettings(rotate=rotate, flip=flip)) as source:
            (frame,) = source
        assert corners(frame.luma) == expected
        assert frame.color is not None
        assert frame.color.shape[:2] == frame.luma.shape == ((60, 40) if rotate % 180 else (40, 60))

    @pytest.mark.parametrize(("rotate", "flip"), [(45, "none"), (0, "sideways")])
    def test_other_turns_are_a_mistake_of_the_caller(self, rotate: int, flip: Any) -> None:
        with pytest.raises(UsageError, match=r"rotate is 45; expected|flip is 'sideways'; expected"):
            Orientation(rotate, flip)


class TestPictures:
    @pytest.mark.parametrize(
        "suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".avif"]
    )
    @pytest.mark.parametrize("size", [(300, 200), (1, 1), (257, 3)])
    def test_sizes_are_read_from_headers_as_the_decoder_finds_them(self, suffix: str, size: tuple[int, int]) -> None:
        try:
            written, data = cv2.imencode(suffix, plain(100, *size)[:, :, : 1 if suffix in (".pgm", ".pbm") else 3])
        except cv2.error:
            pytest.skip(f"this OpenCV writes no {suffix}")
        if not written:
            pytest.skip(f"this OpenCV writes no {suffix}")
        assert picture_size(data.tobytes()) == size

    @given(st.sampled_from([".png", ".jpg", ".bmp", ".webp", ".tiff", ".ppm"]), st.integers(0, 400))
    def test_headers_cut_anywhere_are_answered(self, suffix: str, length: int) -> None:
        content = cv2.imencode(suffix, plain(100))[1].tobytes()[:length]
        assert picture_size(content) in (None, (64, 48))

    @given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"II*\0", b"RIFFxxxxWEBP", b"P5 ", b"BM"]))
    def test_random_bytes_behind_any_beginning_are_answered(self, data: bytes, start: bytes) -> None:
        size = picture_size(start + data)
        assert size is None or min(size) > 0

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("zero.png", b"", r"zero.png is empty: 0 bytes"),
            ("text.png", b"hello", "is not a picture"),
            ("bomb.png", png_header(40_000, 40_000), "40000 x 40000 = 1600 million pixels, more than the 100 million"),
            ("cut.png", cv2.imencode(".png", quadrants())[1].tobytes()[:-20], "damaged or truncated"),
            ("cut.jpg", cv2.imencode(".jpg", quadrants())[1].tobytes()[:-200], "damaged or truncated"),
            ("hollow.png", png_header(64, 48), "damaged or truncated"),
        ],
    )
    def test_a_file_that_is_no_whole_picture_is_refused_in_one_line(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes, message: str
    ) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=message) as raised:
            read_picture(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert capfd.readouterr() == ("", "")  # and the decoders say nothing of their own

    def test_a_chunk_that_says_it_has_gigabytes_takes_no_memory(self, tmp_path: Path) -> None:
        content = bytearray(cv2.imencode(".png", quadrants())[1].tobytes())
        content[33:37] = b"\xab\0\0\0"  # the length of the pixels' chunk
        (tmp_path / "long.png").write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(SourceError, match="damaged or truncated"):
            read_picture(tmp_path / "long.png")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes

    def test_a_picture_over_the_limit_is_refused_before_it_is_decoded(self, tmp_path: Path) -> None:
        (tmp_path / "bomb.bmp").write_bytes(b"BM" + bytes(12) + struct.pack("<Iii", 40, 20_000, -20_000) + bytes(100))
        with pytest.raises(SourceError, match="400 million pixels"):
            read_picture(tmp_path / "bomb.bmp")

    @pytest.mark.parametrize("path", ["nowhere.png", "."])
    def test_what_cannot_be_read_at_all_is_named(self, path: str) -> None:
        with pytest.raises(SourceError, match=r"cannot read nowhere.png: No such file|\. is not a file"):
            read_picture(path)

    def test_sixteen_bits_become_eight(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 5), 200 * 257, np.uint16))
        assert (read_picture(tmp_path / "deep.png") == 200).all()

    @pytest.mark.parametrize("suffix", [".png", ".webp"])
    def test_ink_on_transparency_is_laid_on_white_paper(self, tmp_path: Path, suffix: str) -> None:
        drawing = np.zeros((10, 10, 4), np.uint8)  # black everywhere, and nowhere to be seen
        drawing[3:6, 3:6, 3] = 255
        cv2.imwrite(str(tmp_path / f"drawing{suffix}"), drawing, [cv2.IMWRITE_WEBP_QUALITY, 101])
        expected = np.full((10, 10, 3), 255, np.uint8)
        expected[3:6, 3:6] = 0
        assert np.array_equal(read_picture(tmp_path / f"drawing{suffix}"), expected)

    def test_half_transparent_ink_at_sixteen_bits_is_half_as_dark(self, tmp_path: Path) -> None:
        drawing = np.zeros((4, 4, 4), np.uint16)
        drawing[:, :, 3] = 128 * 257
        cv2.imwrite(str(tmp_path / "drawing.png"), drawing)
        assert (read_picture(tmp_path / "drawing.png") == 127).all()

    @pytest.mark.parametrize(("orientation", "expected"), [(1, (10, 20, 30, 40)), (6, (30, 10, 40, 20))])
    def test_the_orientation_that_a_phone_notes_is_honored(
        self, tmp_path: Path, orientation: int, expected: tuple[int, ...]
    ) -> None:
        jpeg = cv2.imencode(".jpg", quadrants(), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
        entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
        exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
        marked = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
        (tmp_path / "photo.jpg").write_bytes(marked)
        assert corners(read_picture(tmp_path / "photo.jpg")[:, :, 0]) == pytest.approx(expected, abs=3)

    def test_a_gray_picture_has_color_too_and_luma_alone_makes_a_frame_without(self, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "gray.png"), quadrants())
        picture = read_picture(tmp_path / "gray.png")
        assert picture.shape == (40, 60, 3)
        assert np.array_equal(to_frame(picture, 0, 0.0).luma, quadrants())
        luma_only = to_frame(quadrants(), 3, 0.5)
        assert luma_only.color is None
        assert (luma_only.index, luma_only.seconds) == (3, 0.5)

    def test_numbers_in_names_count_as_numbers(self) -> None:
        names = ["10.png", "9.png", "a2b10.png", "a2b9.png", "B1.png", "007.png"]
        ordered = sorted(map(Path, names), key=natural_key)
        assert [path.name for path in ordered] == ["007.png", "9.png", "10.png", "a2b9.png", "a2b10.png", "B1.png"]


def still_source(name: str) -> PictureSource:
    return PictureSource(name, [Path("x.png")], read=lambda path: plain(1))


class TestAuto:
    def test_the_first_camera_that_delivers_is_taken(self) -> None:
        def open_named(name: str) -> PictureSource:
            if name == "/dev/video0":
                raise SourceError("black")
            return still_source(name)

        source = auto_source(["/dev/video0", "/dev/video2", "/dev/video4"], open_named, None)
        assert source.name == "/dev/video2"

    def test_without_a_camera_the_demo_is_said_loudly(self, caplog: pytest.LogCaptureFixture) -> None:
        source = auto_source([], still_source, lambda: still_source("demo"))
        assert source.name == "demo"
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.message.startswith("NO CAMERA")

    def test_the_demo_never_takes_the_place_where_it_is_not_allowed(self) -> None:
        def broken(name: str) -> PictureSource:
            raise SourceError(f"{name} is asleep")

        with pytest.raises(SourceError, match=r"no camera \(/dev/video0 is asleep\)"):
            auto_source(["/dev/video0"], broken, None)

    def test_a_named_source_is_never_replaced(self) -> None:
        with pytest.raises(SourceError):
            open_source("/dev/video87", allow_demo=True)


class TestDemo:
    def test_it_yields_what_is_drawn_and_knows_what_that_is(self) -> None:
        digits = (DrawnDigit("7", Box(1, 2, 3, 4), "7-plain"),)
        with DemoSource(frames=[(plain(1), digits), (plain(2), ())]) as source:
            frames = list(source)
            assert [source.truth(frame.index) for frame in frames] == [digits, ()]
        assert [frame.seconds for frame in frames] == pytest.approx([0, 1 / 30])
        assert source.name == "demo"

    def test_the_built_in_clip_has_the_size_asked_for(self) -> None:
        with open_source("demo", SourceSettings(size=(320, 240))) as source:
            frame = next(iter(source))
        assert frame.luma.shape == (240, 320)
        assert isinstance(source, DemoSource)
        assert source.truth(0)

    def test_turning_it_is_refused(self) -> None:
        with pytest.raises(UsageError, match="upright"):
            open_source("demo", SourceSettings(rotate=90))


class MotionJpeg(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        data = cv2.imencode(".jpg", plain(90, 160, 120))[1].tobytes()
        head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        try:
            while True:
                self.wfile.write(head + data + b"\r\n")
                time.sleep(0.01)
        except OSError:
            return

    def log_message(self, *args: Any) -> None:
        pass


class TestStreams:
    def test_motion_jpeg_over_http_is_a_live_source(self) -> None:
        with HTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                with open_source(f"http://127.0.0.1:{server.server_port}/live") as source:
                    frame = next(iter(source))
                    assert source.live
            finally:
                server.shutdown()
        assert frame.luma.shape == (120, 160)
        assert abs(int(frame.luma[60, 80]) - 90) <= 3

    def test_an_address_where_nothing_answers_is_refused(self) -> None:
        with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/live does not open as a video stream"):
            open_source("http://127.0.0.1:9/live")
