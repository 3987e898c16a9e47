"""`--trigger` addresses: who says when to look."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.line.address import numbers_in
from panda_edge.stream.passwords import without_password

_FIELDS = {"http": (), "mqtt": (), "mqtts": (), "modbus": ("unit", "input", "counter", "every"), "gpio": ("input",)}
_SCHEMES = "http://127.0.0.1:9100, mqtt://host:1883/topic, modbus://plc:502/?input=0, or gpio://gpiochip0/?input=4"


@dataclass(frozen=True)
class TriggerAddress:
    """deadline, after: seconds, see Triggers. numbers: of the PLC's input."""

    parts: SplitResult
    deadline: float
    after: float
    numbers: dict[str, float]

    @property
    def host(self) -> str:
        return self.parts.hostname or ""


def parse_trigger(given: str) -> TriggerAddress:
    """Read an address such as `mqtt://broker/line1/look?deadline=200&after=33`; times are milliseconds.

    Raises PandaError."""
    shown = f"--trigger {without_password(given)}"
    try:
        parts = urlsplit(given)
        (parts.hostname or "").encode("idna")
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.scheme not in _FIELDS or (parts.scheme == "http" and parts.port is None):
        raise PandaError(f"{shown}: expected {_SCHEMES}")
    if parts.scheme.startswith("mqtt") and (not parts.path.strip("/") or "#" in given or "+" in parts.path):
        raise PandaError(f"{shown}: expected a topic, such as mqtt://host:1883/line1/look")
    values = numbers_in(shown, parts.query, ("deadline", "after", *_FIELDS[parts.scheme]))
    deadline, after = values.pop("deadline", 1000.0) / 1e3, values.pop("after", 0.0) / 1e3
    if not deadline > after:
        raise PandaError(f"{shown}: the deadline is above 0, and later than after=")
    return TriggerAddress(parts, deadline, after, values)
