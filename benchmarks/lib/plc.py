"""A PLC: pymodbus's own server in a thread, 100 coils, discrete inputs and holding registers. For tests, too."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_COILS, _INPUTS, _REGISTERS = 1, 2, 3  # functions that read them
_WRITES = {15: _COILS, 16: _REGISTERS}  # functions that write several, and what they write
SIZE = 100


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Plc:
    """Listens on a free port of 127.0.0.1."""

    def __init__(self, written: Callable[[list[bool], list[int]], None] = lambda coils, registers: None) -> None:
        """written: is given all coils and registers whenever someone has written some, in the server's thread."""
        self.port = free_port()
        self._written = written
        self._seen: dict[int, list[Any]] = {_COILS: [False] * SIZE, _REGISTERS: [0] * SIZE}
        self._ready = threading.Event()
        self.start()

    def start(self) -> None:
        self._ready.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        with suppress(RuntimeError):  # it is stopped
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        bits = [SimData(0, values=[False] * SIZE, datatype=DataType.BITS)]
        numbers = [SimData(0, values=[0] * SIZE, datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=(bits, bits, numbers, numbers), action=self._asked)
        self.server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self.server.serve_forever(background=True)
        self._ready.set()
        await self._ending.wait()
        await self.server.shutdown()

    async def _asked(self, function: int, start: int, address: int, count: int, held: Any, values: Any) -> None:
        if function in _WRITES and values is not None:
            self._seen[_WRITES[function]][address : address + count] = values
            self._written(self._seen[_COILS], self._seen[_REGISTERS])

    def _values(self, function: int) -> list[Any]:
        asked = asyncio.run_coroutine_threadsafe(self.server.async_getValues(1, function, 0, SIZE), self._loop)
        return list(asked.result(5))

    def coil(self, first: int = 0) -> list[bool]:
        """Four of them."""
        return [bool(bit) for bit in self._values(_COILS)][first : first + 4]

    def registers(self) -> list[int]:
        return [int(value) for value in self._values(_REGISTERS)]

    def put_input(self, on: bool) -> None:
        """Set discrete input 0."""
        self._put(_INPUTS, 0, on)

    def put_register(self, place: int, value: int) -> None:
        self._put(_REGISTERS, place, value)

    def _put(self, function: int, place: int, value: int) -> None:
        asked = asyncio.run_coroutine_threadsafe(self.server.async_setValues(1, function, place, [value]), self._loop)
        asked.result(5)
