"""A PLC for tests: pymodbus's own server in a thread, 100 coils, inputs and holding registers."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Plc:
    """Listens on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self.port = free_port()
        self.coils: list[bool] = []
        self._ready = threading.Event()
        self.start()

    def start(self) -> None:
        self._ready.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        bits = [SimData(0, values=[False] * 100, datatype=DataType.BITS)]
        numbers = [SimData(0, values=[0] * 100, datatype=DataType.REGISTERS)]
        device = SimDevice(1, simdata=(bits, bits, numbers, numbers))
        self.server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self.server.serve_forever(background=True)
        self._ready.set()
        await self._ending.wait()
        await self.server.shutdown()

    def _values(self, function: int, count: int) -> list[Any]:
        asked = asyncio.run_coroutine_threadsafe(self.server.async_getValues(1, function, 0, count), self._loop)
        return list(asked.result(5))

    def coil(self, first: int = 0) -> list[bool]:
        return [bool(bit) for bit in self._values(1, 100)][first : first + 4]

    def registers(self) -> list[int]:
        return [int(value) for value in self._values(3, 100)]

    def put_input(self, on: bool) -> None:
        """Set discrete input 0."""
        asked = asyncio.run_coroutine_threadsafe(self.server.async_setValues(1, 2, 0, [on]), self._loop)
        asked.result(5)
