"""A value of a PLC that is asked for again and again, by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

from panda_edge.stream.line.modbus import imported
from panda_edge.stream.started import started

EVERY = 0.005  # seconds between two questions
_SECONDS = 0.5  # within which the PLC must have answered
_PAUSE = 1.0  # seconds before a PLC that did not answer is asked again


@dataclass(frozen=True)
class Place:
    """Where a value stands: a holding register, or else a discrete input."""

    host: str
    port: int | None
    unit: int
    number: int
    register: bool

    @property
    def name(self) -> str:
        return f"modbus://{self.host}:{self.port}"


class Polled:
    """Asks until it is closed."""

    def __init__(
        self,
        option: str,
        place: Place,
        every: float,
        take: Callable[[int | None], None],
        say: Callable[[bool], None],
    ) -> None:
        """option: that needs the PLC. every: seconds. take: is told each value, None where the PLC gives none. say:
        whether it answers, when that has changed. Raises PandaError."""
        client, self._error = imported(option)
        self._client: Any = client(place.host, port=place.port, timeout=_SECONDS, retries=0)
        self._place, self._every, self._take, self._say = place, every, take, say
        self._stop = Event()
        self._thread = started(self._run, option.strip("-"))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        failing = False
        while not self._stop.wait(_PAUSE if failing else self._every):
            value = self._value()
            if failing != (value is None):
                failing = value is None
                self._say(not failing)
            self._take(value)
        self._client.close()

    def _value(self) -> int | None:
        read = self._client.read_holding_registers if self._place.register else self._client.read_discrete_inputs
        try:
            answer = read(self._place.number, count=1, device_id=self._place.unit)
            if not answer.isError():
                return int((answer.registers if self._place.register else answer.bits)[0])
        except (self._error, OSError):
            pass
        self._client.close()  # what comes late must not be taken for the next answer
        return None
