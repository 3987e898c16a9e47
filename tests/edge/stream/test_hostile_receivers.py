"""Receivers and cameras that answer without end, drip, or acknowledge nothing; passwords are sent, and never shown."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

import pytest

from panda_edge.errors import PandaError
from panda_edge.stream.passwords import without_password
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sinks import mqtt as mqtt_sink
from panda_edge.stream.sinks import webhook as webhook_sink
from panda_edge.stream.sinks.mqtt import Mqtt
from panda_edge.stream.sinks.spool import Event
from panda_edge.stream.sinks.webhook import Webhook
from panda_edge.stream.sources.address import open_source
from panda_edge.stream.sources.mjpeg import HttpSource

Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves each connection by a function in a thread; gives the port."""
    opened: list[socket.socket] = []

    def begin(answer: Callable[[socket.socket], None]) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        opened.append(listening)

        def one(connection: socket.socket) -> None:
            opened.append(connection)
            with suppress(OSError):
                answer(connection)

        def take() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=take, daemon=True).start()
        return int(listening.getsockname()[1])

    yield begin
    for one in opened:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def event(number: int = 1) -> Event:
    return Event(number, f"id{number}", json.dumps({"n": number}).encode())


def head_of(connection: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65536)
    return said


def test_an_endless_answer_is_not_read(serve: Serve) -> None:
    sent = [0]

    def endless(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000000\r\n\r\n")
        while True:
            sent[0] += connection.send(b"x" * 65536)

    hook = Webhook(f"http://127.0.0.1:{serve(endless)}/")
    hook.deliver([event(1), event(2)])
    assert sent[0] < 30_000_000  # what the system's buffers took
    hook.close()


@pytest.mark.parametrize(
    ("begins", "drips", "accepted"),
    [
        (b"HTTP/1.1 2", b"0", False),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nx: ", b"0", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"0", True),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"0", True),
    ],
)
def test_an_answer_that_drips_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, begins: bytes, drips: bytes, accepted: bool
) -> None:
    monkeypatch.setattr(webhook_sink, "_WHOLE_SECONDS", 0.3)

    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(begins)
        while True:
            connection.sendall(drips)
            time.sleep(0.02)

    hook = Webhook(f"http://127.0.0.1:{serve(answer)}/")
    started = time.monotonic()
    with nullcontext() if accepted else pytest.raises(PandaError, match="webhook"):
        hook.deliver([event()])
    assert time.monotonic() - started < 3
    assert hook._connection is None
    hook.close()


def test_a_webhooks_password_is_sent_and_not_shown(serve: Serve) -> None:
    heads: list[bytes] = []

    def good(connection: socket.socket) -> None:
        heads.append(head_of(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    hook = Webhook(f"http://me:p%40ss@127.0.0.1:{serve(good)}/x?key=k")
    hook.deliver([event()])
    assert b"Authorization: Basic " + base64.b64encode(b"me:p@ss") in heads[0]
    assert "p%40ss" not in hook.name
    assert "key" not in hook.name
    hook.close()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:secret@host/live?key=secret", "rtsp://host/live"),
        ("rtps://me:secret@host/live", "rtps://host/live"),
        ("rtsp://me:sec/secret@host/live", "rtsp://host/live"),
        ("rtsp://me:sec?secret@host/live", "rtsp://…"),
        ("rtsp://me:sec#secret@host/live", "rtsp://…"),
        ("http://me:secret@[::1/live", "http://[::1/live"),
        ("http://host/snap?mail=a@b.c", "http://host/snap"),
        ("http://host:80/snap?mail=a@b.c", "http://host:80/snap"),
        ("rtsp:/me:secret@host/live", "…@host/live"),
        ("me:secret@host", "…@host"),
        ("parts/one@two", "parts/one@two"),
    ],
)
def test_passwords_are_not_shown(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize(
    "address",
    [
        "rtps://me:secret@host/x",
        "rtsp:/me:secret@host",
        "ftp://me:sec/secret@host",
        "http://me:secret@[::1",
        "me:secret@h\0",
    ],
)
def test_errors_show_no_password(address: str) -> None:
    for ask in (lambda: open_source(address), lambda: open_sources([address, address], False, None, lambda size: size)):
        with pytest.raises(PandaError) as caught:
            ask()
        assert "secret" not in str(caught.value)


def test_a_camera_that_sends_no_picture_is_lost(serve: Serve) -> None:
    def chatters(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n")
        while True:
            connection.sendall(b"no picture here\r\n" * 1000)

    source = HttpSource(f"http://127.0.0.1:{serve(chatters)}/", "camera", lambda size: size, lambda: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(PandaError, match="no picture in"):
        next(source.pictures(threading.Event()))


class Broker:
    """Speaks as much of MQTT 3.1.1 as a sender needs."""

    def __init__(self) -> None:
        self.got: list[tuple[bool, bytes]] = []
        self.acknowledges = False
        self.connections: list[socket.socket] = []
        self._unacknowledged: list[bytes] = []

    def serve(self, connection: socket.socket) -> None:
        self.connections.append(connection)
        while True:
            kind, length, shift = self._exactly(connection, 1)[0], 0, 0
            while True:
                byte = self._exactly(connection, 1)[0]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            body = self._exactly(connection, length)
            if kind >> 4 == 1:
                connection.sendall(b"\x20\x02\x00\x00")
            elif kind >> 4 == 3:
                topic = int.from_bytes(body[:2], "big")
                number, payload = body[2 + topic : 4 + topic], body[4 + topic :]
                if not body[2 : 2 + topic].endswith(b"/status"):
                    self.got.append((bool(kind & 8), payload))
                    if not self.acknowledges:
                        self._unacknowledged.append(number)
                        continue
                connection.sendall(b"\x40\x02" + number)

    def acknowledge(self) -> None:
        self.acknowledges = True
        for number in self._unacknowledged:
            self.connections[-1].sendall(b"\x40\x02" + number)

    @staticmethod
    def _exactly(connection: socket.socket, count: int) -> bytes:
        data = b""
        while len(data) < count:
            if not (part := connection.recv(count - len(data))):
                raise OSError
            data += part
        return data


@pytest.fixture
def sender(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Broker]]:
    pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: pip install 'panda-edge[mqtt]'")
    broker = Broker()
    made = Mqtt(f"mqtt://127.0.0.1:{serve(broker.serve)}/line")
    until = time.monotonic() + 10
    while not made._client.is_connected():
        assert time.monotonic() < until
        time.sleep(0.01)
    monkeypatch.setattr(mqtt_sink, "_SECONDS", 0.2)
    yield made, broker
    made.close()


def test_a_retry_does_not_publish_again(sender: tuple[Any, Broker]) -> None:
    made, broker = sender
    events = [event(1), event(2)]
    for _ in range(3):
        with pytest.raises(PandaError, match="does not acknowledge"):
            made.deliver(events)
    assert [payload for _, payload in broker.got] == [one.payload for one in events]
    broker.acknowledge()
    made.deliver(events)
    made.deliver([event(3)])
    assert [payload for _, payload in broker.got] == [event(number).payload for number in (1, 2, 3)]
    assert made._under_way == {}
    assert made._arrived == set()


def test_after_a_lost_connection_what_was_under_way_comes_once_more_and_is_marked(
    sender: tuple[Any, Broker], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, broker = sender
    made._client.reconnect_delay_set(0, 1)
    with pytest.raises(PandaError):
        made.deliver([event(1)])
    broker.acknowledges = True
    broker.connections[-1].shutdown(socket.SHUT_RDWR)
    monkeypatch.setattr(mqtt_sink, "_SECONDS", 10)
    made.deliver([event(1)])
    assert [payload for _, payload in broker.got] == [event(1).payload] * 2
    assert broker.got[1][0]  # as a second one


def test_what_no_broker_takes_is_said(sender: tuple[Any, Broker]) -> None:
    made, _ = sender
    with pytest.raises(PandaError, match="line: "):
        made.deliver([Event(1, "id", b"x" * 268_435_456)])
