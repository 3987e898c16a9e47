"""Many, slow and endless connections: few at a time, none for long, and who asks properly is answered all the same."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from panda_edge.errors import PandaError
from panda_edge.stream import door
from panda_edge.stream.frame import Notice
from panda_edge.stream.page.board import Board
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.visitors import Tokens
from panda_edge.stream.sinks.metrics import MetricsServer

UNFINISHED = b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\n"
TOKEN = "a-token-of-sixteen-and-more"


@pytest.fixture
def board() -> Board:
    return Board(list, lambda: None, None)  # type: ignore[arg-type, return-value]


@pytest.fixture(params=["page", "metrics"])
def server(request: pytest.FixtureRequest, board: Board, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server of six connections that waits for a request for .6 seconds."""
    monkeypatch.setattr(door, "_REQUEST_SECONDS", 0.6)
    monkeypatch.setattr(door, "_TURN", 0.05)
    monkeypatch.setattr("panda_edge.stream.sinks.metrics._MOST", 6)
    if request.param == "metrics":
        opened: Any = MetricsServer("127.0.0.1:0", lambda: "panda_edge_x 1\n")
    else:
        opened = make_page(board, monkeypatch)
    yield opened
    opened.close()


def make_page(board: Board, monkeypatch: pytest.MonkeyPatch, token: str | None = None) -> Any:
    pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    from panda_edge.stream.page import server

    monkeypatch.setattr(server, "_MOST", 6)
    return server.PageServer("127.0.0.1:0", Tokens(token), Decisions(board, print), lambda: "panda_edge_x 1\n")


@pytest.fixture
def page(board: Board, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    opened = make_page(board, monkeypatch)
    yield opened
    opened.close()


def connected(port: int, sends: bytes = UNFINISHED) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(sends)
    return made


def ask(port: int, text: bytes, most: int = 1 << 20) -> bytes:
    """What a server says to the bytes until it ends or the answer is whole."""
    with connected(port, text) as one:
        said = b""
        while len(said) < most:
            with suppress(ConnectionResetError):
                if part := one.recv(65536):
                    said += part
                    head, found, body = said.partition(b"\r\n\r\n")
                    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                    if not (found and length and len(body) >= int(length[0].split(b":")[1])):
                        continue
            return said
        return said


def pour(one: socket.socket, part: bytes, times: int, pause: float) -> None:
    for _ in range(times):
        one.sendall(part)
        time.sleep(pause)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_crowd_holds_few_descriptors_and_others_are_answered(server: Any) -> None:
    before = descriptors()
    crowd = [connected(server.port) for _ in range(40)]  # their other ends are ours, too
    time.sleep(0.3)
    assert descriptors() - before - len(crowd) <= 6 + 1
    for _ in range(3):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            assert answer.read() == b"panda_edge_x 1\n"
    for one in crowd:
        one.close()


def test_without_a_whole_request_nobody_stays(server: Any) -> None:
    started = time.monotonic()
    with connected(server.port) as silent, connected(server.port, b"") as mute, connected(server.port) as slow:
        for one in (silent, mute):
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
        with pytest.raises(OSError):  # noqa: PT011  # one that drips, too
            pour(slow, b"x", 250, 0.02)
        assert time.monotonic() - started < 3


def test_an_endless_header_is_cut(server: Any) -> None:
    with connected(server.port) as one, pytest.raises(OSError):  # noqa: PT011
        pour(one, b"x: " + b"y" * 60_000 + b"\r\n", 200, 0.002)


@pytest.mark.parametrize(
    "text", [b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"\r\n" * 5000, b"GET " * 9000]
)
def test_what_is_no_request_breaks_nothing(server: Any, text: bytes) -> None:
    with suppress(OSError):
        ask(server.port, text)
    assert b" 200 OK" in ask(server.port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_an_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_REQUEST_SECONDS", 0.4)
    monkeypatch.setattr(door, "_TURN", 0.05)
    server = MetricsServer("127.0.0.1:0", lambda: "x" * 20_000_000)
    crowd = [connected(server.port, b"GET / HTTP/1.1\r\n\r\n") for _ in range(3)]
    until = time.monotonic() + 5
    while server._door._visitors and time.monotonic() < until:
        time.sleep(0.02)
    assert not server._door._visitors
    server.close()
    for one in crowd:
        one.close()


def test_no_answers_beyond_what_is_taken(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_MOST_UNREAD", 0)
    assert b" 503 " in ask(page.port, b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_bodies_are_small(page: Any) -> None:
    head = b"POST /fpr HTTP/1.1\r\nHost: localhost\r\nX-Panda-Edge: 1\r\n"
    whole = head + b"Content-Length: 300000000\r\n\r\n" + b"x" * 100_000
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    for text in (whole, chunked):
        assert b" 413 " in ask(page.port, text)


@pytest.mark.parametrize(
    "body",
    ["[" * 4000, '{"fpr": 1' + "0" * 400 + "}", '{"fpr": 1e999}', '{"fpr": NaN}', "[]", "1", '{"fpr": []}', "\ud800"],
)
def test_odd_bodies_are_refused(page: Any, body: str) -> None:
    data = body.encode(errors="surrogatepass")
    head = f"POST /fpr HTTP/1.1\r\nHost: localhost\r\nX-Panda-Edge: 1\r\nContent-Length: {len(data)}\r\n\r\n"
    answer = ask(page.port, head.encode() + data)
    assert b" 400 " in answer or b" 200 " in answer  # set_fpr is told: here it takes anything
    assert b" 500 " not in answer


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/state?since=" + "9" * 400, 200),
        ("/state?since=%C2%B2", 200),
        ("/live/" + "9" * 5000 + ".jpg", 404),
        ("/live/-1.jpg", 404),
        ("/anomaly/%ff%00.jpg", 404),
        ("/%ff", 404),
    ],
)
def test_odd_addresses(page: Any, path: str, status: int) -> None:
    answer = ask(page.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert int(answer.split()[1]) == status


@pytest.mark.parametrize("host", ["[", "[::1", "]", "\xff", "a:b:c"])
def test_odd_hosts_are_refused(page: Any, host: str) -> None:
    answer = ask(page.port, f"GET /state HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert int(answer.split()[1]) in (400, 403)


def test_names_that_are_no_text(page: Any, board: Board) -> None:
    board.notice(Notice("1", "source_lost", "in/\udcff", "in/\udcff: gone", 0.0))
    answer = ask(page.port, b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in answer
    (notice,) = json.loads(answer.partition(b"\r\n\r\n")[2])["notices"]
    assert notice["source"] == "in/\udcff"


def test_without_the_token_nothing_is_told_and_the_connection_ends(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = make_page(board, monkeypatch, TOKEN)
    for path in ("/", "/nothing", "/live/x.jpg"):
        answer = ask(opened.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b" 401 " in answer.split(b"\r\n")[0]
        assert b"connection: close" in answer.lower()
    opened.close()


def test_an_address_that_is_taken_or_odd(board: Board) -> None:
    taken = MetricsServer("127.0.0.1:0", str)
    for address in (f"127.0.0.1:{taken.port}", "no.such.host.invalid:1", "\udcff:1", "a..b:1"):
        with pytest.raises(PandaError, match="cannot be served there"):
            MetricsServer(address, str)
    taken.close()
    taken.close()


def test_a_server_ends_at_once_with_a_crowd_at_it() -> None:
    server = MetricsServer("127.0.0.1:0", str)
    crowd = [connected(server.port) for _ in range(10)]
    threads = threading.active_count()
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 2
    assert threading.active_count() < threads
    for one in crowd:
        one.close()


def test_no_thread_for_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    before = descriptors()
    with pytest.raises(PandaError, match="no thread can be started for metrics"):
        MetricsServer("127.0.0.1:0", str)
    assert descriptors() == before
