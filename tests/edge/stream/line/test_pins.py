"""Pins, against a stand-in for libgpiod's module: no board is here."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from line_recorder import eventually, now
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Outcome
from panda_edge.stream.line.address import parse_line


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """pins: what each output shows. press: rising edges at the input, so many in one event as the kernel had no room
    for the others."""
    board = SimpleNamespace(pins={}, pressed=0, released=False, changed=threading.Condition())

    def press(edges: int) -> None:
        with board.changed:
            board.pressed += edges
            board.changed.notify_all()

    def edges() -> Any:
        seen = 0

        def wait(seconds: float) -> bool:
            with board.changed:
                return bool(board.changed.wait_for(lambda: board.pressed > seen, seconds))

        def read() -> list[SimpleNamespace]:
            nonlocal seen
            seen = board.pressed
            return [SimpleNamespace(line_seqno=seen)]

        def release() -> None:
            board.released = True

        return SimpleNamespace(wait_edge_events=wait, read_edge_events=read, release=release)

    def request_lines(chip: str, consumer: str, config: dict[Any, dict[str, Any]]) -> Any:
        if chip != "/dev/gpiochip0":
            raise FileNotFoundError(2, "No such file or directory")
        ((wanted, settings),) = config.items()
        if settings["direction"] == "input":
            assert settings["edge_detection"] == "rising"
            return edges()
        board.pins.update(dict.fromkeys(wanted, settings["output_value"]))
        return SimpleNamespace(set_values=board.pins.update, release=board.pins.clear)

    line, gpiod = ModuleType("gpiod.line"), ModuleType("gpiod")
    line.Value = SimpleNamespace(ACTIVE=1, INACTIVE=0)  # type: ignore[attr-defined]
    line.Direction = SimpleNamespace(OUTPUT="output", INPUT="input")  # type: ignore[attr-defined]
    line.Edge = SimpleNamespace(RISING="rising")  # type: ignore[attr-defined]
    gpiod.line = line  # type: ignore[attr-defined]
    gpiod.LineSettings = lambda **given: given  # type: ignore[attr-defined]
    gpiod.request_lines = request_lines  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpiod", gpiod)
    monkeypatch.setitem(sys.modules, "gpiod.line", line)
    board.press = press
    return board


def test_pins(board: SimpleNamespace, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
    from panda_edge.stream.line.gpio import GpioOutput

    pins = board.pins
    output = GpioOutput(parse_line("gpio://gpiochip0/?ok=17&ng=27&heartbeat=5"), 1)
    assert pins == {17: 0, 27: 0, 5: 0}
    shown, _ = make_line(output, hold=0.3)
    shown.outcome(now(judged["ok"]))
    eventually(lambda: pins[17] == 1)
    eventually(lambda: pins[17] == 0)
    shown.outcome(now(judged["ng"]))
    eventually(lambda: (pins[17], pins[27]) == (0, 1))
    shown.close(10)
    assert pins == {}


@pytest.mark.parametrize(
    ("wrong", "sources", "why"),
    [
        ("gpio://gpiochip0/?ok=17&ng=17", 1, "pin of its own"),
        ("gpio://gpiochip0", 1, "pin of its own"),
        ("gpio://gpiochip0/?ok=17", 2, "one source"),
        ("gpio://gpiochip9/?ok=17", 1, "No such file"),
    ],
)
def test_wrong_addresses(board: SimpleNamespace, wrong: str, sources: int, why: str) -> None:
    from panda_edge.stream.line.gpio import GpioOutput

    with pytest.raises(PandaError, match=why):
        GpioOutput(parse_line(wrong), sources)


def test_a_pin_counts_the_belt(
    board: SimpleNamespace, make_line: Callable[..., Any], judged: dict[str, Outcome]
) -> None:
    from panda_edge.stream.line.encoder import open_way
    from panda_edge.stream.line.gpio import GpioOutput

    address = parse_line("gpio://gpiochip0/?ok=17&pulses=40&encoder=6")
    line, _ = make_line(GpioOutput(address, 1), way=open_way(address, print), hold=30.0, deadline=30.0)
    board.press(10)
    eventually(lambda: line._way.now() == 10)
    line.outcome(now(judged["ok"]))
    board.press(39)
    eventually(lambda: line._way.now() == 49)
    time.sleep(0.1)
    assert board.pins[17] == 0
    board.press(1)
    eventually(lambda: board.pins[17] == 1)
    line.close(10)
    assert board.released
    with pytest.raises(PandaError, match="No such file"):
        open_way(parse_line("gpio://gpiochip9/?ok=17&pulses=40&encoder=6"), print)


def test_a_pin_triggers(board: SimpleNamespace) -> None:
    from panda_edge.stream.trigger.gpio import GpioTrigger

    fired: list[Any] = []
    trigger = GpioTrigger("gpiochip0", 4, fired.append)
    board.press(1)
    eventually(lambda: len(fired) == 1)
    board.press(3)  # two were lost on the way: each was a trigger
    eventually(lambda: len(fired) == 4)
    trigger.close()
    assert board.released
