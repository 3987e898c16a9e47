"""`--line` addresses: which output, and when it says what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.line.signals import Limits
from panda_edge.stream.passwords import without_password

_PORTS = {"modbus": 502, "opcua": 4840, "gpio": None}
_TIMES = ("delay", "hold", "deadline")
_LIMITS = ("warn", "reject")
_NUMBERS = {
    "modbus": ("unit", "coil", "register", "pulses", "counter"),
    "opcua": (),
    "gpio": ("ok", "ng", "not_judged", "warn", "heartbeat", "pulses", "encoder"),
}
_COUNTERS = {"modbus": "counter", "gpio": "encoder"}
_NODES = ("ok", "ng", "not_judged", "warn", "severity", "count", "heartbeat")
_LONGEST = 600_000  # milliseconds
_MOST_PULSES = 1 << 15  # half a register: a counter that went back is then told from one that went on


@dataclass(frozen=True)
class Timing:
    """Seconds. A verdict is shown from `delay` after its picture arrived, for `hold`; one that is not there `deadline`
    after its picture arrived is shown as not judged."""

    delay: float = 0.0
    hold: float = 0.5
    deadline: float = 1.0


@dataclass(frozen=True)
class LineAddress:
    """numbers: of the output: coils, registers, pins. pulses: that a verdict is delayed by, None where time does it.
    nodes: of an OPC UA server that is written into; none where this device is the server."""

    scheme: str
    host: str
    port: int | None
    path: str
    timing: Timing
    limits: Limits
    numbers: dict[str, int]
    pulses: int | None = None
    nodes: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    password: str | None = None

    @property
    def shown(self) -> str:
        """With the port and without the rest, for errors and names."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")


def parse_line(given: str) -> LineAddress:
    """Read an address such as `modbus://plc:502/?coil=0&register=0&delay=300&hold=200`; times are milliseconds.

    Raises PandaError."""
    shown = f"--line {without_password(given)}"
    try:
        parts = urlsplit(given)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError:
        raise PandaError(_expected(shown)) from None
    scheme = parts.scheme
    if scheme not in _PORTS or not host or parts.fragment:
        raise PandaError(_expected(shown))
    query, nodes = _nodes(shown, parts.query) if scheme == "opcua" else (parts.query, {})
    if parts.username is not None and not nodes:
        raise PandaError(f"{shown}: a user is for an OPC UA server that is written into (ok=NODE); leave it out")
    values = numbers_in(shown, query, (*_TIMES, *_LIMITS, *_NUMBERS[scheme]), _LIMITS)
    limits = Limits(**{name: values[name] for name in _LIMITS if name in values})
    numbers = {name: int(values[name]) for name in _NUMBERS[scheme] if name in values}
    pulses = numbers.pop("pulses", None)
    _check_pulses(shown, pulses, numbers, _COUNTERS.get(scheme), "delay" in values)
    return LineAddress(
        scheme,
        host,
        port or _PORTS[scheme],
        unquote(parts.path),
        _timing(shown, values),
        limits,
        numbers,
        pulses,
        nodes,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def _timing(shown: str, values: dict[str, float]) -> Timing:
    times = {name: values[name] / 1e3 for name in _TIMES if name in values}
    if "deadline" not in times and times.get("delay", 0.0) > 0:
        times["deadline"] = times["delay"]  # what comes when its product has passed helps nobody
    timing = Timing(**times)
    if not timing.hold > 0 or not timing.deadline > 0 or timing.deadline < timing.delay:
        raise PandaError(f"{shown}: hold and deadline are above 0, and the deadline is not before the delay")
    return timing


def _check_pulses(shown: str, pulses: int | None, numbers: dict[str, int], counter: str | None, delayed: bool) -> None:
    if (pulses is None) != (counter not in numbers):
        raise PandaError(f"{shown}: pulses= and {counter}= go together: how many, and where they are counted")
    if pulses is not None and (delayed or not 0 < pulses < _MOST_PULSES):
        raise PandaError(f"{shown}: expected pulses= from 1 to {_MOST_PULSES - 1}, in place of delay=")


def _nodes(shown: str, query: str) -> tuple[str, dict[str, str]]:
    """What of an OPC UA address's query is no node, and the nodes by name. Raises PandaError."""
    rest, nodes = [], {}
    for pair in query.split("&"):
        name, _, node = pair.partition("=")
        if name not in _NODES:
            rest.append(pair)
        elif not node or name in nodes:
            raise PandaError(f"{shown}: {name}= has no node or stands twice; give one such as {name}=ns=2;s=Line.OK")
        else:
            nodes[name] = unquote(node)
    if "ok" in nodes and "heartbeat" not in nodes:
        raise PandaError(f"{shown}: ok= needs heartbeat=, too: without it an OK of a program that was killed stands on")
    return "&".join(rest), nodes


def numbers_in(shown: str, query: str, known: Sequence[str], fractions: Sequence[str] = ()) -> dict[str, float]:
    """The numbers in an address's query, by name. shown: option and address, for errors. known: names that may stand
    there; fractions: those that need not be whole. Raises PandaError."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise PandaError(f"{shown}: expected NAME=NUMBER after the question mark") from None
    values: dict[str, float] = {}
    for name, text in pairs:
        if name not in known or name in values:
            raise PandaError(f"{shown}: {name}= is not known or stands twice; known are {', '.join(known)}")
        values[name] = _number(shown, name, text, name not in fractions)
    return values


def _number(shown: str, name: str, text: str, whole: bool) -> float:
    try:
        value = float(text)
        if not math.isfinite(value) or value < 0 or value > _LONGEST or (whole and value != int(value)):
            raise ValueError
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise PandaError(f"{shown}: {name}={text}: expected {kind} from 0 to {_LONGEST}") from None
    return value


def _expected(shown: str) -> str:
    return (
        f"{shown}: expected modbus://HOST[:502]/?coil=0&register=0, opcua://HOST:4840/, or "
        "gpio://gpiochip0/?ok=17&ng=27"
    )
