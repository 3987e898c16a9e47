"""A real broker, and a client that has subscribed before it is used."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from benchmarks.lib.plc import free_port


class Broker:
    """mosquitto on a port of its own. It can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if found is None:
            pytest.skip("needs a broker: apt-get install mosquitto")
        self.port = free_port()
        settings = folder / "mosquitto.conf"
        settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._command = [found, "-c", str(settings)]
        self.start()

    def start(self) -> None:
        """Returns once it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the broker does not listen")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Listener:
    """Subscribes to a topic and what is below it; `got` holds (topic, payload), `client` may publish."""

    def __init__(self, port: int, topic: str) -> None:
        mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'panda-edge[mqtt]'")
        self.got: list[tuple[str, bytes]] = []
        ready = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{topic}/#", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda client, data, message: self.got.append((message.topic, message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(10)

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for name, payload in self.got if name == topic]

    def wait_for(self, topic: str, number: int = 1, seconds: float = 20) -> list[bytes]:
        """The payloads of a topic once there are `number` of them."""
        until = time.monotonic() + seconds
        while len(self.payloads(topic)) < number:
            assert time.monotonic() < until, self.got
            time.sleep(0.02)
        return self.payloads(topic)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
