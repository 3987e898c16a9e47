"""The flow of examples/line in a Node-RED, between a broker and `watch`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from benchmarks.lib.plc import free_port

from mqtt_broker import Broker

FLOW = Path(__file__).resolve().parents[2] / "examples" / "line" / "node_red.json"
PANDA_EDGE = Path(sys.executable).with_name("panda-edge")
WITHIN = 120.0  # seconds


@pytest.mark.slow
def test_alarms_go_their_own_way(
    broker: Broker, calibrated_bundles: dict[str, Path], sample_data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'panda-edge[mqtt]'")
    node_red = shutil.which("node-red")
    if node_red is None:
        pytest.skip("needs Node-RED: npm install --global node-red")
    nodes = json.loads(FLOW.read_text(encoding="utf-8"))
    place = {"broker": "127.0.0.1", "port": str(broker.port)}
    for node in nodes:  # what the debug nodes say goes to stdout, too
        node |= {"mqtt-broker": place, "debug": {"console": True}}.get(node["type"], {})
    (tmp_path / "flow.json").write_text(json.dumps(nodes))
    with ExitStack() as stack:
        output = stack.enter_context((tmp_path / "said").open("w"))
        command = [node_red, "--userDir", tmp_path / "red", "--port", str(free_port()), tmp_path / "flow.json"]
        red = stack.enter_context(subprocess.Popen(list(map(str, command)), stdout=output, stderr=output))
        stack.callback(red.terminate)
        said(tmp_path, "Connected to broker", 1)
        options = ["--once", "--fpr", "0.3", "--mqtt", f"mqtt://127.0.0.1:{broker.port}/line1", "--send", "all"]
        files = ["--spool", tmp_path / "spool", "--jsonl", tmp_path / "lines"]
        watch = [PANDA_EDGE, "watch", calibrated_bundles["gaussian"], sample_data / "test", *options, *files]
        subprocess.run(list(map(str, watch)), check=True, capture_output=True, timeout=WITHIN)
        frames = [line for line in map(json.loads, (tmp_path / "lines").read_text().splitlines()) if "frame" in line]
        alarms = sum(bool(frame["anomalous"]) for frame in frames)
        assert 0 < alarms < len(frames)
        assert said(tmp_path, "[debug:alarm]", alarms) == alarms
        assert said(tmp_path, "[debug:normal, not judged, notices]", len(frames) - alarms) >= len(frames) - alarms


def said(folder: Path, what: str, times: int) -> int:
    """How often Node-RED said something, once it has said it so often."""
    until = time.monotonic() + WITHIN
    while (found := (text := (folder / "said").read_text()).count(what)) < times:
        assert time.monotonic() < until, text
        time.sleep(0.1)
    return found
