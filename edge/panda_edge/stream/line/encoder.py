"""What counts the pulses of a belt: a register of the PLC, or a pin of the board."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.gpio import Edges
from panda_edge.stream.line.modbus import imported
from panda_edge.stream.line.way import Counted, Elapsed, Way
from panda_edge.stream.started import started

_SECONDS = 0.5  # within which the PLC must have answered
_EVERY = 0.005  # seconds between two looks at a register
_PAUSE = 1.0  # seconds before a PLC that did not answer is asked again
_REGISTER, _EDGES = 1 << 16, 1 << 32  # values of a register, and of the kernel's count of edges


def open_way(address: LineAddress, say: Callable[[str], None]) -> Way:
    """By the clock, or by the counter that the address names. say: one line, where it is lost and found.

    Raises PandaError."""
    if address.pulses is None:
        return Elapsed(address.timing.delay, address.timing.deadline)
    if address.scheme == "modbus":
        return register(address, say)
    return pin(address)


def register(address: LineAddress, say: Callable[[str], None]) -> Counted:
    """Pulses that a holding register counts, from 0 to 65,535 and around. Raises PandaError."""
    assert address.pulses is not None
    unit, place = address.numbers.get("unit", 1), address.numbers["counter"]
    counted = Counted(address.pulses, _REGISTER)
    client, failure = imported("--line")
    plc: Any = client(address.host, port=address.port, timeout=_SECONDS, retries=0)
    stop, name = Event(), f"modbus://{address.host}:{address.port}"

    def look() -> int | None:
        try:
            answer = plc.read_holding_registers(place, count=1, device_id=unit)
            return None if answer.isError() else int(answer.registers[0])
        except (failure, OSError):
            plc.close()
            return None

    def run() -> None:
        failing = False
        while not stop.wait(_PAUSE if failing else _EVERY):
            raw = look()
            counted.count(raw)
            if failing != (raw is None):
                failing = raw is None
                said = "gives no count; verdicts on their way are not judged" if failing else "counts again"
                say(f"{name}: register {place} {said}")
        plc.close()

    thread = started(run, "encoder")

    def close() -> None:
        stop.set()
        thread.join(5)

    counted.close = close
    return counted


def pin(address: LineAddress) -> Counted:
    """Pulses at a pin: rising edges. Raises PandaError."""
    assert address.pulses is not None
    counted = Counted(address.pulses, _EDGES)
    counted.count(0)
    edges = Edges(address.host, address.numbers["encoder"], f"--line gpio://{address.host}", counted.count)
    counted.close = edges.close
    return counted
