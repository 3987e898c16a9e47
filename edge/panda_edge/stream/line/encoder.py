"""What counts the pulses of a belt: a register of the PLC, or a pin of the board."""

from __future__ import annotations

from collections.abc import Callable

from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.gpio import Edges
from panda_edge.stream.line.polled import EVERY, Place, Polled
from panda_edge.stream.line.way import Counted, Elapsed, Way

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
    counted = Counted(address.pulses, _REGISTER)
    place = Place(address.host, address.port, address.numbers.get("unit", 1), address.numbers["counter"], register=True)

    def tell(answers: bool) -> None:
        said = "counts again" if answers else "gives no count; verdicts on their way are not judged"
        say(f"{place.name}: register {place.number} {said}")

    counted.close = Polled("--line", place, EVERY, counted.count, tell).close
    return counted


def pin(address: LineAddress) -> Counted:
    """Pulses at a pin: rising edges. Raises PandaError."""
    assert address.pulses is not None
    counted = Counted(address.pulses, _EDGES)
    counted.count(0)
    edges = Edges(address.host, address.numbers["encoder"], f"--line gpio://{address.host}", counted.count)
    counted.close = edges.close
    return counted
