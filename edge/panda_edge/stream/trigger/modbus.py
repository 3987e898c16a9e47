"""Triggers by a PLC's discrete input, which is asked for often; its rising edge is a trigger."""

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
        """numbers: unit, input; every: milliseconds between two questions. Raises PandaError."""
        self._input, self._unit = int(numbers.get("input", 0)), int(numbers.get("unit", 1))
        if self._input > 65_535 or self._unit > 255:
            raise PandaError("--trigger modbus: expected input=0 to 65535 and unit=0 to 255")
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
        before: bool | None = None  # what it was before we looked is not known, and no edge
        failing = False
        while not self._stop.wait(_PAUSE if failing else self._every):
            try:
                on = self._on()
            except (self._error, OSError, PandaError):
                self._client.close()
                if not failing:
                    self._say(f"{self._name}: does not answer; its triggers are missed until it does")
                failing, before = True, None
                continue
            if failing:
                self._say(f"{self._name}: answers again")
            failing = False
            if on and before is False:
                self._fire(lambda outcomes: None)
            before = on
        self._client.close()

    def _on(self) -> bool:
        answer = self._client.read_discrete_inputs(self._input, count=1, device_id=self._unit)
        if answer.isError():
            raise PandaError(f"{self._name}: refuses")
        return bool(answer.bits[0])
