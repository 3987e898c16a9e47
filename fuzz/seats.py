"""What is fuzzed beside files of a bundle: special files in their place, models, requests, receivers, addresses, state.

Each takes bytes, as `fuzz.targets` has it, and knows itself what would be wrong.
"""

from __future__ import annotations

import asyncio
import atexit
import http.client
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h11
import numpy as np
import uvicorn
import uvicorn.server
from onnx import TensorProto, helper, numpy_helper

from fuzz.small_bundles import LEVELS, SIDE, SIZE
from fuzz.targets import Find, folder, small_bundle, whole_bundle
from panda_edge.builder.bundle_writer import check_target, write_manifest
from panda_edge.bundle.folder import open_bundle
from panda_edge.bundle.manifest import MANIFEST_NAME, read_manifest
from panda_edge.bundle.signature import SIGNATURE_NAME, PublicKey
from panda_edge.decide.calibration import Calibration
from panda_edge.detector import MODEL_FILE, load
from panda_edge.errors import PandaError
from panda_edge.images.reading import open_image_bytes
from panda_edge.printable import printable
from panda_edge.stream.frame import Notice, SourceLost
from panda_edge.stream.page.app import make_app
from panda_edge.stream.page.board import Board
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.visitors import Tokens
from panda_edge.stream.passwords import without_password
from panda_edge.stream.setup import open_sources
from panda_edge.stream.sinks.drift import Drift
from panda_edge.stream.sinks.jsonl import RotatedFile
from panda_edge.stream.sinks.metrics import _Answer
from panda_edge.stream.sinks.mqtt import Mqtt
from panda_edge.stream.sinks.spool import Event, Spool
from panda_edge.stream.sinks.webhook import Webhook
from panda_edge.stream.sources.mjpeg import HttpSource

_PICTURE = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
_KEY = PublicKey(b"12345678", bytes(32)).text()


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(1 << 40)


_SPECIAL: tuple[Callable[[Path], object], ...] = (
    lambda path: None,  # as it was
    os.mkfifo,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/ptmx"),
    lambda path: path.symlink_to("/dev/full"),
    lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("nothing"),
    lambda path: path.symlink_to("."),
    lambda path: path.mkdir(),
    _sparse,
    lambda path: path.write_bytes(b""),
    lambda path: path.symlink_to("/proc/self/mem"),
    lambda path: path.symlink_to("/dev/fd/0"),
)


def special(data: bytes) -> None:
    """A byte a file of a bundle says what stands in its place. Opened, with a required key and without, and written."""
    path = folder() / "special.panda"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(small_bundle("exact", "special"), path)
    names = [MANIFEST_NAME, SIGNATURE_NAME, *read_manifest(path).files]
    for name, kind in zip(names, data, strict=False):
        make = _SPECIAL[kind % len(_SPECIAL)]
        if make is not _SPECIAL[0]:
            (path / name).unlink(missing_ok=True)
            make(path / name)
    with suppress(PandaError):
        check_target(path)
    with suppress(PandaError):
        open_bundle(path, _KEY)
    bundle = open_bundle(path)
    for name in bundle.manifest.files:
        bundle.checked_file(name)


_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.UINT8,
          TensorProto.BOOL, TensorProto.STRING)  # fmt: skip
_VALUES = (0.0, 1.0, float("nan"), float("inf"), 1e30)


def model(data: bytes) -> None:
    """A graph of constants: for each output a byte of its type, one of its value, and its shape, as the bytes say."""
    path, _ = whole_bundle("exact")
    own = (path / MODEL_FILE).read_bytes(), (path / MANIFEST_NAME).read_bytes()
    try:
        (path / MODEL_FILE).write_bytes(_graph(data))
        write_manifest(path, read_manifest(path))
        load(path, 1).segment(_PICTURE)
    finally:
        (path / MODEL_FILE).write_bytes(own[0])
        (path / MANIFEST_NAME).write_bytes(own[1])


def _graph(data: bytes) -> bytes:
    given = iter(data)
    levels = [(f"level{lv.stride}", (1, lv.height * lv.width, lv.channels)) for lv in LEVELS]
    nodes, weights, outputs = [], [], []
    for name, right in [("embedding", (1, SIZE)), *levels, ("score", (1,))]:
        kind, value, shape = _output(given, right)
        if kind is None:
            continue
        weights.append(numpy_helper.from_array(np.full(shape, value, np.float32), f"{name}_raw"))
        as_sequence = kind == len(_TYPES)
        last = helper.make_node("Identity", [f"{name}_raw"], [name])
        if as_sequence:
            last = helper.make_node("SequenceConstruct", [f"{name}_raw"], [name])
            outputs.append(helper.make_tensor_sequence_value_info(name, TensorProto.FLOAT, None))
        elif kind:
            last = helper.make_node("Cast", [f"{name}_raw"], [name], to=_TYPES[kind])
        if not as_sequence:
            outputs.append(helper.make_tensor_value_info(name, _TYPES[kind], None))
        nodes.append(last)
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["B", SIDE, SIDE, 3])
    graph = helper.make_graph(nodes, "constant", [frames], outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def _output(given: Iterator[int], right: tuple[int, ...]) -> tuple[int | None, float, tuple[int, ...]]:
    kind, value, rank = (next(given, 0) for _ in range(3))
    shape = right if not rank else tuple(next(given, 1) % 5 for _ in range(rank % 4))
    kinds = len(_TYPES) + 2
    return (None if kind % kinds == kinds - 1 else kind % kinds), _VALUES[value % len(_VALUES)], shape


class _Wire(asyncio.Transport):
    """What a protocol writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@cache
def _page() -> tuple[asyncio.AbstractEventLoop, Any, Any]:
    board = Board(list, lambda: None, None)  # type: ignore[arg-type, return-value]
    board.notice(Notice("1", "sink", "\udcff", "\udcff\n", 0.0))
    app = make_app(Decisions(board, lambda rate: None), lambda: "x 1\n", Tokens())
    config = uvicorn.Config(app, http="h11", ws="none", log_level="critical", access_log=False)
    config.load()
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop, config, uvicorn.server.ServerState()


def request(data: bytes) -> None:
    """What comes in by the page's socket, whole and in two parts, and by that of the metrics."""
    loop, config, state = _page()
    half = len(data) // 2
    for parts in ([data], [data[:half], data[half:]]):
        wire = _Wire()

        async def talk(parts: list[bytes] = parts, wire: _Wire = wire) -> None:
            protocol = config.http_protocol_class(config=config, server_state=state, app_state={})
            protocol.connection_made(wire)
            for part in parts:
                if part and not wire.closed:  # asyncio never gives nothing
                    with suppress(h11.LocalProtocolError):  # asyncio ends the connection then
                        protocol.data_received(part)
                await asyncio.sleep(0)
            protocol.connection_lost(None)
            if state.tasks:
                await asyncio.wait_for(asyncio.gather(*state.tasks), 10)

        loop.run_until_complete(talk())
        if b"HTTP/1.1 500" in wire.said:
            raise Find(f"an answer of 500 to {data[:400]!r}")
    wire, answer = _Wire(), _Answer(lambda: "x 1\n", time.monotonic)
    answer.connection_made(wire)
    answer.data_received(data)


def receiver(data: bytes) -> None:
    """What a webhook's receiver and a camera answer; each has its say, and then hangs up."""
    hook = Webhook("http://user:password@127.0.0.1:9/x")
    with suppress(PandaError), _answering(data) as connection:
        hook._connection = connection
        hook.deliver([Event(1, "id", b"{}")])
    source = HttpSource("http://127.0.0.1:9/", "camera", open_image_bytes, lambda: None)  # type: ignore[arg-type, return-value]
    with suppress(SourceLost, AttributeError), _answering(data) as connection:  # AttributeError: it would ask FFmpeg
        source._connection = lambda: (connection, "/", {})  # type: ignore[method-assign]
        for number, _ in enumerate(source.pictures(threading.Event())):
            if number > len(data):
                raise Find("more pictures than bytes")
    hook.close()


class _answering:  # a context, such as `suppress`
    """A connection whose other end has said all it will say."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> http.client.HTTPConnection:
        ours, self._theirs = socket.socketpair()
        self._theirs.sendall(self._data)
        self._theirs.shutdown(socket.SHUT_WR)
        self._connection = http.client.HTTPConnection("127.0.0.1", 9, timeout=5)
        self._connection.sock = ours
        self._connection.auto_open = 0
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._theirs.close()


def address(data: bytes) -> None:
    """What is given as SOURCE, --webhook and --mqtt, with a password before the last @."""
    text = os.fsdecode(data.replace(b"\0", b"?"))
    before, at, after = text.rpartition("@")
    given = f"{before}:geheim{at}{after}" if at else text
    if given == "-":  # stdin is the fuzzer's own
        return
    if "geheim" in printable(without_password(given)) and "geheim" not in after and "://" in given.partition("@")[0]:
        raise Find(f"{given!r} is shown as {without_password(given)!r}")
    for make in (lambda: open_sources([given], False, None, lambda size: size), lambda: Webhook(given)):
        try:
            make()
        except PandaError as error:
            if "geheim" in str(error) and "://" in given.partition("@")[0]:
                raise Find(f"{given!r}: {error}") from error
    if "://" not in given:  # one that is an address would be connected to
        Mqtt(given)


_CALIBRATION = Calibration("max", {"max": np.linspace(1, 2, 30)})


def kept(data: bytes) -> None:
    """The first byte says which file a run before has left: the drift's state, the spool, the lines."""
    path = folder() / f"kept{data[0] % 3 if data else 0}"
    for left in folder().glob(f"{path.name}*"):
        left.unlink()
    path.write_bytes(data[1:])
    decider: Any = SimpleNamespace(calibration=_CALIBRATION)
    if path.name == "kept0":
        Drift(lambda: decider, ["a"], 0.01, lambda *_, **__: None, path).close(5)
    elif path.name == "kept1":
        spool = Spool(path, ["a"], 10, 1000)
        spool.add([("id", b"{}")])
        spool.waiting("a", 10, 0)
        spool.close()
    else:
        RotatedFile(path, 10**6, 1e9, 1).close()
        if not data[1:].startswith(path.read_bytes()):
            raise Find("lines that were there are gone")
