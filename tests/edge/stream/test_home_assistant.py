"""Home Assistant's discovery message, through a real broker; no Home Assistant reads it here."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.plc import free_port

from panda_edge.errors import PandaError
from panda_edge.stream.sinks.mqtt import Mqtt


def test_one_retained_message(tmp_path: Path) -> None:
    mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'panda-edge[mqtt]'")
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if mosquitto is None:
        pytest.skip("needs a broker: apt-get install mosquitto")
    port, got = free_port(), dict[str, Any]()
    (tmp_path / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = subprocess.Popen([mosquitto, "-c", str(tmp_path / "m.conf")], stderr=subprocess.DEVNULL)
    sender = Mqtt(f"mqtt://127.0.0.1:{port}/line/1?homeassistant")
    reader = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    reader.on_message = lambda _, __, message: got.update({message.topic: message.payload})
    try:
        until = time.monotonic() + 20
        while not sender._client.is_connected() or sender._own:  # until the broker has all that it was told
            assert time.monotonic() < until
            time.sleep(0.05)
        with suppress(OSError):
            reader.connect("127.0.0.1", port)
        reader.subscribe("homeassistant/#", qos=1)  # later: only what is retained still comes
        reader.loop_start()
        while not got:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        reader.loop_stop()
        reader.disconnect()
        sender.close()
        broker.terminate()
        broker.wait(10)
    ((topic, payload),) = got.items()
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
