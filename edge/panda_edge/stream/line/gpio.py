"""Signals by a board's own pins (Linux's GPIO character device, libgpiod)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

from panda_edge.errors import PandaError, missing
from panda_edge.stream.line.address import LineAddress
from panda_edge.stream.line.signals import Signals
from panda_edge.stream.started import started

_TURN = 0.5  # seconds after which one who waits for an edge looks whether he may still


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
        gpiod = _imported(f"--line {self.name}")
        self._high, self._low = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE
        settings = gpiod.LineSettings(direction=gpiod.line.Direction.OUTPUT, output_value=self._low)
        chip = chip_path(address.host)
        try:
            self._lines: Any = gpiod.request_lines(
                chip, consumer="panda-edge", config={tuple(self._pins.values()): settings}
            )
        except (OSError, ValueError) as error:
            raise _no_pins(f"--line {self.name}", chip, error) from error

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


def chip_path(host: str) -> str:
    """The device file of an address's chip."""
    return host if host.startswith("/") else f"/dev/{host}"


class Edges:
    """Tells how many rising edges a pin has had, by a thread of its own."""

    def __init__(self, chip: str, pin: int, option: str, count: Callable[[int], None]) -> None:
        """option: for errors, with its address. count: is told the number so far, by the kernel's count: edges for
        which it had no room are in it. Raises PandaError."""
        gpiod = _imported(option)
        settings = gpiod.LineSettings(direction=gpiod.line.Direction.INPUT, edge_detection=gpiod.line.Edge.RISING)
        try:
            self._request: Any = gpiod.request_lines(chip_path(chip), consumer="panda-edge", config={pin: settings})
        except (OSError, ValueError) as error:
            raise _no_pins(option, chip_path(chip), error) from error
        self._count = count
        self._stop = Event()
        self._thread = started(self._run, "edges")

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._request.wait_edge_events(_TURN):
                self._count(self._request.read_edge_events()[-1].line_seqno)
        self._request.release()


def _no_pins(option: str, chip: str, error: Exception) -> PandaError:
    why = getattr(error, "strerror", None) or error
    return PandaError(f"{option}: {chip} gives no such pins ({why})")


def _imported(option: str) -> Any:
    try:
        import gpiod
        import gpiod.line
    except ImportError as error:
        raise missing(f"{option} needs gpiod", "gpio") from error
    return gpiod
