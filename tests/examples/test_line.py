"""The line in containers: checked, not run. The MQTT consumer: run, on what `watch` sends, by a stand-in broker."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LINE = EXAMPLES / "line"


@pytest.fixture
def services() -> dict:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install 'panda-edge[test]'")
    return yaml.safe_load((LINE / "compose.yaml").read_text())["services"]


class TestCompose:
    def test_what_it_mounts_is_there(self, services: dict) -> None:
        own = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
        assert len(own) == 5
        given = {"./parts.panda", "./incoming", "state"}  # by the user, and by the engine
        assert [place for place in own if place not in given and not (LINE / place).exists()] == []

    def test_it_builds_an_image_that_is_there(self, services: dict) -> None:
        build = services["watch"]["build"]
        dockerfile = (LINE / build["context"] / build["dockerfile"]).read_text()
        assert f" AS {build['target']}\n" in dockerfile

    def test_services_find_one_another(self, services: dict) -> None:
        yaml = pytest.importorskip("yaml")
        assert set(services) == {"watch", "broker", "prometheus", "grafana"}
        assert f"--mqtt mqtt://{services['watch']['depends_on'][0]}/line1" in services["watch"]["command"]
        scraped = yaml.safe_load((LINE / "prometheus.yaml").read_text())["scrape_configs"][0]["static_configs"]
        assert scraped == [{"targets": ["watch:9100"]}]
        assert "--metrics 0.0.0.0:9100" in services["watch"]["command"]

    def test_no_port_is_open_to_the_network(self, services: dict) -> None:
        ports = [port for service in services.values() for port in service.get("ports", ())]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_watch_knows_its_options(self, services: dict) -> None:
        asked = {word for word in services["watch"]["command"].split() if word.startswith("--")}
        panda_edge = Path(sys.executable).with_name("panda-edge")
        said = subprocess.run(
            [panda_edge, "watch", "--help"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
        ).stdout
        assert len(asked) == 3
        assert [option for option in asked if option not in said] == []


def test_the_node_red_flow_hangs_together() -> None:
    nodes = json.loads((LINE / "node_red.json").read_text())
    ids = [node["id"] for node in nodes]
    assert len(set(ids)) == len(ids)
    assert {node["type"] for node in nodes} == {"tab", "mqtt-broker", "mqtt in", "switch", "debug"}
    kinds = {node["id"]: node["type"] for node in nodes}
    for node in nodes:
        assert [to for wires in node.get("wires", ()) for to in wires if to not in ids] == []
        assert kinds.get(node.get("z", "tab")) == "tab"
        # Node-RED takes any value that is a node's id for that node: one that names itself is a circle.
        if node["type"] == "mqtt-broker":
            assert list(node.values()).count(node["id"]) == 1
        if node["type"] == "mqtt in":
            assert kinds[node["broker"]] == "mqtt-broker"
        if node["type"] == "switch":
            assert node["outputs"] == len(node["rules"]) == len(node["wires"])
            assert node["property"] == "payload.anomalous"


def packet(kind: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        size, low = divmod(size, 128)
        length += bytes([low | (128 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


def read_packet(connection: socket.socket) -> tuple[int, bytes]:
    kind, size, shift = connection.recv(1)[0], 0, 0
    while True:
        byte = connection.recv(1)[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    body = b""
    while len(body) < size:
        body += connection.recv(size - len(body))
    return kind >> 4, body


def broker(server: socket.socket, events: list[dict]) -> None:
    """As much of MQTT 3.1.1 as a subscriber needs: each event twice, as at-least-once allows."""
    connection, _ = server.accept()
    with connection:
        connect, _ = read_packet(connection)
        connection.sendall(b"\x20\x02\x00\x00")
        subscribe, body = read_packet(connection)
        assert (connect, subscribe) == (1, 8)
        connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
        topic = body[4 : 4 + int.from_bytes(body[2:4], "big")]
        number = 0
        for event in events:
            for _ in range(2):
                number += 1
                head = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big")
                connection.sendall(packet(0x32, head + json.dumps(event).encode()))
        for _ in range(2 * len(events)):
            kind, _ = read_packet(connection)
            assert kind == 4  # PUBACK


def test_the_consumer_says_each_event_once(
    calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'panda-edge[mqtt]'")
    incoming = tmp_path / "incoming"
    shutil.copytree(sample_data / "test" / "hole", incoming)
    (incoming / "cut.png").write_bytes(b"cut off")
    lines = tmp_path / "watch.jsonl"
    watch = [Path(sys.executable).with_name("panda-edge"), "watch", calibrated_bundles["exact"], incoming, "--once"]
    subprocess.run([*watch, "--jsonl", lines], capture_output=True, timeout=120)
    events = [json.loads(line) for line in lines.read_text().splitlines()]
    judged = [event for event in events if event.get("score") is not None]
    assert len(judged) == 3
    assert any(event.get("not_judged") for event in events)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=broker, args=(server, events))
        thread.start()
        port = server.getsockname()[1]
        command = [sys.executable, EXAMPLES / "mqtt_consumer.py", f"127.0.0.1:{port}", "line1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as consumer:
            said = [consumer.stdout.readline() for _ in events]  # type: ignore[union-attr]
            thread.join(30)
            consumer.kill()
            rest = consumer.stdout.read()  # type: ignore[union-attr]
    assert not thread.is_alive()
    assert rest == ""
    for event, line in zip(events, said, strict=True):
        if event.get("score") is not None:
            assert f"{'ANOMALOUS' if event['anomalous'] else 'normal'} {event['score']}" in line
        else:
            assert str(event.get("not_judged") or event["text"]) in line
