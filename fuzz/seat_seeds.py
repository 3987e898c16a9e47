"""What the targets of `fuzz.seats` start from."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from fuzz.targets import folder
from panda_edge.decide.calibration import Calibration
from panda_edge.stream.sinks.drift import Drift
from panda_edge.stream.sinks.spool import Spool

_FILES = 9  # of a small bundle, with manifest and signature
_KINDS = 13  # of what may stand in a file's place
_HEAD = b"Host: localhost\r\n"


def _special() -> Iterator[bytes]:
    yield bytes(_FILES)
    for place in range(_FILES):
        for kind in range(1, _KINDS):
            yield bytes(place) + bytes([kind])


def _models() -> Iterator[bytes]:
    """Of embedding, three levels and a score: type, value, rank and shape."""
    alone = b"\x08"  # no score, which the manifest does not ask for
    yield bytes(4 * 3) + alone
    yield bytes(5 * 3)
    for output in range(4):
        before, after = bytes(output * 3), bytes((3 - output) * 3) + alone
        for kind in range(9):
            yield before + bytes([kind, 0, 0]) + after
        for value in range(5):
            yield before + bytes([0, value, 0]) + after
        for rank in (1, 2, 3):
            yield before + bytes([0, 0, rank, *[1] * rank]) + after
    for kind in range(8):
        yield bytes(4 * 3) + bytes([kind, 0, 2, 1, 2])


def _requests() -> Iterator[bytes]:
    for path in ("/", "/state", "/state?since=" + "9" * 400, "/live/0.jpg", f"/live/{'9' * 5000}.jpg", "/anomaly/x.jpg",
                 "/metrics", "/%ff%00", "/state?token=%ff"):  # fmt: skip
        yield f"GET {path} HTTP/1.1\r\n".encode() + _HEAD + b"\r\n"
    for body in (b'{"fpr": 0.5}', b"[" * 4000, b'{"fpr": 1' + b"0" * 400 + b"}", b"x" * 5000, b"\xff"):
        head = b"POST /fpr HTTP/1.1\r\nX-Panda-Edge: 1\r\n" + _HEAD
        yield head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        yield head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    for host in (b"[", b"[::1", b"\xff", b"a:b:c", b"localhost:99999999"):
        yield b"GET /state HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    yield b"GET /state HTTP/1.1\r\n" + _HEAD + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    yield (b"GET /state HTTP/1.1\r\n" + _HEAD + b"\r\n") * 5
    yield b"\r\n" * 500
    yield b"\x16\x03\x01\x02\x00\x01"


def _receivers() -> Iterator[bytes]:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(stream, "JPEG")
    jpeg = stream.getvalue()
    ok = b"HTTP/1.1 200 OK\r\n"
    part = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg + b"\r\n"
    parts = ok + b"Content-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
    yield ok + b"Content-Length: 0\r\n\r\n"
    yield ok + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg
    yield parts + part * 3
    yield parts + b"--b\r\n\r\n" + jpeg + b"\r\n--b--\r\n"
    yield parts + b"--b\r\nContent-Length: 999999999\r\n\r\n"
    yield ok + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"
    yield ok + b"Content-Length: -1\r\n\r\n"
    yield b"HTTP/1.1 100 Continue\r\n\r\n" * 50
    yield b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"
    yield b"HTTP/9.9 999 \xff\r\n" + b"x: y\r\n" * 200


def _addresses() -> Iterator[bytes]:
    for text in ("rtsp://me@host/live?key=k", "rtps://me@host", "http://me@[::1/x", "http://me/x@host", "me@host",
                 "rtsp:/me@host", "mqtt://me@host/topic", "ftp://me?x@host", "http://host:x@y", "0", "/dev/video0",
                 "http://\u2100@host/", "//", "://@", "http://me#x@host:99999/"):  # fmt: skip
        yield text.encode()
    yield b"http://\xff@host/"


def _kept() -> Iterator[bytes]:
    state = folder() / "seed.state"
    decider: Any = SimpleNamespace(calibration=Calibration("max", {"max": np.linspace(1, 2, 30)}))
    Drift(lambda: decider, ["a"], 0.01, lambda *_, **__: None, state).close(5)
    plain = json.loads(_taken(state))
    yield b"\0" + json.dumps(plain).encode()
    for value in (None, [], {}, 10**400, -1, "x", 1e308, True):
        for name in plain["sources"]["a"]:
            changed = {**plain, "sources": {"a": {**plain["sources"]["a"], name: value}}}
            yield b"\0" + json.dumps(changed).encode()
        for name in plain:
            yield b"\0" + json.dumps({**plain, name: value}).encode()
    yield b"\0" + b"[" * 9000
    spool = Spool(folder() / "seed.spool", ["a"])
    spool.add([("id", b"{}")])
    spool.close()
    yield b"\1" + _taken(folder() / "seed.spool")[:9999]
    yield b"\1"
    for text in (b"", b'{"id": "x"}\n', b'{"id": "x', b"words", b"words\n", b"\n"):
        yield b"\2" + text


def _changing() -> Iterator[bytes]:
    """See `fuzz.changing_folder`: pictures and folders that are made, become something else, and go."""
    picture, made, gone, link = 0, 5 * 16, 8 * 16, 9 * 16
    yield bytes([picture, picture + 1, made + 2, picture + 3, made + 4, picture + 5])
    for what in range(16):
        yield bytes([picture, made + 2, picture + 3, picture + 12, *(16 * what + name for name in range(16))])
    yield bytes([made + 2, picture + 3, link + 6, link + 14, gone + 2, picture + 1] * 5)
    yield bytes([made + 14, picture + 15, 13 * 16 + 2, gone + 14] * 5)


def _taken(path: Path) -> bytes:
    content = path.read_bytes()
    path.unlink()
    return content


SEEDS = {
    "special": _special,
    "model": _models,
    "request": _requests,
    "receiver": _receivers,
    "address": _addresses,
    "kept": _kept,
    "changing": _changing,
}
