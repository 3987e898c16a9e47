"""Verdicts by OPC UA: asyncua's own clients and servers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.lib.plc import free_port

from line_recorder import eventually, now
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Outcome
from panda_edge.stream.line.address import parse_line
from panda_edge.stream.line.signals import Signals


class TestOpcUa:
    def test_readers_see_it_and_cannot_write(self, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        asyncua = pytest.importorskip("asyncua", reason="needs asyncua: pip install 'panda-edge[opcua]'")
        from panda_edge.stream.line.opcua import NAMESPACE, OpcUaOutput

        port = free_port()
        line, _ = make_line(OpcUaOutput(parse_line(f"opcua://127.0.0.1:{port}"), ["cam", "two"]), hold=30.0)

        async def values(client: Any, source: str) -> dict[str, Any]:
            space = await client.get_namespace_index(NAMESPACE)
            folder = await client.nodes.objects.get_child([f"{space}:PandaEdge", f"{space}:{source}"])
            return {(await n.read_browse_name()).Name: await n.read_value() for n in await folder.get_children()}

        async def look() -> None:
            client = asyncua.Client(f"opc.tcp://127.0.0.1:{port}/panda-edge")
            client.set_user("admin")
            async with client:
                line.outcome(now(judged["ok"]))
                while not (seen := await values(client, "cam"))["OK"]:
                    await asyncio.sleep(0.05)
                assert (seen["NG"], seen["NotJudged"], seen["Count"]) == (False, False, 1)
                line.outcome(now(judged["ng"], "two"))
                while not (seen := await values(client, "two"))["NG"]:
                    await asyncio.sleep(0.05)
                assert seen["Severity"] == pytest.approx(judged["ng"].result.severity)  # type: ignore[union-attr]
                space = await client.get_namespace_index(NAMESPACE)
                top = f"{space}:PandaEdge"
                heartbeat = await client.nodes.objects.get_child([top, f"{space}:Heartbeat"])
                before = await heartbeat.read_value()
                while await heartbeat.read_value() == before:
                    await asyncio.sleep(0.05)
                ok = await client.nodes.objects.get_child([top, f"{space}:two", f"{space}:OK"])
                with pytest.raises(asyncua.ua.UaStatusCodeError):
                    await ok.write_value(True)

        asyncio.run(asyncio.wait_for(look(), 60))
        line.close(10)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), 1).close()

    def test_an_address_that_is_taken(self) -> None:
        pytest.importorskip("asyncua", reason="needs asyncua: pip install 'panda-edge[opcua]'")
        from panda_edge.stream.line.opcua import OpcUaOutput

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(PandaError, match="cannot be served there"):
                OpcUaOutput(parse_line(f"opcua://127.0.0.1:{taken.getsockname()[1]}"), ["cam"])


class TestClient:
    """The server is the PLC's."""

    ADDRESS = (
        "opcua://127.0.0.1:{port}/plc?ok=ns=2;s=Cam{{}}.OK&ng=ns=2;s=Cam{{}}.NG&not_judged=ns=2;s=Cam{{}}.Doubt"
        "&count=ns=2;s=Cam{{}}.Count&severity=ns=2;s=Cam{{}}.Severity&heartbeat=ns=2;s=Beat"
    )

    def test_nodes_are_written_as_they_are(self, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        from panda_edge.stream.line.opcua_client import OpcUaClient

        server = PlcServer(2)
        line, _ = make_line(OpcUaClient(parse_line(self.ADDRESS.format(port=server.port)), 2), hold=30.0)
        line.outcome(now(judged["ok"]))
        eventually(lambda: server.values("Cam0.OK") == [True])
        assert server.values("Cam0.NG", "Cam0.Doubt", "Cam0.Count", "Cam1.OK") == [False, False, 1, False]
        line.outcome(now(judged["ng"], "two"))
        eventually(lambda: server.values("Cam1.NG") == [True])
        severity = judged["ng"].result.severity  # type: ignore[union-attr]
        assert server.values("Cam1.Severity") == [pytest.approx(severity, rel=1e-6)]
        line.outcome(now(judged["odd"]))
        eventually(lambda: server.values("Cam0.OK", "Cam0.Doubt", "Cam0.Count") == [False, True, 2])
        (before,) = server.values("Beat")
        eventually(lambda: server.values("Beat") != [before])
        server.stop()
        time.sleep(0.5)
        server.start(server.port)  # a PLC that starts anew is told again
        eventually(lambda: server.values("Cam1.NG", "Cam0.Doubt") == [True, True])
        line.close(10)
        assert server.values("Cam1.NG", "Cam0.Doubt") == [False, False]
        server.stop()

    def test_what_is_refused(self) -> None:
        from panda_edge.stream.line.opcua_client import OpcUaClient

        for given, sources, why in (
            ("opcua://plc/?ok=ns=2;s=OK", 1, "needs heartbeat="),
            ("opcua://plc/?ok=&heartbeat=ns=2;s=B", 1, "no node or stands twice"),
            ("opcua://plc/?ok=nodes&heartbeat=ns=2;s=B", 1, "no node's id"),
            ("opcua://plc/?ok=ns=2;s=OK&heartbeat=ns=2;s=B", 2, "let ok=ns=2;s=OK hold {}"),
            ("opcua://plc/?ng=ns=2;s=NG&pulses=5", 1, "known are"),
            ("opcua://me:secret@plc/", 1, "is for an OPC UA server that is written into"),
        ):
            with pytest.raises(PandaError, match=why):
                OpcUaClient(parse_line(given), sources)
        server = PlcServer(1)
        output = OpcUaClient(parse_line(f"opcua://127.0.0.1:{server.port}/plc?ng=ns=2;s=Missing"), 1)
        with pytest.raises(PandaError, match="refuses"):
            output.write(0, Signals(ng=True))
        server.stop()
        with pytest.raises(PandaError, match="does not answer"):
            output.write(0, Signals(ng=True))
        output.close()


class PlcServer:
    """asyncua's server with a PLC's variables in namespace 2, which anyone may write."""

    KINDS = (("OK", "Boolean"), ("NG", "Boolean"), ("Doubt", "Boolean"), ("Count", "Int32"), ("Severity", "Float"))

    def __init__(self, sources: int) -> None:
        pytest.importorskip("asyncua", reason="needs asyncua: pip install 'panda-edge[opcua]'")
        self._sources = sources
        self.start(free_port())

    def start(self, port: int) -> None:
        self.port = port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)

    def values(self, *names: str) -> list[Any]:
        async def read() -> list[Any]:
            return [await self._nodes[name].read_value() for name in names]

        return asyncio.run_coroutine_threadsafe(read(), self._loop).result(5)

    async def _serve(self) -> None:
        from asyncua import Server, ua

        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        server = Server()
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/plc")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await server.register_namespace("urn:plc")
        wanted = [(f"Cam{i}.{name}", kind) for i in range(self._sources) for name, kind in self.KINDS]
        self._nodes = {}
        for name, kind in [*wanted, ("Beat", "UInt16")]:
            variant = ua.Variant(False if kind == "Boolean" else 0, ua.VariantType[kind])
            self._nodes[name] = await server.nodes.objects.add_variable(ua.NodeId(name, 2), name, variant)
            await self._nodes[name].set_writable()
        async with server:
            self._ready.set()
            await self._ending.wait()
