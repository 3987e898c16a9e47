"""From `--trigger` to what listens."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial

from panda_edge.stream.door import loopback
from panda_edge.stream.loop import Loop
from panda_edge.stream.trigger.address import TriggerAddress
from panda_edge.stream.trigger.triggers import Triggers


def listen(address: TriggerAddress, triggers: Triggers, loop: Loop, token: str | None, closing: ExitStack) -> None:
    """Take triggers from an address from now on. closing: gets what closes it. Raises PandaError."""
    say = partial(loop.say, "trigger", None)
    # Imported where it is wanted: each needs a library of its own.
    if address.parts.scheme == "http":
        from panda_edge.stream.trigger.http import HttpTrigger, token_for

        token = token or os.environ.get("PANDA_EDGE_TOKEN") or None
        needed = token_for(address.host, loopback(address.host), token)
        http = HttpTrigger(address.host, address.parts.port or 0, needed, triggers.fire)
        closing.callback(http.close)
        say(f"triggers are taken on port {http.port}")
    elif address.parts.scheme == "modbus":
        from panda_edge.stream.trigger.modbus import ModbusTrigger

        port = address.parts.port or 502
        closing.callback(ModbusTrigger(address.host, port, address.numbers, triggers.fire, say).close)
    elif address.parts.scheme == "gpio":
        from panda_edge.stream.trigger.gpio import GpioTrigger

        closing.callback(GpioTrigger(address.host, int(address.numbers.get("input", 0)), triggers.fire).close)
    else:
        from panda_edge.stream.trigger.mqtt import MqttTrigger

        closing.callback(MqttTrigger(address.parts, triggers.fire, say).close)
