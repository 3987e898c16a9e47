"""Triggers: one picture each, answered within the deadline, or counted and never OK."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.plc import Plc, free_port
from PIL import Image

from mqtt_broker import Broker, Listener
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Outcome
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.line.address import Timing
from panda_edge.stream.line.line import Line
from panda_edge.stream.line.signals import Limits, Signals
from panda_edge.stream.loop import Loop
from panda_edge.stream.trigger.address import parse_trigger
from panda_edge.stream.trigger.open import listen
from panda_edge.stream.trigger.triggers import Triggers


class Shown:
    """What a machine was shown, in order."""

    name = "shown"

    def __init__(self) -> None:
        self.told: list[Signals] = []

    def write(self, source: int, signals: Signals) -> None:
        self.told.append(signals)

    def beat(self, count: int) -> None:
        pass

    def close(self) -> None:
        pass


class Station:
    """A camera of 100 pictures a second, judged on triggers, with a line."""

    def __init__(self, bundle: Path, camera: Any, address: str, fpr: float = 0.01) -> None:
        self.address = parse_trigger(address)
        self.missed: list[str] = []
        self.triggers = Triggers(["list"], self.address.deadline, self.address.after, self._tell)
        self.judged: list[Outcome] = []
        self.slow = 0.0
        self.shown = Shown()
        self._closing = ExitStack()
        self.loop = Loop(
            lambda: load(bundle, threads=1, fpr=fpr),
            [camera],
            FrameOptions(frozen_after=0),
            self._notice,
            gate=self.triggers,
        )
        self.line = Line(
            self.shown, ["list"], Timing(), Limits(), lambda: self.loop.looked, print, self.triggers.is_late
        )
        listen(self.address, self.triggers, self.loop, None, self._closing)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _tell(self, source: str, text: str) -> None:
        self.missed.append(text)
        self.loop.say("trigger_missed", source, text)

    def _notice(self, notice: Any) -> None:
        if hasattr(self, "line"):
            self.line.notice(notice)

    def _run(self) -> None:
        for outcome in self.loop.outcomes():
            time.sleep(self.slow)
            self.judged.append(outcome)
            for sink in (self.triggers, self.line):
                sink.outcome(outcome)

    def close(self) -> None:
        self.loop.stop()
        self._thread.join(20)
        self.line.close(5)
        self.triggers.close(5)
        self._closing.close()


@pytest.fixture
def make_station(bundle_path: Path, list_source: type, pictures: list[Image.Image]) -> Iterator[Callable[..., Station]]:
    stations: list[Station] = []

    def make(address: str, images: int = 100_000, **more: Any) -> Station:
        camera = list_source((pictures * (images // len(pictures) + 1))[:images], live=True, pause=0.01)
        stations.append(Station(bundle_path, camera, address, **more))
        return stations[-1]

    yield make
    for station in stations:
        station.close()


def post(connection: http.client.HTTPConnection, **headers: str) -> tuple[int, dict[str, Any]]:
    connection.request("POST", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
    with connection.getresponse() as answer:
        return answer.status, json.loads(answer.read())


def test_a_call_is_answered_with_one_frames_verdict(make_station: Callable[..., Station]) -> None:
    port = free_port()
    station = make_station(f"http://127.0.0.1:{port}?deadline=5000")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    ids = []
    for _ in range(5):
        status, said = post(connection)
        assert status == 200
        (line,) = said["outcomes"]
        assert said["verdict"] == {True: "NG", False: "OK", None: "not judged"}[line["anomalous"]]
        ids.append(line["id"])
    connection.close()
    assert [outcome.id for outcome in station.judged] == ids  # of hundreds that passed, those that were asked for
    assert (station.triggers.fired, station.triggers.missed) == (5, 0)
    assert station.loop.states[0].passed_over > 0


def test_who_may_call(make_station: Callable[..., Station]) -> None:
    port = free_port()
    station = make_station(f"http://127.0.0.1:{port}?deadline=5000")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    assert post(connection, Origin="http://evil.example")[0] == 403
    connection.request("GET", "/")
    assert connection.getresponse().status == 405
    connection.close()
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")
    assert station.triggers.fired == 0
    with ExitStack() as closing, pytest.raises(PandaError, match="give a token"):
        listen(parse_trigger("http://0.0.0.0:9100?deadline=9"), station.triggers, station.loop, "short", closing)


def test_a_missed_one_is_counted_and_never_ok(make_station: Callable[..., Station]) -> None:
    port = free_port()
    station = make_station(f"http://127.0.0.1:{port}?deadline=150", fpr=0.0001)
    station.slow = 0.4
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    status, said = post(connection)
    assert (status, said) == (504, {"verdict": "missed", "outcomes": [None]})
    time.sleep(1.0)  # its outcome comes, too late
    assert len(station.judged) == 1
    assert station.triggers.missed == 1
    assert "was not judged by then" in station.missed[0]
    states = [signals.state for signals in station.shown.told]
    assert 3 in states
    assert 1 not in states
    station.slow = 0.0
    assert post(connection)[0] == 200
    connection.close()


def test_no_picture_is_missed(make_station: Callable[..., Station]) -> None:
    station = make_station(f"http://127.0.0.1:{free_port()}?deadline=100", images=1)
    time.sleep(0.3)
    answers: list[list[Any]] = []
    station.triggers.fire(answers.append)
    until = time.monotonic() + 10
    while not answers:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert answers == [[None]]
    assert "no picture came" in station.missed[0]


def test_what_was_exposed_before_is_not_taken() -> None:
    triggers = Triggers(["a", "b"], 60.0, 1.0, lambda source, text: None)
    triggers.fire()
    at = time.monotonic()
    assert not triggers.takes("a", 1, at + 0.5)
    assert triggers.takes("a", 2, at + 1.5)
    assert not triggers.takes("a", 3, at + 1.6)  # it has one
    assert triggers.takes("b", 1, at + 1.6)
    triggers.close(5)
    assert triggers.missed == 1


def test_a_plcs_input(make_station: Callable[..., Station]) -> None:
    pytest.importorskip("pymodbus", reason="needs pymodbus: pip install 'panda-edge[plc]'")
    plc = Plc()
    plc.put_input(True)  # on before anyone looked: no edge
    station = make_station(f"modbus://127.0.0.1:{plc.port}/?input=0&deadline=5000")
    time.sleep(0.5)
    assert station.triggers.fired == 0
    for number in range(1, 4):
        for on in (False, True):
            plc.put_input(on)
            time.sleep(0.2)
        until = time.monotonic() + 10
        while len(station.judged) < number:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert station.triggers.fired == 3
    plc.stop()


def test_a_plcs_counter() -> None:
    """Steps that came between two looks are triggers, too; a counter that was set anew is none."""
    pytest.importorskip("pymodbus", reason="needs pymodbus: pip install 'panda-edge[plc]'")
    from panda_edge.stream.trigger.modbus import ModbusTrigger

    plc, fired, said = Plc(), list[Any](), list[str]()
    plc.put_register(50, 65_534)
    trigger = ModbusTrigger("127.0.0.1", plc.port, {"counter": 50, "every": 20}, fired.append, said.append)
    time.sleep(1.0)
    for count, expected in ((65_535, 1), (2, 4), (2, 4), (9000, 4), (9001, 5)):
        plc.put_register(50, count)
        until = time.monotonic() + 10
        while len(fired) < expected:
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.5)
        assert len(fired) == expected
    assert "went from 2 to 9000" in said[0]
    trigger.close()
    plc.stop()
    with pytest.raises(PandaError, match="not both"):
        ModbusTrigger("127.0.0.1", plc.port, {"counter": 50, "input": 0}, fired.append, said.append)


def test_a_message(broker: Broker, make_station: Callable[..., Station]) -> None:
    caller = Listener(broker.port, "look")
    caller.client.publish("look", b"old", qos=1, retain=True).wait_for_publish(10)
    station = make_station(f"mqtt://127.0.0.1:{broker.port}/look?deadline=5000")
    time.sleep(1.5)
    caller.client.publish("look", b"part 7", qos=1)
    (answer,) = map(json.loads, caller.wait_for("look/answer"))
    caller.close()
    assert answer["trigger"] == "part 7"  # the retained one was none
    assert answer["outcomes"][0]["id"] == station.judged[0].id


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("127.0.0.1:9100", "expected http://"),
        ("http://127.0.0.1", "expected http://"),
        ("mqtt://host", "expected a topic"),
        ("mqtt://host/#", "expected a topic"),
        ("http://127.0.0.1:9100?deadline=0", "deadline is above 0"),
        ("http://127.0.0.1:9100?late=5", "known are"),
        ("modbus://plc?input=70000000", "whole number"),
    ],
)
def test_addresses_are_checked(wrong: str, why: str) -> None:
    with pytest.raises(PandaError, match=why):
        parse_trigger(wrong)


def test_a_plc_is_asked_for_an_input_or_a_counter() -> None:
    from panda_edge.stream.trigger.modbus import ModbusTrigger

    with pytest.raises(PandaError, match="give input= or counter=, not both"):
        ModbusTrigger("127.0.0.1", 1, {"input": 0, "counter": 1}, lambda answer: None, lambda text: None)
