"""The page, used in a real browser as a person would. Needs Playwright for Python and a Chromium on the path."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runtime.pages import draw_page
from runtime.strokes import digit_strokes

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    pytest.skip("no Playwright: pip install playwright", allow_module_level=True)

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DIGITS = int(os.environ.get("PAGE_DIGITS", "10"))
"""How many digits are drawn; 200 take a minute."""


OPACITY = """() => {
    const copy = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(document.getElementById("camera-view"), 0, 0, 1, 1);
    return context.getImageData(0, 0, 1, 1).data[3];
}"""
"""Whether the browser's camera shows a picture now: its opacity, 0 for an emptied canvas."""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.jpg"
    cv2.imwrite(str(path), draw_page(["407", "1985"], (640, 480), np.random.default_rng(5)).pixels)
    return path


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "runtime.serve", "--source", "demo", "--port", "0", "--size", "320x240"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def browser(picture: Path) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path")
    camera = picture.with_suffix(".mjpeg")
    camera.write_bytes(picture.read_bytes() * 30)
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags += [f"--use-file-for-fake-video-capture={camera}", "--no-sandbox"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture(params=[(1280, 860, "light"), (390, 844, "dark")], ids=["desktop", "phone"])
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page, opened; the test fails where the browser's console complains."""
    width, height, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, permissions=["camera"]
    )
    context.set_default_timeout(120_000)  # a browser on a crowded machine is slow, not wrong
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(address)
    yield opened
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
    context.close()
    assert complaints == []


def draw(page: Any, label: str, rng: np.random.Generator, left: float = 0.4) -> None:
    """Draw a digit on the pad with the mouse, 60 % of its height tall, beginning at this share of its width."""
    box = page.locator("#pad").bounding_box()
    tall, top = 0.6 * box["height"], box["y"] + 0.2 * box["height"]
    for path in digit_strokes(label, rng):
        points = [(box["x"] + left * box["width"] + tall * x, top + tall * y) for x, y in path.tolist()]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1 :: max(len(points) // 12, 1)]:
            page.mouse.move(*point)
        page.mouse.move(*points[-1])
        page.mouse.up()


def settled(page: Any) -> str:
    """What the pad shows once the latest drawing was answered."""
    page.wait_for_selector("#pad:not([aria-busy=true])")
    return str(page.inner_text("#drawn"))


def test_live_shows_the_numbers_of_the_source(page: Any) -> None:
    page.wait_for_selector("#numbers li")
    page.wait_for_selector("#stream:not([hidden])")
    assert page.evaluate("document.getElementById('stream').naturalWidth") > 0
    assert page.inner_text("#state") == "Playing"
    assert float(page.inner_text("#fps")) > 0


def test_what_is_drawn_is_read_undone_cleared_and_corrected(page: Any) -> None:
    page.click("#tab-draw")
    rng = np.random.default_rng(3)
    draw(page, "4", rng, 0.1)
    draw(page, "2", rng, 0.4)
    assert settled(page) == "42"
    assert page.locator(".digit .crop").count() == 2
    page.keyboard.press("Control+z")
    assert settled(page) == "4"
    page.locator(".digit form input").fill("9")
    page.locator(".digit form button").click()
    page.wait_for_selector("text=Kept as 9.")
    page.click("#clear")
    assert settled(page) == "–"


def test_ink_that_is_no_digit_is_shown_as_that_and_can_be_corrected(page: Any) -> None:
    page.click("#tab-draw")
    box = page.locator("#pad").bounding_box()
    triangle = [(0.5, 0.2), (0.65, 0.6), (0.35, 0.6), (0.5, 0.2)]
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in triangle]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=8)
    page.mouse.up()
    assert settled(page) == "–"
    assert page.inner_text(".digit h3").startswith("Not a digit")
    page.locator(".digit form input").fill("4")
    page.locator(".digit form button").click()
    page.wait_for_selector("text=Kept as 4.")


def test_the_pad_can_be_drawn_on_with_the_keyboard(page: Any) -> None:
    page.click("#tab-draw")
    page.focus("#pad")
    keys = [*["ArrowUp"] * 7, "Space", *["ArrowRight"] * 9, *["ArrowDown", "ArrowDown", "ArrowLeft"] * 7, "Space"]
    for key in keys:
        page.keyboard.press(key)
    assert settled(page) == "7"


def test_a_photo_is_read_and_saved(page: Any, picture: Path) -> None:
    page.click("#tab-photo")
    page.set_input_files("#file", picture)
    page.wait_for_selector("#photo-numbers li")
    assert "7 digits" in page.inner_text("#photo-hint")
    with page.expect_download() as download:
        page.click("#photo-csv")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "label,confidence,x,y,width,height"
    assert [line[0] for line in lines[1:]] == list("4071985")


def test_a_file_that_is_no_picture_is_refused_in_words(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    path.write_bytes(b"no picture")
    page.click("#tab-photo")
    page.set_input_files("#file", path)
    page.wait_for_selector("#message:not([hidden])")
    assert "cannot open" in page.inner_text("#message")


def test_the_browsers_camera_is_read_by_the_device(page: Any) -> None:
    page.click("#tab-camera")
    page.click("#camera-start")
    page.wait_for_selector("#camera-numbers li")
    assert "407" in page.inner_text("#camera-numbers")
    for _ in range(5):
        assert page.evaluate(OPACITY)
        page.wait_for_timeout(30)
    page.click("#camera-stop")


def test_drawn_digits_are_read_and_soon(page: Any) -> None:
    page.click("#tab-draw")
    rng = np.random.default_rng(11)
    labels = [str(n % 10) for n in range(DIGITS)]
    answers, milliseconds = [], []
    for label in labels:
        draw(page, label, rng)
        answers.append(settled(page))
        milliseconds.append(float(page.get_attribute("#pad", "data-milliseconds")))
        page.click("#clear")
        settled(page)
    right = sum(answer == label for answer, label in zip(answers, labels, strict=True))
    print(f"{right} of {DIGITS} right, {statistics.median(milliseconds):.1f} ms at the median")
    assert right >= 0.95 * DIGITS
