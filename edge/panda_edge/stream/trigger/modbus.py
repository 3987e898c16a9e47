"""Triggers by a PLC: the rising edge of a discrete input, or the steps of a register that counts. Both are polled."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.stream.line.modbus import imported
from panda_edge.stream.started import started
from panda_edge.stream.trigger.triggers import Answer

_SECONDS = 0.5  # within which the PLC must have answered
_EVERY = 0.005  # seconds between two questions
_PAUSE = 1.0  # seconds before a PLC that did not answer is asked again
_TURNS_AT = 1 << 16  # values of a register
_MOST = 1000  # steps between two questions; a register that went so far was set anew


class ModbusTrigger:
    """The verdict goes back by `--line modbus://`."""

    def __init__(
        self,
        host: str,
        port: int,
        numbers: dict[str, float],
        fire: Callable[[Answer], None],
        say: Callable[[str], None],
    ) -> None:
        """numbers: unit; input, a discrete input, or counter, a holding register; every: milliseconds between two
        questions. Raises PandaError."""
        if "input" in numbers and "counter" in numbers:
            raise PandaError("--trigger modbus: give input= or counter=, not both")
        self._counts = "counter" in numbers
        self._place = int(numbers.get("counter", numbers.get("input", 0)))
        self._unit = int(numbers.get("unit", 1))
        if self._place >= _TURNS_AT or self._unit > 255:
            raise PandaError("--trigger modbus: expected input= or counter= from 0 to 65535 and unit=0 to 255")
        self._every = numbers.get("every", _EVERY * 1e3) / 1e3
        self._name = f"modbus://{host}:{port}"
        self._fire = fire
        self._say = say
        client, self._error = imported("--trigger")
        self._client: Any = client(host, port=port, timeout=_SECONDS, retries=0)
        self._stop = Event()
        self._thread = started(self._run, "trigger")

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        before: int | None = None  # what it was before we looked is not known, and no edge
        failing = False
        while not self._stop.wait(_PAUSE if failing else self._every):
            try:
                now = self._now()
            except (self._error, OSError, PandaError):
                self._client.close()
                if not failing:
                    self._say(f"{self._name}: does not answer; its triggers are missed until it does")
                failing, before = True, None
                continue
            if failing:
                self._say(f"{self._name}: answers again")
            failing = False
            for _ in range(0 if before is None else self._steps(before, now)):
                self._fire(lambda outcomes: None)
            before = now
        self._client.close()

    def _steps(self, before: int, now: int) -> int:
        """How many triggers there were between two answers."""
        if not self._counts:
            return int(now > before)
        steps = (now - before) % _TURNS_AT
        if steps > _MOST:
            self._say(f"{self._name}: its counter went from {before} to {now}; no triggers are taken from that")
            return 0
        return steps

    def _now(self) -> int:
        read = self._client.read_holding_registers if self._counts else self._client.read_discrete_inputs
        answer = read(self._place, count=1, device_id=self._unit)
        if answer.isError():
            raise PandaError(f"{self._name}: refuses")
        return int((answer.registers if self._counts else answer.bits)[0])
