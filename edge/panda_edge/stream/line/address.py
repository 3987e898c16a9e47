"""`--line` addresses: which output, and when it says what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.line.signals import Limits

_PORTS = {"modbus": 502, "opcua": 4840, "gpio": None}
_TIMES = ("delay", "hold", "deadline")
_LIMITS = ("warn", "reject")
_NUMBERS = {
    "modbus": ("unit", "coil", "register"),
    "opcua": (),
    "gpio": ("ok", "ng", "not_judged", "warn", "heartbeat"),
}
_LONGEST = 600_000  # milliseconds


@dataclass(frozen=True)
class Timing:
    """Seconds. A verdict is shown from `delay` after its picture arrived, for `hold`; one that is not there `deadline`
    after its picture arrived is shown as not judged."""

    delay: float = 0.0
    hold: float = 0.5
    deadline: float = 1.0


@dataclass(frozen=True)
class LineAddress:
    """numbers: of the output: coils, registers, lines."""

    scheme: str
    host: str
    port: int | None
    path: str
    timing: Timing
    limits: Limits
    numbers: dict[str, int]


def parse_line(given: str) -> LineAddress:
    """Read an address such as `modbus://plc:502/?coil=0&register=0&delay=300&hold=200`; times are milliseconds.

    Raises PandaError."""
    try:
        parts = urlsplit(given)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError:
        raise PandaError(_expected(given)) from None
    if parts.scheme not in _PORTS or not host or parts.username is not None or parts.fragment:
        raise PandaError(_expected(given))
    known = (*_TIMES, *_LIMITS, *_NUMBERS[parts.scheme])
    values = numbers_in(f"--line {given}", parts.query, known, _LIMITS)
    times = {name: values[name] / 1e3 for name in _TIMES if name in values}
    if "deadline" not in times and times.get("delay", 0.0) > 0:
        times["deadline"] = times["delay"]  # what comes when its product has passed helps nobody
    timing = Timing(**times)
    if not timing.hold > 0 or not timing.deadline > 0 or timing.deadline < timing.delay:
        raise PandaError(f"--line {given}: hold and deadline are above 0, and the deadline is not before the delay")
    limits = Limits(**{name: values[name] for name in _LIMITS if name in values})
    numbers = {name: int(values[name]) for name in _NUMBERS[parts.scheme] if name in values}
    return LineAddress(parts.scheme, host, port or _PORTS[parts.scheme], unquote(parts.path), timing, limits, numbers)


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


def _expected(given: str) -> str:
    return (
        f"--line {given}: expected modbus://HOST[:502]/?coil=0&register=0, opcua://HOST:4840/, or "
        "gpio://gpiochip0/?ok=17&ng=27"
    )
