"""Signals by a board's own pins (Linux's GPIO character device, libgpiod)."""

from __future__ import annotations

from typing import Any

from panda_edge.errors import PandaError, missing
from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.signals import Signals


class GpioOutput:
    """One source. Pins `ok`, `ng`, `not_judged`, `warn` are high while that is shown; `heartbeat` changes with each
    beat. A pin's state after the program was killed is the driver's: let a relay hold only while `heartbeat` changes.
    """

    def __init__(self, address: LineAddress, sources: int) -> None:
        """sources: how many. Raises PandaError: more than one, no pin, or the chip cannot be had."""
        self.name = f"gpio://{address.host}"
        self._pins = dict(address.numbers)
        if sources != 1:
            raise PandaError(f"--line {self.name}: pins show one source, and {sources} are watched")
        if not self._pins or len(set(self._pins.values())) < len(self._pins):
            raise PandaError(f"--line {self.name}: give each signal a pin of its own, such as ?ok=17&ng=27")
        self._gpiod = gpiod = _imported()
        self._high, self._low = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE
        settings = gpiod.LineSettings(direction=gpiod.line.Direction.OUTPUT, output_value=self._low)
        chip = address.host if address.host.startswith("/") else f"/dev/{address.host}"
        try:
            self._lines: Any = gpiod.request_lines(
                chip, consumer="panda-edge", config={tuple(self._pins.values()): settings}
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise PandaError(f"--line {self.name}: {chip} gives no such pins ({why})") from error

    def write(self, source: int, signals: Signals) -> None:
        shown = {
            "ok": signals.ok,
            "ng": signals.ng,
            "not_judged": signals.not_judged,
            "warn": signals.warn,
        }
        self._set({name: on for name, on in shown.items() if name in self._pins})

    def beat(self, count: int) -> None:
        if "heartbeat" in self._pins:
            self._set({"heartbeat": count % 2 == 1})

    def close(self) -> None:
        self._lines.release()

    def _set(self, pins: dict[str, bool]) -> None:
        values = {self._pins[name]: self._high if on else self._low for name, on in pins.items()}
        if values:
            self._lines.set_values(values)


def _imported() -> Any:
    try:
        import gpiod
        import gpiod.line
    except ImportError as error:
        raise missing("--line gpio:// needs gpiod", "gpio") from error
    return gpiod
