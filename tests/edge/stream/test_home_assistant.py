"""Home Assistant's discovery message, through a real broker; no Home Assistant reads it here."""

from __future__ import annotations

import json
import time

import pytest

from mqtt_broker import Broker, Listener
from panda_edge.errors import PandaError
from panda_edge.stream.sinks.mqtt import Mqtt


def test_one_retained_message(broker: Broker) -> None:
    sender = Mqtt(f"mqtt://127.0.0.1:{broker.port}/line/1?homeassistant")
    until = time.monotonic() + 20
    while not sender._client.is_connected() or sender._own:  # until the broker has all that it was told
        assert time.monotonic() < until
        time.sleep(0.05)
    reader = Listener(broker.port, "homeassistant")  # later: only what is retained still comes
    while not reader.got:
        assert time.monotonic() < until
        time.sleep(0.05)
    reader.close()
    sender.close()
    ((topic, payload),) = reader.got
    told = json.loads(payload)
    (identity,) = told["device"]["identifiers"]
    assert topic == f"homeassistant/device/{identity}/config"
    assert told["availability_topic"] == "line/1/status"
    for entity in told["components"].values():
        assert entity["state_topic"] == "line/1"
    assert told["components"]["anomaly"]["platform"] == "binary_sensor"


def test_other_queries_are_refused() -> None:
    with pytest.raises(PandaError, match="homeassistant"):
        Mqtt("mqtt://host/topic?qos=2")
