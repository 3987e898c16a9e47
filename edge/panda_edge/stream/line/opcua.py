"""Signals by OPC UA: the device is the server, whoever asks reads; when the program stops, nobody answers."""

from __future__ import annotations

import asyncio
import logging
from threading import Event
from typing import Any

from panda_edge.errors import PandaError, missing
from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.signals import Signals
from panda_edge.stream.started import started
from panda_edge.stream.why import why

NAMESPACE = "urn:panda-edge"
_SECONDS = 1.0  # within which a value must have been taken
_START_SECONDS = 30.0


class OpcUaOutput:
    """Objects/PandaEdge/Heartbeat, and for each source a folder with its name: OK, NG, NotJudged, Warn (Boolean),
    Severity (Double), Count (UInt16). Readers need no password and cannot write."""

    def __init__(self, address: LineAddress, sources: list[str]) -> None:
        """sources: their names. Raises PandaError: the address is taken, or the extra is missing."""
        self.name = f"opcua://{address.host}:{address.port}"
        self._endpoint = f"opc.tcp://{address.host}:{address.port}/panda-edge"
        self._sources = sources
        self._ua = imported()
        self._values: list[dict[str, Any]] = []
        self._error: Exception | None = None
        self._ready = Event()
        self._thread = started(lambda: asyncio.run(self._serve()), self.name)
        if not self._ready.wait(_START_SECONDS) or self._error is not None:
            said = "it takes too long" if self._error is None else why(self._error)
            raise PandaError(f"--line {self.name}: cannot be served there ({said}); give another address")

    def write(self, source: int, signals: Signals) -> None:
        values = {
            "Severity": float(signals.severity),
            "Count": signals.count,
            "OK": signals.ok,
            "NG": signals.ng,
            "NotJudged": signals.not_judged,
            "Warn": signals.warn,
        }
        if not signals.ok:  # taken back before anything else is said, and given after everything else
            values = {"OK": False, **values}
        else:
            values["OK"] = values.pop("OK")
        self._wait([(self._values[source][name], value) for name, value in values.items()])

    def beat(self, count: int) -> None:
        self._wait([(self._heartbeat, count)])

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(5)

    def _wait(self, values: list[tuple[Any, Any]]) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self._set(values), self._loop).result(_SECONDS)
        except (RuntimeError, TimeoutError) as error:
            raise PandaError(f"{self.name}: the server does not answer") from error

    async def _set(self, values: list[tuple[Any, Any]]) -> None:
        for node, value in values:
            await node.write_value(value, self._type(value))

    def _type(self, value: bool | float | int) -> Any:
        kinds = self._ua.ua.VariantType
        return kinds.Boolean if isinstance(value, bool) else kinds.Double if isinstance(value, float) else kinds.UInt16

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        try:
            server = await self._built()
            async with server:
                self._ready.set()
                await self._ending.wait()
        except Exception as error:
            self._error = error
        finally:
            self._ready.set()

    async def _built(self) -> Any:
        ua = self._ua
        server = ua.Server(user_manager=_readers_only(ua))
        await server.init()
        server.set_endpoint(self._endpoint)
        server.set_server_name("panda-edge")
        server.set_security_policy([ua.ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace(NAMESPACE)
        top = await server.nodes.objects.add_object(space, "PandaEdge")
        self._heartbeat = await top.add_variable(space, "Heartbeat", 0, ua.ua.VariantType.UInt16)
        for source in self._sources:
            folder = await top.add_object(space, source)
            kept = {name: await folder.add_variable(space, name, False) for name in ("OK", "NG", "NotJudged", "Warn")}
            kept["Severity"] = await folder.add_variable(space, "Severity", 0.0)
            kept["Count"] = await folder.add_variable(space, "Count", 0, ua.ua.VariantType.UInt16)
            self._values.append(kept)
        return server


def _readers_only(ua: Any) -> Any:
    """Everyone may read. The library's own manager lets anyone who calls himself admin write, without a password."""

    rules = ua.crypto.permission_rules

    class Readers:
        def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
            return rules.User(role=rules.UserRole.User)

    return Readers()


def imported() -> Any:
    try:
        import asyncua
        import asyncua.crypto.permission_rules
    except ImportError as error:
        raise missing("--line opcua:// needs asyncua", "opcua") from error
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # a client that goes wrong is none of our remarks
    return asyncua
