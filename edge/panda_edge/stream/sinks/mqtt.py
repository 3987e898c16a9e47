"""Events to an MQTT broker, each acknowledged by it (QoS 1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Condition
from typing import Any
from urllib.parse import unquote, urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.mqtt_client import broker_port, imported, mqtt_client
from panda_edge.stream.sinks.home_assistant import discovery
from panda_edge.stream.sinks.jsonl import json_bytes
from panda_edge.stream.sinks.spool import Event

_MOST_TEXT = 65_000  # bytes that the protocol takes of a name
_LONGEST_PAUSE = 30  # seconds before the broker is tried again
_SECONDS = 10.0  # within which the broker must have acknowledged a batch


class Mqtt:
    """Publishes events to a topic, and to TOPIC/status, retained, whether we are `online`.

    An event's id is in its payload; a receiver that sees one twice may drop it.
    """

    def __init__(self, address: str) -> None:
        """address: mqtt://[user:password@]host[:1883]/topic, or mqtts:// (8883); with ?homeassistant behind it Home
        Assistant is told of the device. Raises PandaError."""
        try:
            parts = urlsplit(address)
            port = broker_port(parts)
            topic = unquote(parts.path.strip("/"))
            # What is no text, or no host's name, would fail in a thread of the library's.
            (parts.hostname or "").encode("idna")
            written = f"{topic}/status{unquote(parts.username or '')}{unquote(parts.password or '')}".encode()
        except ValueError:
            raise PandaError("--mqtt: expected an address such as mqtt://host:1883/topic") from None
        self._topic = topic
        usable = parts.scheme in ("mqtt", "mqtts") and parts.hostname and topic and len(written) < _MOST_TEXT
        if not usable or "#" in address or "+" in topic or b"\0" in written:  # a filter, not a topic
            raise PandaError("--mqtt: expected an address such as mqtt://host:1883/topic")
        if parts.query not in ("", "homeassistant"):
            raise PandaError("--mqtt: after the topic comes nothing, or ?homeassistant")
        self._discovery = discovery(topic) if parts.query else None
        self.name = f"{parts.scheme}://{parts.hostname}:{port}/{self._topic}"
        mqtt = imported("--mqtt")
        self._full = mqtt.MQTT_ERR_QUEUE_SIZE
        self._under_way: dict[int, int] = {}  # the batch at work: messages' numbers by their events'
        self._changed = Condition()
        self._arrived: set[int] = set()
        self._own: set[int] = set()  # numbers of messages that are no events
        self._client = mqtt_client(mqtt, parts, _LONGEST_PAUSE)
        self._client.will_set(f"{self._topic}/status", "offline", qos=1, retain=True)
        self._client.on_connect = self._greet
        self._client.on_publish = self._acknowledged
        self._client.loop_start()

    def deliver(self, events: Sequence[Event]) -> None:
        """Publish events and wait until the broker has them all. Raises PandaError."""
        until = time.monotonic() + _SECONDS
        while not self._client.is_connected():
            if time.monotonic() > until:
                raise PandaError(f"{self.name}: the broker cannot be reached")
            time.sleep(0.05)
        # What was published is under way, over lost connections, too: published anew it would come twice.
        seqs = {event.seq for event in events}
        self._under_way = {seq: mid for seq, mid in self._under_way.items() if seq in seqs}
        for event in events:
            if event.seq not in self._under_way:
                self._under_way[event.seq] = self._published(event)
        mids = set(self._under_way.values())
        with self._changed:
            if not self._changed.wait_for(lambda: mids <= self._arrived, max(until - time.monotonic(), 0.001)):
                raise PandaError(f"{self.name}: the broker does not acknowledge")
            self._arrived -= mids
        self._under_way = {}

    def _published(self, event: Event) -> int:
        """The message's number. Raises PandaError."""
        try:
            message = self._client.publish(self._topic, event.payload, qos=1)
        except ValueError as error:  # more bytes than the protocol takes
            raise PandaError(f"{self.name}: {error}") from error
        if message.rc == self._full:
            raise PandaError(f"{self.name}: the broker does not acknowledge")
        return int(message.mid)

    def close(self) -> None:
        if self._client.is_connected():
            message = self._client.publish(f"{self._topic}/status", "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):  # lost since, or no room left: the broker sends our will
                message.wait_for_publish(1.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _greet(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            message = client.publish(f"{self._topic}/status", "online", qos=1, retain=True)
            if self._discovery is not None:
                where, what = self._discovery
                self._own.add(client.publish(where, json_bytes(what), qos=1, retain=True).mid)
            self._own.add(message.mid)  # before its acknowledgement, which this thread reads

    def _acknowledged(self, client: Any, userdata: Any, mid: int, code: Any, properties: Any) -> None:
        if mid in self._own:
            self._own.discard(mid)
            return
        with self._changed:
            self._arrived.add(mid)
            self._changed.notify_all()
