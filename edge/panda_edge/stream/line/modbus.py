"""Signals to a PLC by Modbus TCP: the PLC is the server, its coils and holding registers are written."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from panda_edge.errors import PandaError, missing
from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.signals import Signals

_SECONDS = 0.5  # within which the PLC must have answered
_COILS, _REGISTERS = 4, 3  # of each source


class ModbusOutput:
    """Coils from `coil` on, four a source: OK, NG, not judged, warn. Holding registers from `register` on: a heartbeat
    that counts, then three a source: count of verdicts, 1000 × severity, state (0 nothing, 1 OK, 2 NG, 3 not judged).

    A PLC may look between two requests. So a source's coils are taken back first, then its registers are written, then
    the coils rise: no count is ever seen beside the OK of another product.
    """

    def __init__(self, address: LineAddress, sources: int) -> None:
        """sources: how many. Raises PandaError: an address beyond 65535, or the extra is missing."""
        self._unit = address.numbers.get("unit", 1)
        self._coil = address.numbers.get("coil", 0)
        self._register = address.numbers.get("register", 0)
        if self._unit > 255:
            raise PandaError(f"--line modbus: unit={self._unit}: expected 0 to 255")
        if max(self._coil + _COILS * sources, self._register + 1 + _REGISTERS * sources) > 65_536:
            raise PandaError("--line modbus: coils or registers beyond 65535; give smaller coil= and register=")
        self.name = f"modbus://{address.host}:{address.port}"
        self._dark: set[int] = set()  # sources whose coils are known to be off: a run that was killed left some on
        client, self._error = imported("--line")
        self._client: Any = client(address.host, port=address.port, timeout=_SECONDS, retries=0)

    def write(self, source: int, signals: Signals) -> None:
        severity = min(round(signals.severity * 1000), 65_535)
        register, coil = self._register + 1 + _REGISTERS * source, self._coil + _COILS * source
        if source not in self._dark:
            self._ask("write_coils", coil, [False] * _COILS)
            self._dark.add(source)
        self._ask("write_registers", register, [signals.count, severity, signals.state])
        coils = [signals.ok, signals.ng, signals.not_judged, signals.warn]
        if any(coils):
            self._dark.discard(source)
            self._ask("write_coils", coil, coils)

    def beat(self, count: int) -> None:
        self._ask("write_registers", self._register, [count])

    def close(self) -> None:
        with suppress(OSError):
            self._client.close()

    def _ask(self, what: str, address: int, values: list[Any]) -> None:
        try:
            answer = getattr(self._client, what)(address, values, device_id=self._unit)
        except (self._error, OSError) as error:
            self._client.close()  # what comes late must not be taken for the next answer
            raise PandaError(f"{self.name}: does not answer") from error
        if answer.isError():
            self._client.close()
            raise PandaError(f"{self.name}: refuses {what} at {address} ({answer})")


def imported(option: str) -> tuple[Any, Any]:
    """pymodbus's client, and the error that it raises. option: that needs it. Raises PandaError."""
    try:
        from pymodbus.client import ModbusTcpClient
        from pymodbus.exceptions import ModbusException
    except ImportError as error:
        raise missing(f"{option} modbus:// needs pymodbus", "plc") from error
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # ours say what came of it, and once
    return ModbusTcpClient, ModbusException
