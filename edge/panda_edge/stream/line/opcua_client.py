"""Signals into an OPC UA server that is there already: a PLC's own. Its nodes are written."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.opcua import imported
from panda_edge.stream.line.signals import Signals
from panda_edge.stream.started import started
from panda_edge.stream.why import why

_SECONDS = 2.0  # within which the server must have answered
_START_SECONDS = 10.0  # within which it must have said what its nodes hold
_NUMBER = "{}"  # stands for the source's number


class OpcUaClient:
    """Nodes `ok`, `ng`, `not_judged`, `warn`, `severity`, `count` of each source, and one `heartbeat`; what a node
    holds (Boolean, a whole number, a float) is asked for, and kept to.

    OK is taken back before anything else is said, and given after everything else.
    """

    def __init__(self, address: LineAddress, sources: int) -> None:
        """sources: how many; above one, node ids hold `{}` where the source's number stands, from 0.

        Raises PandaError: a node's id is none, or the extra is missing."""
        self.name = address.shown
        self._asyncua = imported()
        self._address = address
        self._nodes = [
            {name: self._node(name, given, i, sources) for name, given in address.nodes.items() if name != "heartbeat"}
            for i in range(sources)
        ]
        beat = address.nodes.get("heartbeat")
        self._heartbeat = None if beat is None else self._node("heartbeat", beat, 0, 1)
        self._types: dict[Any, Any] = {}
        self._client: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = started(self._turn, self.name)

    def write(self, source: int, signals: Signals) -> None:
        nodes = self._nodes[source]
        told = {nodes[name]: getattr(signals, name) for name in nodes if name != "ok"}
        ok = {nodes["ok"]: signals.ok} if "ok" in nodes else {}
        self._run(self._tell([told, ok] if signals.ok else [ok, told]))

    def beat(self, count: int) -> None:
        if self._heartbeat is not None:
            self._run(self._tell([{self._heartbeat: count}]))

    def close(self) -> None:
        with suppress(PandaError):
            self._run(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _turn(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _node(self, name: str, given: str, number: int, sources: int) -> Any:
        if sources > 1 and _NUMBER not in given:
            raise PandaError(
                f"--line {self.name}: {sources} sources are watched; let {name}={given} hold {_NUMBER} where the "
                "source's number stands, from 0"
            )
        text = given.replace(_NUMBER, str(number))
        try:
            return self._asyncua.ua.NodeId.from_string(text)
        except Exception as error:
            raise PandaError(
                f"--line {self.name}: {name}={text} is no node's id; give one such as ns=2;s=Line.OK"
            ) from error

    def _run(self, work: Any) -> None:
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            asked.result(_SECONDS if self._client is not None else _START_SECONDS)
        except Exception as error:  # the library raises what its server and its sockets do
            asked.cancel()
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(_SECONDS)
            text = "does not answer" if isinstance(error, (OSError, TimeoutError)) else f"refuses ({why(error)})"
            raise PandaError(f"{self.name}: {text}") from error

    async def _tell(self, requests: list[dict[Any, Any]]) -> None:
        if self._client is None:
            await self._enter()
        for values in filter(None, requests):
            told = [self._value(node, value) for node, value in values.items()]
            for status in await self._client.uaclient.write_attributes(
                list(values), told, self._asyncua.ua.AttributeIds.Value
            ):
                status.check()

    def _value(self, node: Any, value: float) -> Any:
        """As the node holds it, without a time: some PLCs refuse a value that brings one."""
        ua = self._asyncua.ua
        kind = self._types[node]
        if kind == ua.VariantType.Boolean:
            held: Any = bool(value)
        elif kind in (ua.VariantType.Float, ua.VariantType.Double):
            held = float(value)
        else:
            held = round(value)
        return ua.DataValue(ua.Variant(held, kind))

    async def _enter(self) -> None:
        client = self._asyncua.Client(
            f"opc.tcp://{self._address.host}:{self._address.port}{self._address.path}", timeout=_SECONDS
        )
        if self._address.user is not None:
            client.set_user(self._address.user)
            client.set_password(self._address.password or "")
        await client.connect()
        self._client = client
        every = [node for nodes in self._nodes for node in nodes.values()]
        for node in [*every, *([] if self._heartbeat is None else [self._heartbeat])]:
            self._types[node] = await client.get_node(node).read_data_type_as_variant_type()

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect()
