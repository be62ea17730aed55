"""Readings for an MQTT broker, and so for Home Assistant, which finds them by itself."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from runtime.errors import SinkError, UsageError
from runtime.sinks import Changes, Closing, json_line, result_values
from runtime.values import Frame, Result

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 15
"""Silence after which the broker and we take each other for gone; the last will is published then."""

DISCOVERY_PREFIX = "homeassistant"
"""Where Home Assistant looks for new things, unless told otherwise."""

_WAITING = 100  # messages that may be on their way to the broker; more wait for room, the newest alone


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where messages go.

    Attributes:
        url: ``mqtt://[user:password@]host[:port]``; ``mqtts`` for an encrypted connection.
        topic: what the topics begin with: ``<topic>/reading`` and ``<topic>/status``.
        qos: 0 at most once, 1 at least once, 2 exactly once.
        quiet_seconds: between two readings at least.
    """

    url: str
    topic: str = "edge-digits"
    qos: int = 0
    quiet_seconds: float = 0.5


class MqttSink(Closing):
    """Publishes what was read whenever it changes, retained, as the JSON line of ``--json``.

    ``<topic>/status`` holds ``online`` or, by the broker itself when the connection breaks, ``offline``. A broker that
    is not there is tried again and again; once it is, it is told the newest reading, and those before are dropped.

    Attributes:
        name: what the user calls it.
        written: messages handed to the broker's connection.
        dropped: readings that the broker was never told: a newer one took their place, or the run ended.
        failed: always 0; what fails is tried again.
    """

    name = "--mqtt"

    def __init__(self, settings: MqttSettings, source: str) -> None:
        """Start connecting.

        Raises:
            SinkError: paho-mqtt is not installed.
            UsageError: the address is none.
        """
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise SinkError('--mqtt needs paho-mqtt: pip install "edge-digits[mqtt]"') from error
        host, port, encrypted, user, password = _address(settings.url)
        self.written = self.dropped = self.failed = 0
        self._lock = threading.Lock()
        self._told = ""  # the newest reading, and whether it still waits
        self._held = False
        self._settings = settings
        self._source = source
        self._changes = Changes(settings.quiet_seconds)
        self._latest: dict[str, Any] | None = None
        self._waiting: deque[Any] = deque()
        self._said_trouble = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(_WAITING)
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        self._client.will_set(self._topic("status"), "offline", qos=1, retain=True)
        if user:
            self._client.username_pw_set(user, password)
        if encrypted:
            self._client.tls_set_context(ssl.create_default_context())
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_connect_fail = self._failed
        self._where = f"{host}:{port}"
        self._client.connect_async(host, port, keepalive=KEEPALIVE_SECONDS)
        self._client.loop_start()

    def write(self, frame: Frame, result: Result) -> None:
        """Publish, if what is read has changed; never waits."""
        texts = tuple(number.text for number in result.numbers)
        if self._changes(frame.seconds, texts):
            self._publish(result_values(frame, result, self._source))
        elif self._changes.pending:
            self._latest = result_values(frame, result, self._source)
        if self._held:
            with self._lock:
                self._send()

    def close(self) -> None:
        """Publish the change that was held back, say goodbye and disconnect."""
        if self._changes.pending and self._latest:
            self._publish(self._latest)
        if self._client.is_connected():
            with suppress(RuntimeError, ValueError):  # which paho raises of what it could not send
                self._client.publish(self._topic("status"), "offline", qos=1, retain=True).wait_for_publish(2.0)
        self._client.disconnect()
        self._client.loop_stop()
        self.dropped += self._held
        self._held = False

    def _publish(self, values: dict[str, Any]) -> None:
        with self._lock:
            self.dropped += self._held
            self._told, self._held = json_line(values), True
            self._send()

    def _send(self) -> None:
        """Publish the newest reading; it is held where nobody is there, or where too much is on its way already."""
        while self._waiting and _is_done(self._waiting[0]):
            self._waiting.popleft()
        if not self._told or not self._client.is_connected() or len(self._waiting) >= _WAITING:
            return
        message = self._client.publish(self._topic("reading"), self._told, self._settings.qos, retain=True)
        self._held = message.rc != 0
        if not self._held:
            self.written += 1
            self._waiting.append(message)

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the MQTT broker at %s refuses: %s", self._where, reason)
            return
        log.info("connected to the MQTT broker at %s, topic %s", self._where, self._settings.topic)
        self._said_trouble = False
        topic, configuration = discovery(self._settings.topic)
        client.publish(topic, json.dumps(configuration), qos=1, retain=True)
        client.publish(self._topic("status"), "online", qos=1, retain=True)
        with self._lock:  # again, were it told already: of what was on its way nobody knows
            self._send()

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("lost the MQTT broker at %s: %s; trying again", self._where, reason)

    def _failed(self, _client: Any, _data: Any) -> None:
        if not self._said_trouble:
            log.warning("no MQTT broker answers at %s; trying again until one does", self._where)
        self._said_trouble = True

    def _topic(self, name: str) -> str:
        return f"{self._settings.topic}/{name}"


def _is_done(message: Any) -> bool:
    """Whether nothing more will come of a message: it was sent, or lost with its connection."""
    try:
        return bool(message.is_published())
    except (RuntimeError, ValueError):  # which paho raises of what it could not send
        return True


def discovery(topic: str) -> tuple[str, dict[str, Any]]:
    """Where and how Home Assistant is told of the sensor (its documentation of MQTT discovery)."""
    identity = "".join(letter if letter.isalnum() else "_" for letter in topic)
    return f"{DISCOVERY_PREFIX}/sensor/{identity}/numbers/config", {
        "name": "Numbers",
        "unique_id": f"{identity}_numbers",
        "state_topic": f"{topic}/reading",
        "value_template": "{{ (value_json.numbers | map(attribute='text') | join(' '))[:255] }}",
        "availability_topic": f"{topic}/status",
        "icon": "mdi:numeric",
        "device": {"identifiers": [identity], "name": topic, "model": "edge-digits"},
    }


def _address(url: str) -> tuple[str, int, bool, str, str]:
    """Host, port, whether to encrypt, user, password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--mqtt is no address: {error}; expected mqtt://host:1883") from error
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
        raise UsageError("--mqtt is no address such as mqtt://host:1883 or mqtts://user:password@host")
    try:
        parts.hostname.encode("idna")  # as connecting does
    except UnicodeError as error:
        raise UsageError(f"--mqtt is no address: {parts.hostname!r} is no name of a host") from error
    encrypted = parts.scheme == "mqtts"
    return (
        parts.hostname,
        port or (8883 if encrypted else 1883),
        encrypted,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )
