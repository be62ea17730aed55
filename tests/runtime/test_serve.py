from __future__ import annotations

import base64
import io
import json
import os
import socket
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from runtime.backends import load_classifier
from runtime.broadcast import Broadcast
from runtime.corrections import LABELS, LabeledFolder, SeenCrops
from runtime.errors import UsageError
from runtime.metrics import StageTimes
from runtime.monitor import Monitor
from runtime.pages import draw_page
from runtime.pipeline import run
from runtime.playing import PlayingSource
from runtime.readers import Readers
from runtime.recognizer import RecognizerSettings
from runtime.recording import Overlay
from runtime.serve import TOKEN_VARIABLE, admission, main
from runtime.sinks import Sink
from runtime.values import Frame, Prediction, Reading, Result
from runtime.web.app import Parts, make_app
from runtime.web.guard import HEADERS, Guard, Limits, Rate
from runtime.web.pulse import Pulse
from runtime.web.server import Server, listen
from tests.refusal import refusal
from tests.runtime.fakes import ListSource, SevenReader, plain, sheet

TOKEN = "open-sesame-0123"
HERE = frozenset({"testserver"})


def jpeg(picture: Any, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


PAGE = jpeg(draw_page(["407"], (640, 480), np.random.default_rng(5)).pixels)


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers(load_classifier, "edge", RecognizerSettings(), Limits().pixels)


@pytest.fixture
def parts(readers: Readers, tmp_path: Path) -> Parts:
    monitor = Monitor(ListSource([]))
    folder = LabeledFolder(tmp_path / "digits")
    crops, bundle = SeenCrops(), tmp_path / "model"
    return Parts(readers, Broadcast(Overlay()), Pulse("list"), monitor, StageTimes(monitor), crops, folder, bundle)


@pytest.fixture
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(make_app(parts, hosts=HERE, limits=Limits(burst=10_000))) as made:
        yield made


def bundle_zip(folder: Path, top: str = "", replaced: Mapping[str, bytes] = {}) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in folder.iterdir():
            archive.writestr(top + path.name, replaced.get(path.name, path.read_bytes()))
    return content.getvalue()


# --- pictures that are sent ---


def test_a_picture_in_the_body_becomes_the_json_line(client: TestClient) -> None:
    answer = client.post("/api/recognize", content=PAGE)
    assert answer.status_code == 200
    values = answer.json()
    assert [number["text"] for number in values["numbers"]] == ["407"]
    assert (values["width"], values["height"]) == (640, 480)
    assert set(values["readings"][0]) == {"label", "confidence", "box", "track"}


def test_a_form_and_a_body_are_read_alike(client: TestClient) -> None:
    body = client.post("/api/recognize", content=PAGE).json()
    form = client.post("/api/recognize", files={"file": ("page.jpg", PAGE)}).json()
    assert form["readings"] == body["readings"]


def test_explaining_shows_what_the_model_saw(client: TestClient, readers: Readers) -> None:
    readings = client.post("/api/recognize?explain", content=PAGE).json()["readings"]
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(readings[0]["input"].split(",")[1]), np.uint8), -1)
    assert pixels is not None
    assert pixels.shape == (28, 28)
    shares = readings[0]["probabilities"]
    assert list(shares) == list(readers.labels)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert max(shares, key=shares.get) == "4"


def test_explaining_shows_other_ink_as_what_it_is_and_lets_it_be_corrected(client: TestClient, parts: Parts) -> None:
    picture = draw_page(["7"], (640, 480), np.random.default_rng(5)).pixels
    cv2.polylines(picture, [np.array([(80, 160), (115, 90), (150, 160)])], True, (40, 40, 40), 7)
    values = client.post("/api/recognize?explain", content=jpeg(picture)).json()
    assert [reading["label"] for reading in values["readings"]] == ["7"]
    (other,) = values["others"]
    assert other["label"] == "none"
    assert other["probabilities"]["none"] == other["confidence"]
    x, y, width, height = other["box"]
    assert (x < 80, y < 90, x + width > 150, y + height > 160) == (True, True, True, True)
    client.post("/api/corrections", json={"crop": other["crop"], "label": "8"})
    assert parts.corrected.counts() == {"8": 1}
    assert "others" not in client.post("/api/recognize", content=jpeg(picture)).json()


def test_a_person_is_asked_about_unsure_crops_of_what_was_sent_only_where_that_is_wanted(parts: Parts) -> None:
    strict = Readers(load_classifier, "edge", RecognizerSettings(min_confidence=1.0), Limits().pixels)
    client = TestClient(make_app(replace(parts, readers=strict)))
    unfinished = client.post("/api/recognize?explain", content=PAGE).json()["unsure"]
    assert len(unfinished) == 3
    assert client.get("/api/crops").json() == {"crops": []}
    client.post("/api/recognize?ask", content=PAGE)
    asked = client.get("/api/crops").json()["crops"]
    assert {crop["crop"] for crop in asked} == {reading["crop"] for reading in unfinished}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "nothing was sent"),
        (b"no picture at all", 422, "not a picture"),
        (PAGE[:200], 422, "not"),
        (PAGE[: len(PAGE) // 2], 422, "damaged or truncated"),
        (jpeg(plain(200), ".png")[:-40], 422, "damaged or truncated"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (60_000).to_bytes(4) * 2 + bytes(50), 413, "60000 x 60000"),
        (bytes(16_000_001), 413, "more than 16,000,000 bytes"),
    ],
)
def test_a_bad_picture_is_refused_with_the_reason(client: TestClient, body: bytes, status: int, reason: str) -> None:
    answer = client.post("/api/recognize", content=body)
    assert answer.status_code == status
    assert reason in answer.json().get("error", "")


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF89a", b"P5 "]))
def test_no_bytes_are_a_server_error(readers: Readers, tail: bytes, head: bytes) -> None:
    monitor = Monitor(ListSource([]))
    made = Parts(
        readers,
        Broadcast(Overlay()),
        Pulse("x"),
        monitor,
        StageTimes(monitor),
        SeenCrops(),
        LabeledFolder(Path("never")),
        Path("never"),
    )
    client = TestClient(make_app(made, limits=Limits(burst=10_000)))
    for path in ("/api/recognize", "/api/model", "/api/corrections", "/api/token"):
        assert 400 <= client.post(path, content=head + tail).status_code < 500
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert 400 <= client.post("/api/recognize", content=b"--x\r\n" + tail, headers=kind).status_code < 500
    assert not Path("never").exists()


def test_a_body_that_does_not_say_its_size_is_cut_off(parts: Parts) -> None:
    client = TestClient(make_app(parts, limits=Limits(body_bytes=5000)))
    answer = client.post("/api/recognize", content=(bytes(1000) for _ in range(6)))
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 413


# --- who may ask ---


def test_every_answer_says_what_a_page_may_do(client: TestClient) -> None:
    for path in ("/", "/page.js", "/healthz", "/nowhere"):
        headers = client.get(path).headers
        assert {name for name in HEADERS if name.lower() not in headers} == set()
        assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_posts_from_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/recognize", content=PAGE, headers=headers).status_code == 403


def test_the_own_page_may_post(client: TestClient) -> None:
    headers = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.post("/api/recognize", content=PAGE, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "[", ""])
def test_a_foreign_name_that_leads_here_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/state", headers={"host": host}).status_code == 421


def test_with_a_token_nothing_is_told_without_it(parts: Parts) -> None:
    client = TestClient(make_app(parts, token=TOKEN))
    for path in ("/api/state", "/api/snapshot.jpg", "/stream.mjpg", "/api/crops", "/metrics", "/api/corrections.zip"):
        assert client.get(path).status_code == 401, path
    for path in ("/api/recognize", "/api/model", "/api/corrections"):
        assert client.post(path, content=PAGE).status_code == 401, path
    assert client.get("/").status_code == client.get("/healthz").status_code == 200
    assert client.get("/api/state", headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert client.get("/api/state", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_signing_in_gives_a_cookie_that_scripts_cannot_read(parts: Parts) -> None:
    client = TestClient(make_app(parts, token=TOKEN))
    assert client.post("/api/token", json={"token": "wrong"}).status_code == 401
    answer = client.post("/api/token", json={"token": TOKEN})
    assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))
    assert TOKEN not in answer.headers["set-cookie"]
    assert client.get("/api/state").status_code == 200


def test_a_bucket_empties_and_fills_again_for_each_address() -> None:
    now = [0.0]
    rate = Rate(Limits(per_second=2, burst=3), lambda: now[0])
    assert [rate.take("a") for _ in range(4)] == [True, True, True, False]
    assert rate.take("b")
    now[0] = 0.5
    assert [rate.take("a") for _ in range(2)] == [True, False]


def test_too_many_posts_are_told_to_wait(parts: Parts) -> None:
    client = TestClient(make_app(parts, limits=Limits(burst=2, per_second=0.001)))
    answers = [client.post("/api/recognize", content=PAGE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "1"


def test_guessing_tokens_is_slowed_down(parts: Parts) -> None:
    client = TestClient(make_app(parts, token=TOKEN, limits=Limits(burst=2, per_second=0.001)))
    codes = [client.get("/metrics", headers={"authorization": f"Bearer {n}"}).status_code for n in range(3)]
    assert codes == [401, 401, 429]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_the_own_machine_needs_no_token(host: str) -> None:
    token, hosts = admission(host, {})
    assert token is None
    assert host in (hosts or ())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "pi.local"])
def test_another_address_demands_a_token(host: str) -> None:
    with pytest.raises(UsageError, match=f"{TOKEN_VARIABLE}="):
        admission(host, {})
    with pytest.raises(UsageError, match="5 characters"):
        admission(host, {TOKEN_VARIABLE: "short"})
    assert admission(host, {TOKEN_VARIABLE: TOKEN}) == (TOKEN, None)


# --- live ---


def test_the_latest_frame_is_told_and_shown(client: TestClient, parts: Parts) -> None:
    assert client.get("/api/snapshot.jpg").status_code == 404
    sinks: list[Sink] = [parts.monitor, parts.pulse, parts.times, parts.broadcast]
    run(ListSource([sheet((40, 40))] * 3), parts.readers.frame, sinks)
    state = client.get("/api/state").json()
    assert (state["state"], state["frames"], state["latest"]["frame"]) == ("playing", 3, 2)
    snapshot = client.get("/api/snapshot.jpg")
    assert cv2.imdecode(np.frombuffer(snapshot.content, np.uint8), 1) is not None
    assert b"edge_digits_frames_total 3" in client.get("/metrics").content


def test_the_frame_rate_falls_while_no_frames_come() -> None:
    now = [0.0]
    pulse = Pulse("x", lambda: now[0])
    for _ in range(5):
        pulse.write(Frame(plain(0)[:, :, 0], None, 0, 0.0), Result((), (), ()))
        now[0] += 0.1
    assert pulse.fps == pytest.approx(10)
    now[0] += 1.9
    assert pulse.fps == pytest.approx(0.5)


def test_a_source_with_an_end_is_played_again_at_its_own_pace() -> None:
    slept: list[float] = []
    sources = iter([ListSource([plain(1)] * 3) for _ in range(3)])
    playing = PlayingSource(next(sources), lambda: next(sources), clock=lambda: 0.0, sleep=slept.append)
    frames = iter(playing)
    assert [next(frames).index for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert slept[:4] == pytest.approx([0, 1 / 30, 2 / 30, 1 / 30])


# --- corrections ---


def test_what_was_read_can_be_corrected_and_downloaded(client: TestClient, parts: Parts) -> None:
    assert client.get("/api/corrections.zip").status_code == 404
    reading = client.post("/api/recognize?explain", content=PAGE).json()["readings"][0]
    for label in ("7", "none", "9"):  # the last answer counts
        answer = client.post("/api/corrections", json={"crop": reading["crop"], "label": label})
        assert answer.json() == {"corrections": {label: 1}}
    with zipfile.ZipFile(io.BytesIO(client.get("/api/corrections.zip").content)) as archive:
        assert archive.namelist() == [f"digits/9/{reading['crop']}.png"]
    (path,) = (parts.corrected.folder / "9").iterdir()
    assert base64.b64decode(reading["input"].split(",")[1]) == path.read_bytes()
    os.utime(path, (0, 0))  # as on a board without a clock; a ZIP file knows no year before 1980
    assert client.get("/api/corrections.zip").status_code == 200


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"crop": "../../etc/passwd", "label": "7"}, 404),
        ({"crop": "0" * 16, "label": "../7"}, 422),
        ({"crop": ["x"], "label": "7"}, 422),
        ({"crop": "x"}, 422),
        ([], 422),
    ],
)
def test_no_path_from_a_request_reaches_the_disk(client: TestClient, parts: Parts, values: object, status: int) -> None:
    assert client.post("/api/corrections", json=values).status_code == status
    assert not parts.corrected.folder.exists()


def unsure(track: int, age: int, level: int) -> Reading:
    prediction = Prediction(np.zeros(len(LABELS), np.float32))
    return Reading(draw_box(), "4", 0.4, prediction, track, age, np.full((28, 28), level, np.uint8))


def draw_box() -> Any:
    return draw_page(["1"], (64, 64), np.random.default_rng(0)).digits[0].box


def test_each_track_that_stays_unsure_is_asked_about_once(client: TestClient, parts: Parts) -> None:
    frame = Frame(plain(0)[:, :, 0], None, 0, 0.0)
    for age in range(6):
        parts.crops.write(frame, Result((), (unsure(1, age, age), unsure(2, 0, 99)), ()))
    (crop,) = client.get("/api/crops").json()["crops"]
    assert (crop["label"], crop["confidence"]) == ("4", 0.4)
    assert client.post("/api/corrections", json={"crop": crop["crop"], "label": "4"}).status_code == 200
    assert client.get("/api/crops").json()["crops"] == []


def test_the_oldest_crops_make_room() -> None:
    crops = SeenCrops(limit=3)
    names = [crops.add(unsure(0, 0, level), unsure=True) for level in range(5)]
    assert [crop.name for crop in crops.waiting()] == names[:1:-1]
    assert crops.find(names[0]) is None


# --- bundles ---


@pytest.mark.parametrize("top", ["", "edge-extra/"])
def test_a_bundle_that_proves_itself_is_used(tmp_path: Path, parts: Parts, bundle_copy: Path, top: str) -> None:
    mine = Readers(load_classifier, "edge", RecognizerSettings(), 10**6)
    for _ in range(2):  # the second takes the first one's place
        mine.install(bundle_zip(bundle_copy, top), parts.bundle)
    assert mine.model["name"] == str(parts.bundle)
    assert load_classifier(parts.bundle).labels == mine.labels
    assert [number.text for number in mine.picture(PAGE)[1].numbers] == ["407"]
    assert [path.name for path in parts.bundle.parent.iterdir() if path.name.startswith(".")] == []


def test_an_altered_bundle_is_refused_and_the_model_stays(client: TestClient, parts: Parts, bundle_copy: Path) -> None:
    name = next(bundle_copy.glob("*int8*.tflite")).name
    content = bytearray((bundle_copy / name).read_bytes())
    content[1000] ^= 1
    manifest = (bundle_copy / "manifest.json").read_bytes()
    outside = json.loads(manifest)
    outside["artifacts"][0]["file"] = "../../../etc/passwd"
    before = dict(parts.readers.model)
    for sent, reason in [
        (bundle_zip(bundle_copy, replaced={name: bytes(content)}), f"{name} was altered"),
        (
            bundle_zip(bundle_copy, replaced={"manifest.json": manifest.replace(b'"edge"', b'"edgy"')}),
            "manifest.json was altered",
        ),
        (bundle_zip(bundle_copy, replaced={"manifest.json": json.dumps(outside).encode()}), "outside its folder"),
        (bundle_zip(bundle_copy)[:-100], "not a ZIP file"),
        (b"PK", "not a ZIP file"),
    ]:
        answer = client.post("/api/model", content=sent)
        assert answer.status_code == 422
        assert reason in answer.json()["error"]
        assert str(parts.bundle.parent) not in answer.json()["error"]
    assert parts.readers.model == before
    assert not parts.bundle.exists()


# --- the document, the page, the command ---


def test_the_document_names_every_address(client: TestClient, parts: Parts) -> None:
    document = client.get("/openapi.json").json()
    app: Any = make_app(parts)
    assert isinstance(app, Guard)
    routes = {(route.path, method) for route in app._app.routes for method in route.methods - {"HEAD"}}  # type: ignore[attr-defined]
    pages = {("/", "GET"), ("/page.css", "GET"), ("/page.js", "GET"), ("/icon.svg", "GET"), ("/openapi.json", "GET")}
    assert {(path, verb.upper()) for path, verbs in document["paths"].items() for verb in verbs} == routes - pages


def test_the_page_weighs_little_and_loads_nothing_from_outside(client: TestClient) -> None:
    bodies = [client.get(path).content for path in ("/", "/page.css", "/page.js", "/icon.svg")]
    assert sum(map(len, bodies)) <= 100_000
    for body in bodies[:3]:
        assert b"http://" not in body
        assert b"//cdn" not in body
    assert b"<style" not in bodies[0]
    assert b" style=" not in bodies[0]


def test_two_viewers_see_the_stream_of_a_real_server_and_cost_one_encode(parts: Parts) -> None:
    pictures: list[bytes] = []

    class Keeping(Overlay):
        def jpeg(self, frame: Frame, result: Result) -> bytes:
            pictures.append(super().jpeg(frame, result))
            return pictures[-1]

    broadcast = Broadcast(Keeping())
    made = Parts(**{name: getattr(parts, name) for name in parts.__slots__} | {"broadcast": broadcast})
    frame = Frame(plain(200)[:, :, 0], plain(200), 0, 0.0)
    seen: list[bytes] = []

    def look(port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stream.mjpg", timeout=10) as answer:
            seen.append(answer.read(600))

    with Server(make_app(made, hosts=frozenset({"127.0.0.1"})), "127.0.0.1", 0) as server, broadcast:
        threads = [threading.Thread(target=look, args=(server.port,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 10
        while broadcast.viewers < 2 and time.monotonic() < until:
            time.sleep(0.01)
        broadcast.write(frame, Result((), (), ()))
        for thread in threads:
            thread.join(10)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert b"Content-Type: image/jpeg" in seen[0]
    assert len(pictures) >= 2
    assert all(picture is pictures[0] for picture in pictures)


def test_answers_do_not_wait_for_their_head_to_be_acknowledged() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_command_serves_until_it_ends(tmp_path: Path) -> None:
    class Out(io.StringIO):
        def write(self, text: str) -> int:
            if text.startswith("http"):
                with urllib.request.urlopen(f"{text.strip()}healthz", timeout=10) as answer:
                    answers.append(json.load(answer))
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(f"{text.strip()}nothing", timeout=10)
            return super().write(text)

    answers: list[Any] = []
    code = main(
        ["--source", "any", "--port", "0", "--keep", str(tmp_path / "kept"), "--max-frames", "5"],
        load=SevenReader,
        open_frames=lambda *_: ListSource([sheet((40, 40))] * 2),
        stdout=Out(),
        environment={},
    )
    assert code == 0
    assert answers == [{"ok": True, "source": False}]
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--host", "0.0.0.0"], 2, "can be reached by others"),
        (["--port", "70000"], 2, "expected 0 to 65535"),
        (["--host", "127.0.0.1", "--model", "nowhere", "--source", "demo"], 1, "no model nowhere"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str], code: int, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert reason in refusal(main, capsys, arguments, code)


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str], parts: Parts) -> None:
    with Server(make_app(parts), "127.0.0.1", 0) as server:
        line = refusal(main, capsys, ["--source", "demo", "--port", str(server.port)], 1)
    assert f"127.0.0.1:{server.port}" in line
    assert "--port" in line
