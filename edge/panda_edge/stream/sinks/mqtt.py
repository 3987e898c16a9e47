"""Events to an MQTT broker, each acknowledged by it (QoS 1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.sinks.spool import Event

_SECONDS = 10.0  # within which the broker must have acknowledged a batch


class Mqtt:
    """Publishes events to a topic, and to TOPIC/status, retained, whether we are `online`.

    An event's id is in its payload; a receiver that sees one twice may drop it.
    """

    def __init__(self, address: str) -> None:
        """address: mqtt://[user:password@]host[:1883]/topic, or mqtts:// (8883). Raises PandaError."""
        try:
            parts = urlsplit(address)
            port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        except ValueError:
            raise PandaError("--mqtt: expected an address such as mqtt://host:1883/topic") from None
        self._topic = unquote(parts.path.strip("/"))
        usable = parts.scheme in ("mqtt", "mqtts") and parts.hostname and self._topic
        if not usable or "#" in address or "+" in self._topic:  # a filter, not a topic
            raise PandaError("--mqtt: expected an address such as mqtt://host:1883/topic")
        self.name = f"{parts.scheme}://{parts.hostname}:{port}/{self._topic}"
        mqtt = _imported()
        self._mqtt = mqtt
        self._client: Any = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if parts.username is not None:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(f"{self._topic}/status", "offline", qos=1, retain=True)
        self._client.on_connect = self._greet
        self._client.reconnect_delay_set(1, 30)
        self._client.connect_timeout = _SECONDS
        self._client.connect_async(parts.hostname, port, keepalive=20)
        self._client.loop_start()

    def deliver(self, events: Sequence[Event]) -> None:
        """Publish events and wait until the broker has them all. Raises PandaError."""
        until = time.monotonic() + _SECONDS
        while not self._client.is_connected():
            if time.monotonic() > until:
                raise PandaError(f"{self.name}: the broker cannot be reached")
            time.sleep(0.05)
        sent = [self._client.publish(self._topic, event.payload, qos=1) for event in events]
        for message in sent:
            try:
                message.wait_for_publish(max(until - time.monotonic(), 0.001))
                arrived = message.is_published()
            except (RuntimeError, ValueError) as error:
                raise PandaError(f"{self.name}: {error}") from error
            if not arrived:
                raise PandaError(f"{self.name}: the broker does not acknowledge")

    def close(self) -> None:
        if self._client.is_connected():
            self._client.publish(f"{self._topic}/status", "offline", qos=1, retain=True).wait_for_publish(1.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _greet(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            client.publish(f"{self._topic}/status", "online", qos=1, retain=True)


def _imported() -> Any:
    try:
        import paho.mqtt.client as mqtt
    except ImportError as error:
        raise PandaError("--mqtt needs paho-mqtt: pip install 'panda-edge[mqtt]'") from error
    return mqtt
