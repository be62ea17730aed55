from __future__ import annotations

import logging
from typing import Any

import cv2
import numpy as np
import pytest

from runtime.capture import PicameraCapture, SourceSettings, configure_camera, open_camera, without_password
from runtime.errors import SourceError
from runtime.live import LiveSource
from runtime.sources import open_source
from runtime.values import Image

MJPG = cv2.VideoWriter.fourcc(*"MJPG")


@pytest.mark.parametrize("name", ["87", "/dev/video87"])
def test_a_missing_camera_is_named(name: str) -> None:
    with pytest.raises(SourceError, match=r"no camera at /dev/video87 \(present: "):
        open_camera(name)
    with pytest.raises(SourceError, match="no camera at /dev/video87"):
        open_source(name)


class FakeControls:
    """A camera that grants 640 x 480 whatever is asked for, and lets its exposure be set but no focus."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.asked.append((propId, value))
        return propId not in (cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_AUTOFOCUS)

    def get(self, propId: int) -> float:  # noqa: N803
        return {
            cv2.CAP_PROP_FRAME_WIDTH: 640.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_FOURCC: float(MJPG),
        }[propId]


class TestControls:
    def test_motion_jpeg_is_asked_for_first_and_what_is_granted_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        controls = FakeControls()
        with caplog.at_level(logging.INFO):
            configure_camera(controls, "0", SourceSettings(size=(1280, 720), fps=60))
        assert controls.asked[:4] == [
            (cv2.CAP_PROP_FOURCC, MJPG),
            (cv2.CAP_PROP_FRAME_WIDTH, 1280),
            (cv2.CAP_PROP_FRAME_HEIGHT, 720),
            (cv2.CAP_PROP_FPS, 60),
        ]
        assert not {cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_FOCUS} & {control for control, _ in controls.asked}
        assert [record.message for record in caplog.records] == [
            "camera 0: 640x480 at 30 pictures per second, MJPG (asked for 1280x720)"
        ]

    def test_exposure_and_focus_are_locked_and_a_camera_that_refuses_is_named(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        controls = FakeControls()
        with caplog.at_level(logging.WARNING):
            configure_camera(controls, "0", SourceSettings(exposure=12.5, focus=40))
        asked = controls.asked
        assert (cv2.CAP_PROP_AUTO_EXPOSURE, 1) in asked
        assert (cv2.CAP_PROP_EXPOSURE, 125) in asked  # in units of 100 microseconds
        assert (cv2.CAP_PROP_FOCUS, 40) in asked
        assert [record.message for record in caplog.records] == [
            "camera 0 does not let its focus be set: it stays as it is"
        ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:secret@192.168.1.20/live", "rtsp://user@192.168.1.20/live"),
        ("rtsp://user:p@ss@192.168.1.20/live", "rtsp://user@192.168.1.20/live"),
        ("http://host/video.cgi?user=admin&pwd=secret", "http://host/video.cgi?…"),
        ("http://host/a:b@c", "http://host/a:b@c"),
        ("http://host:8080/live", "http://host:8080/live"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


class FakePicamera2:
    """Keeps to the documented interface of Picamera2: configure, start, capture_array, stop, close.

    Luma is 200 and chroma 128; rows of the low-resolution stream are padded to a multiple of 64, as they are on a Pi.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def create_video_configuration(self, **configuration: dict[str, Any]) -> dict[str, Any]:
        return configuration

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.calls.append("configure")

    def start(self) -> None:
        self.calls.append("start")

    def capture_array(self, name: str) -> Image:
        width, height = self.configuration[name]["size"]
        if name == "main":
            return np.full((height, width, 3), 5, np.uint8)
        planes = np.full((height * 3 // 2, -(-width // 64) * 64), 128, np.uint8)
        planes[:height, :width] = 200
        return planes

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


class TestPicamera:
    def test_it_is_asked_for_bgr_bytes_and_let_go_of(self) -> None:
        camera = FakePicamera2()
        settings = SourceSettings((320, 240), 15)
        with LiveSource("picamera", lambda: PicameraCapture(settings, lambda: camera), settings) as source:
            frame = next(iter(source))
        assert frame.luma.shape == (240, 320)
        assert frame.color is not None
        assert camera.configuration == {
            "main": {"size": (320, 240), "format": "RGB888"},
            "controls": {"FrameRate": 15},
        }
        assert camera.calls == ["configure", "start", "stop", "close"]

    def test_where_no_color_is_needed_its_luma_is_used_as_it_comes(self) -> None:
        camera = FakePicamera2()
        settings = SourceSettings((200, 100), color=False)
        with LiveSource("picamera", lambda: PicameraCapture(settings, lambda: camera), settings) as source:
            frame = next(iter(source))
        assert frame.color is None
        assert frame.luma.shape == (100, 200)
        assert (frame.luma == 200).all()
        assert camera.configuration["lores"] == {"size": (200, 100), "format": "YUV420"}

    def test_its_exposure_and_focus_are_locked(self) -> None:
        camera = FakePicamera2()
        PicameraCapture(SourceSettings(exposure=8, focus=2.5), lambda: camera)
        assert camera.configuration["controls"] == {
            "FrameRate": 30,
            "AeEnable": False,
            "ExposureTime": 8000,
            "AfMode": 0,
            "LensPosition": 2.5,
        }

    @pytest.mark.parametrize("failing", ["configure", "start"])
    def test_what_it_cannot_do_is_one_line_and_it_is_let_go_of(
        self, failing: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise RuntimeError("Control LensPosition is not advertised by libcamera")

        camera = FakePicamera2()
        monkeypatch.setattr(camera, failing, refuse)
        with pytest.raises(SourceError, match=r"LensPosition is not advertised .*leave out --focus and --exposure"):
            PicameraCapture(SourceSettings(focus=2), lambda: camera)
        assert camera.calls[-1] == "close"

    def test_a_picture_that_it_does_not_deliver_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("camera frontend has timed out")

        camera = FakePicamera2()
        capture = PicameraCapture(SourceSettings(), lambda: camera)
        monkeypatch.setattr(camera, "capture_array", fail)
        assert capture.read() == (False, None)

    def test_without_the_package_the_error_names_what_to_install(self) -> None:
        with pytest.raises(SourceError, match="apt install python3-picamera2"):
            open_source("picamera")

    def test_without_a_camera_the_error_says_so(self) -> None:
        def make() -> None:
            raise IndexError("list index out of range")

        with pytest.raises(SourceError, match="finds no camera"):
            PicameraCapture(SourceSettings(), make)
