"""Triggers by MQTT: a message to a topic takes a picture; the verdict goes to TOPIC/answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import SplitResult, unquote

from panda_edge.stream.frame import Outcome
from panda_edge.stream.mqtt_client import imported, mqtt_client
from panda_edge.stream.sinks.jsonl import json_bytes
from panda_edge.stream.trigger.answer import answer_of
from panda_edge.stream.trigger.triggers import Answer

_LONGEST_PAUSE = 10  # seconds before the broker is tried again
_MOST_ECHO = 1000  # bytes of a message that its answer repeats, so that the caller knows whose it is


class MqttTrigger:
    """Any message but a retained one, which may be days old, is a trigger; the answer repeats its text as `trigger`."""

    def __init__(self, parts: SplitResult, fire: Callable[[Answer], None], say: Callable[[str], None]) -> None:
        """say: one line, where the broker is lost and found. Raises PandaError: the extra is missing."""
        self._topic = unquote(parts.path.strip("/"))
        self._fire = fire
        self._say = say
        self._client = mqtt_client(imported("--trigger mqtt://"), parts, _LONGEST_PAUSE)
        self._client.on_connect = self._connected
        self._client.on_disconnect = lambda *_: self._say("the broker of --trigger is lost")
        self._client.on_message = self._called
        self._client.loop_start()

    def close(self) -> None:
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            client.subscribe(self._topic, qos=1)
            self._say(f"--trigger listens to {self._topic}")

    def _called(self, client: Any, userdata: Any, message: Any) -> None:
        if not message.retain:
            self._fire(partial(self._answer, bytes(message.payload)[:_MOST_ECHO].decode(errors="replace")))

    def _answer(self, asked: str, outcomes: list[Outcome | None]) -> None:
        self._client.publish(f"{self._topic}/answer", json_bytes({"trigger": asked, **answer_of(outcomes)}), qos=1)
