"""From `--line` addresses to sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from panda_edge.stream.frame import Outcome
from panda_edge.stream.line.address import LineAddress, parse_line
from panda_edge.stream.line.encoder import open_way
from panda_edge.stream.line.line import Line
from panda_edge.stream.line.signals import Output
from panda_edge.stream.loop import Loop


def open_lines(
    given: Sequence[str], loop: Loop, missed: Callable[[Outcome], bool] = lambda outcome: False
) -> dict[str, Line]:
    """A sink an address, by its name. missed: see Line. Raises PandaError."""
    addresses = [parse_line(address) for address in given]  # all of them before the first is opened
    sources = [state.name for state in loop.states]
    lines = {}
    for address in addresses:
        output = _opened(address, sources)
        say = partial(_say, loop, output.name)
        way = open_way(address, say)
        lines[output.name] = Line(
            output, sources, address.timing, address.limits, lambda: loop.looked, say, missed, way
        )
    return lines


def _opened(address: LineAddress, sources: list[str]) -> Output:
    # Imported where it is wanted: each needs a library of its own.
    if address.scheme == "modbus":
        from panda_edge.stream.line.modbus import ModbusOutput

        return ModbusOutput(address, len(sources))
    if address.nodes:
        from panda_edge.stream.line.opcua_client import OpcUaClient

        return OpcUaClient(address, len(sources))
    if address.scheme == "opcua":
        from panda_edge.stream.line.opcua import OpcUaOutput

        return OpcUaOutput(address, sources)
    from panda_edge.stream.line.gpio import GpioOutput

    return GpioOutput(address, len(sources))


def _say(loop: Loop, name: str, text: str) -> None:
    loop.say("sink", None, text if text.startswith(name) else f"{name}: {text}")
