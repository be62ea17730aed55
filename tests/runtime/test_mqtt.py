"""Against a real broker, mosquitto, on this machine."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from runtime.errors import SinkError, UsageError
from runtime.mqtt import MqttSettings, MqttSink, discovery
from runtime.values import Box, Frame, Number, Prediction, Reading, Result

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def frame(index: int) -> Frame:
    return Frame(np.zeros((48, 64), np.uint8), None, index, float(index))


def result(text: str) -> Result:
    box = Box(1, 2, 3, 4)
    readings = tuple(Reading(box, label, 0.9, Prediction(np.ones(1, np.float32))) for label in text)
    return Result(readings, (), (Number(text, box, 0.9, readings),) if text else ())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Broker:
    """A mosquitto that can be stopped and started again; what it is told of is kept by a subscriber."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text("\n".join([f"listener {self.port} 127.0.0.1", *lines]) + "\n")
        self.start()

    def start(self) -> Self:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens)
        return self

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            return False
        return True


class Subscriber:
    def __init__(self, broker: Broker, topic: str = "#") -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: list[tuple[str, str, bool, int]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        ready = threading.Event()

        def subscribe(client: Any, *_: Any) -> None:
            client.subscribe(topic, qos=2)

        self._client.on_connect = subscribe
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload.decode(), bool(message.retain), message.qos)
        )
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert ready.wait(10)

    def of(self, topic: str) -> list[str]:
        return [payload for name, payload, _, _ in self.messages if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    pytest.importorskip("paho.mqtt.client")
    if MOSQUITTO is None:
        pytest.skip("no mosquitto here: apt install mosquitto")
    running = Broker(tmp_path, "allow_anonymous true")
    yield running
    running.stop()


def test_what_changes_is_published_and_stays_for_who_comes_later(broker: Broker) -> None:
    watching = Subscriber(broker)
    with MqttSink(MqttSettings(broker.url, "shelf/scale", qos=1), "camera 0") as sink:
        wait_until(lambda: watching.of("shelf/scale/status") == ["online"])
        for index, text in enumerate(["407", "407", "408", "408"]):
            sink.write(frame(index), result(text))
        wait_until(lambda: len(watching.of("shelf/scale/reading")) == 2)
        first, second = map(json.loads, watching.of("shelf/scale/reading"))
        assert (first["frame"], first["numbers"][0]["text"], first["source"]) == (0, "407", "camera 0")
        assert (second["frame"], second["numbers"][0]["text"]) == (2, "408")
        assert {qos for topic, _, _, qos in watching.messages if topic.endswith("/reading")} == {1}
        late = Subscriber(broker)
        wait_until(lambda: late.of("shelf/scale/reading") and late.of("shelf/scale/status"))
        assert json.loads(late.of("shelf/scale/reading")[0])["frame"] == 2
        late.close()
    wait_until(lambda: watching.of("shelf/scale/status") == ["online", "offline"])
    watching.close()


def test_home_assistant_finds_the_sensor(broker: Broker) -> None:
    watching = Subscriber(broker, "homeassistant/#")
    with MqttSink(MqttSettings(broker.url, "shelf/scale"), "camera 0"):
        wait_until(lambda: watching.messages)
    ((topic, payload, _, _),) = watching.messages
    assert (topic, json.loads(payload)) == discovery("shelf/scale")
    assert topic == "homeassistant/sensor/shelf_scale/numbers/config"
    assert json.loads(payload)["state_topic"] == "shelf/scale/reading"
    watching.close()


def test_the_broker_says_offline_when_the_process_is_killed(broker: Broker) -> None:
    watching = Subscriber(broker)
    script = (
        "import time; from runtime.mqtt import MqttSink, MqttSettings\n"
        f"sink = MqttSink(MqttSettings({broker.url!r}), 'x'); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).resolve().parents[2])
    wait_until(lambda: watching.of("edge-digits/status") == ["online"])
    process.kill()
    process.wait()
    wait_until(lambda: watching.of("edge-digits/status") == ["online", "offline"], 40)
    watching.close()


def test_a_broker_that_goes_and_comes_again_is_told_again(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), MqttSink(MqttSettings(broker.url), "camera 0") as sink:
        wait_until(lambda: "connected" in caplog.text)
        broker.stop()
        wait_until(lambda: "lost the MQTT broker" in caplog.text)
        started = time.monotonic()
        for index in range(1000):  # nobody is there: it must neither wait nor pile up
            sink.write(frame(index), result(str(index)))
        assert time.monotonic() - started < 1
        assert sink.dropped > 0
        broker.start()
        watching = Subscriber(broker)
        # Once or twice: what the old connection left unanswered is sent again.
        wait_until(lambda: watching.of("edge-digits/status")[-1:] == ["online"], 30)
        # What lies in view since then is told without another change, and nothing older.
        wait_until(lambda: watching.of("edge-digits/reading"))
        assert {json.loads(text)["frame"] for text in watching.of("edge-digits/reading")} == {last(sink)}
        sink.write(frame(2000), result("2000"))
        wait_until(lambda: json.loads(watching.of("edge-digits/reading")[-1])["frame"] == 2000)
        watching.close()


def last(sink: MqttSink) -> int:
    """The frame whose reading was told last, before a quiet time held later ones back."""
    index: int = json.loads(sink._told)["frame"]
    return index


def test_what_is_in_view_before_the_broker_is_there_is_told_once_it_is(broker: Broker) -> None:
    broker.stop()
    with MqttSink(MqttSettings(broker.url), "camera 0") as sink:
        for index in range(3):
            sink.write(frame(index), result("407"))
        assert (sink.written, sink.dropped) == (0, 0)
        broker.start()
        watching = Subscriber(broker)
        wait_until(lambda: watching.of("edge-digits/reading"), 40)
        assert json.loads(watching.of("edge-digits/reading")[0])["numbers"][0]["text"] == "407"
        assert sink.written == 1
        watching.close()


class Stalled:
    """A client of paho's whose broker takes nothing any more."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def is_connected(self) -> bool:
        return True

    def publish(self, *_: Any, **__: Any) -> Any:
        class Message:
            rc = 0

            def is_published(message) -> bool:  # noqa: N805
                raise self._error("The connection was lost.")

            def wait_for_publish(message, _: float) -> None:  # noqa: N805
                raise self._error("Message is not queued due to ERR_QUEUE_SIZE")

        return Message()

    def disconnect(self) -> None: ...

    def loop_stop(self) -> None: ...


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_what_paho_could_not_send_ends_nothing(error: type[Exception]) -> None:
    pytest.importorskip("paho.mqtt.client")
    sink = MqttSink(MqttSettings(f"mqtt://127.0.0.1:{free_port()}"), "camera 0")
    sink._client.loop_stop()
    sink._client = Stalled(error)  # type: ignore[assignment]
    for index in range(300):
        sink.write(frame(index), result(str(index)))
    sink.close()
    assert sink.written > 0


def test_a_broker_that_is_not_there_is_said_once_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("paho.mqtt.client")
    url = f"mqtt://127.0.0.1:{free_port()}"
    with caplog.at_level(logging.INFO), MqttSink(MqttSettings(url), "camera 0") as sink:
        sink.write(frame(0), result("1"))
        time.sleep(2.5)
    assert (sink.written, sink.dropped) == (0, 1)
    (record,) = [record for record in caplog.records if record.name == "runtime.mqtt"]
    assert record.message.startswith("no MQTT broker answers at 127.0.0.1:")


def test_a_broker_that_refuses_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("paho.mqtt.client")
    if MOSQUITTO is None:
        pytest.skip("no mosquitto here: apt install mosquitto")
    closed = Broker(tmp_path, "allow_anonymous false")
    url = closed.url.replace("mqtt://", "mqtt://someone:secret@")
    try:
        with caplog.at_level(logging.INFO), MqttSink(MqttSettings(url), "camera 0"):
            wait_until(lambda: "refuses: Not authorized" in caplog.text)
    finally:
        closed.stop()
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "host",
        "http://host",
        "mqtt://",
        "mqtt://host:port",
        "mqtt://user:secret@host:99999",
        "mqtt://host/topic",
        "mqtt://a..b",
    ],
)
def test_what_is_no_address_is_wrong_usage_and_no_password_is_shown(url: str) -> None:
    pytest.importorskip("paho.mqtt.client")
    with pytest.raises(UsageError, match="--mqtt is no address") as raised:
        MqttSink(MqttSettings(url), "camera 0")
    assert "secret" not in str(raised.value)


def test_without_the_package_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(SinkError, match=r'pip install "edge-digits\[mqtt\]"'):
        MqttSink(MqttSettings("mqtt://127.0.0.1"), "camera 0")


def test_any_topic_makes_an_identity_that_home_assistant_takes() -> None:
    topic, configuration = discovery("küche/scale 1")
    assert topic == "homeassistant/sensor/küche_scale_1/numbers/config"
    assert configuration["unique_id"] == "küche_scale_1_numbers"
