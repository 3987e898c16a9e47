"""The spool, and what is brought out of it: at least once, in order, whatever breaks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mqtt_broker import Broker, Listener
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Outcome
from panda_edge.stream.sinks import delivery
from panda_edge.stream.sinks.delivery import Deliveries
from panda_edge.stream.sinks.mqtt import Mqtt
from panda_edge.stream.sinks.spool import Event, Spool, _count
from panda_edge.stream.sinks.webhook import Webhook
from panda_edge.stream.sinks.worker import never


class TestSpool:
    def test_each_receiver_gets_everything_in_order(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path / "s.sqlite", ["a", "b"])
        spool.add([(f"id{i}", b"%d" % i) for i in range(10)])
        first = spool.waiting("a", 4, 0)
        assert [event.payload for event in first] == [b"0", b"1", b"2", b"3"]
        spool.delivered("a", first[-1].seq)
        assert spool.waiting("a", 1, 0)[0].id == "id4"
        assert spool.waiting("b", 1, 0)[0].id == "id0"
        assert _count(spool._file.connection()) == 10
        spool.delivered("b", spool.waiting("b", 100, 0)[-1].seq)
        assert _count(spool._file.connection()) == 6
        spool.close()
        again = Spool(tmp_path / "s.sqlite", ["a", "c"])  # a process later, with another receiver
        assert [event.id for event in again.waiting("a", 100, 0)] == [f"id{i}" for i in range(4, 10)]
        assert again.waiting("c", 100, 0) == []
        again.close()

    def test_it_is_bounded_and_says_what_it_lost(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path / "s.sqlite", ["a"], max_events=5)
        for i in range(12):
            spool.add([(str(i), b"")])
        assert [event.id for event in spool.waiting("a", 100, 0)] == ["7", "8", "9", "10", "11"]
        assert spool.lost == 7
        spool.close()

    def test_it_is_bounded_by_bytes_too(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path / "s.sqlite", ["a"], most_bytes=100)
        for i in range(12):
            spool.add([(str(i), b"x" * 30)])
        assert [event.id for event in spool.waiting("a", 100, 0)] == ["9", "10", "11"]
        assert spool.lost == 9
        spool.delivered("a", spool.waiting("a", 2, 0)[-1].seq)
        assert spool._bytes == 30
        spool.close()
        again = Spool(tmp_path / "s.sqlite", ["a"], most_bytes=100)
        assert again._bytes == 30
        again.add([("large", b"x" * 1000)])
        assert (again.lost, again._bytes) == (2, 0)
        again.close()

    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        spool = Spool(tmp_path / "s.sqlite", ["a"])
        with pytest.raises(PandaError, match="in use by another"):
            Spool(tmp_path / "s.sqlite", ["a"])
        spool.close()

    def test_what_is_no_spool_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "s.sqlite").write_text("words, words, words " * 100)
        with pytest.raises(PandaError, match=r"s\.sqlite: no spool"):
            Spool(tmp_path / "s.sqlite", ["a"])
        os.mkfifo(tmp_path / "pipe")
        for name in ("s.sqlite/below", "pipe"):
            with pytest.raises(PandaError, match="no spool can be kept"):
                Spool(tmp_path / name, ["a"])

    def test_a_killed_process_loses_nothing_it_had_taken(self, tmp_path: Path) -> None:
        code = (
            "import sys\nfrom pathlib import Path\nfrom panda_edge.stream.sinks.spool import Spool\n"
            "spool = Spool(Path(sys.argv[1]), ['a'])\ni = 0\n"
            "while True:\n    spool.add([(str(i), b'x' * 500)])\n    print(i, flush=True)\n    i += 1\n"
        )
        python = shutil.which("python") or "python3"
        import sys

        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable or python, "-c", code, str(tmp_path / "s.sqlite")], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            taken = [int(process.stdout.readline()) for _ in range(50)]
            process.kill()
            taken += [int(line) for line in process.stdout.read().splitlines()]
            process.wait()
            process.stdout.close()
            spool = Spool(tmp_path / "s.sqlite", ["a"])
            found = [int(event.id) for event in spool.waiting("a", 10**6, 0)]
            assert found[: len(taken)] == taken
            assert all(len(event.payload) == 500 for event in spool.waiting("a", 10**6, 0))
            spool.delivered("a", spool.waiting("a", 10**6, 0)[-1].seq)
            spool.close()


class Away:
    """A receiver that is away for a while, and gets some things twice."""

    name = "away"

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.got: list[str] = []

    def deliver(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            self.got += [event.id for event in events[:1]]  # arrived, but nobody said so
            raise OSError(errno.ECONNREFUSED, "Connection refused")
        self.got += [event.id for event in events]

    def close(self) -> None:
        pass


def outcome(make_frame: Callable[..., Any], number: int, not_judged: str | None = None) -> Outcome:
    return Outcome(f"run-{number}", make_frame(None, number), 0, None, not_judged, {}, 1.0)


def test_a_receiver_that_was_away_gets_all_in_order(
    tmp_path: Path, make_frame: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_FIRST_PAUSE", 0.01)
    said: list[str] = []
    away = Away(3)
    sink = Deliveries(
        Spool(tmp_path / "s", ["away"]), [away], True, never, lambda name, line: said.append(f"{name}: {line}")
    )
    for number in range(200):
        sink.outcome(outcome(make_frame, number))
    until = time.monotonic() + 20
    while "run-199" not in away.got and time.monotonic() < until:
        time.sleep(0.02)
    sink.close(5)
    first_seen = list(dict.fromkeys(away.got))
    assert first_seen == [f"run-{i}" for i in range(200)]
    assert len(away.got) > 200
    assert said == ["away: Connection refused; events wait in the spool", "away: delivers again"]


def test_what_is_sent_by_default(tmp_path: Path, make_frame: Callable[..., Any]) -> None:
    away = Away(0)
    sink = Deliveries(Spool(tmp_path / "s", ["away"]), [away], False, never, lambda name, line: None)
    reasons = [None, "black: 1", "black: 2", "frozen: 3", None, "black: 4"]
    for number, why in enumerate(reasons):
        sink.outcome(outcome(make_frame, number, why))
    sink.close(5)
    assert away.got == ["run-1", "run-3", "run-5"]


class Hook:
    """An HTTP server that takes events, and answers as it is told."""

    def __init__(self, port: int = 0) -> None:
        hook = self
        self.got: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer = 204

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.answer < 300:
                    hook.got.append(json.loads(body))
                    hook.keys.append(self.headers["Idempotency-Key"])
                self.send_response(hook.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    opened = Hook()
    yield opened
    opened.close()


def events(count: int, start: int = 1) -> list[Event]:
    return [Event(i, f"id{i}", json.dumps({"n": i}).encode()) for i in range(start, start + count)]


def test_a_webhook(hook: Hook) -> None:
    webhook = Webhook(hook.url)
    webhook.deliver(events(5))
    assert [event["n"] for event in hook.got] == [1, 2, 3, 4, 5]
    assert hook.keys == ["id1", "id2", "id3", "id4", "id5"]
    hook.answer = 503
    with pytest.raises(PandaError, match="503"):
        webhook.deliver(events(1))
    hook.answer = 422  # it is about the event, and would come again for ever
    webhook.deliver(events(2))
    assert webhook.refused == 2
    webhook.close()


def numbers(payloads: list[bytes]) -> list[int]:
    return [json.loads(payload)["n"] for payload in payloads]


def test_mqtt_through_a_broker_that_restarts(broker: Broker) -> None:
    listener = Listener(broker.port, "line/1")
    sender = Mqtt(f"mqtt://127.0.0.1:{broker.port}/line/1")
    sender.deliver(events(100))
    assert numbers(listener.wait_for("line/1", 100)) == list(range(1, 101))
    assert ("line/1/status", b"online") in listener.got
    listener.close()
    broker.kill()
    broker.start()
    listener = Listener(broker.port, "line/1")
    sender.deliver(events(10, 101))
    assert numbers(listener.wait_for("line/1", 10)) == list(range(101, 111))
    sender.close()
    wait_for(lambda: ("line/1/status", b"offline") in listener.got)
    listener.close()


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("sink", "addresses"),
    [
        (Webhook, ["host", "ftp://host/", "http://", "http://host:0/", "http://host:x/", "http://\udcff/",
                   "http://host/ü", "http://h/a b"]),
        (Mqtt, ["host", "mqtt://host", "mqtt://host/a/#", "http://host/t", "mqtt://host:x/t", "mqtt://\udcff/t",
                "mqtt://h/\udcff", "mqtt://h/%00"]),
    ],
)  # fmt: skip
def test_addresses_are_checked(sink: type[Webhook] | type[Mqtt], addresses: list[str]) -> None:
    for address in addresses:
        with pytest.raises(PandaError, match=f"--{sink.__name__.lower()}"):
            sink(address)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(PandaError, match=r"panda-edge\[mqtt\]"):
        Mqtt("mqtt://host/topic")


def test_the_command_delivers_after_a_restart_what_it_could_not_before(
    start: Callable, bundle_path: Path, tmp_path: Path, noise: Callable
) -> None:
    pictures = tmp_path / "in"
    pictures.mkdir()
    for i in range(5):
        noise(i).save(pictures / f"{i}.png")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sinks = ["--webhook", f"http://127.0.0.1:{port}/", "--send", "all", "--spool", tmp_path / "spool.sqlite"]
    running = start(bundle_path, pictures, "--jsonl", "-", *sinks)
    ids = [running.line(lambda line: "frame" in line)["id"] for _ in range(5)]
    time.sleep(0.5)
    running.end(signal.SIGKILL)
    hook = Hook(port)
    try:
        (tmp_path / "empty").mkdir()
        running = start(bundle_path, tmp_path / "empty", *sinks)
        wait_for(lambda: len(hook.got) >= 5)
        assert [event["id"] for event in hook.got] == ids
        assert running.end(signal.SIGTERM) == 0
    finally:
        hook.close()
