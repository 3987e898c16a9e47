"""Verdicts delayed by an encoder's pulses: shown at their product, and never OK where the count is in doubt."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.lib.plc import Plc

from line_recorder import eventually, now
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Outcome
from panda_edge.stream.line.address import parse_line
from panda_edge.stream.line.encoder import open_way
from panda_edge.stream.line.way import Counted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that `Counted` sees; a test sets it."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("panda_edge.stream.line.way.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def counted(clock: SimpleNamespace, *counts: int | None, pulses: int = 50) -> Counted:
    """A counter of 1000 values that was looked at once a second."""
    way = Counted(pulses, 1000)
    for raw in counts:
        clock.now += 1.0
        way.count(raw)
    return way


class TestCounted:
    def test_a_picture_goes_from_its_own_count(self, clock: SimpleNamespace) -> None:
        way = counted(clock, 980, 990, 5, 15)  # at 101 … 104; it goes around in between
        assert way.moment(100.5) is None  # nothing was known then
        assert [way.moment(at) for at in (101.0, 101.9, 102.5, 103.5, 104.5)] == [50, 50, 60, 75, 85]
        assert way.now() == 35

    def test_when_it_is_too_late(self, clock: SimpleNamespace) -> None:
        way = counted(clock, 0, 30, 50, 51)
        assert way.late(50.0) == pytest.approx(103.05)  # the time of its pulse, and what a thread may be slow
        assert way.late(60.0) == float("inf")
        assert way.moment(101.5) is None  # its product has passed

    def test_a_belt_that_stands_trembles(self, clock: SimpleNamespace) -> None:
        way = counted(clock, 10, 11, 10, 11, 10, 11, 12)
        assert (way.now(), way.moment(101.0), way.late(45.0)) == (2, 50, float("inf"))

    @pytest.mark.parametrize("counts", [(700,), (90,), (None, 101), (None,)], ids=["forth", "back", "gap", "gone"])
    def test_a_jump_puts_everything_in_doubt(self, clock: SimpleNamespace, counts: tuple[int | None, ...]) -> None:
        way = counted(clock, 98, 100)
        moment, arrived = way.moment(102.5), 102.5
        assert moment is not None
        for raw in counts:
            clock.now += 1.0
            way.count(raw)
        assert way.now() >= moment  # at the machine at once
        assert way.late(moment) == 0.0  # and too late for OK
        assert way.moment(arrived) is None
        clock.now += 1.0
        after, seen = way.moment(clock.now), counts[-1] is not None
        assert (after is not None) == seen
        assert after is None or way.late(after) == float("inf")

    def test_it_forgets(self, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("panda_edge.stream.line.way._KEPT", 20)
        way = counted(clock, *(i % 1000 for i in range(2000)))
        assert way.now() == 1999
        assert way.moment(clock.now) == 2049
        assert way.moment(clock.now - 5.5) == 2049 - 6
        assert way.moment(500.0) is None
        assert len(way._times) <= 20


class TestBelt:
    def test_the_plcs_counter_delays(self, plc: Plc, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        address = parse_line(f"modbus://127.0.0.1:{plc.port}/?pulses=30&counter=50")
        said: list[str] = []
        plc.put_register(50, 65_530)
        line, output = make_line(way=open_way(address, said.append), hold=30.0, deadline=0.5)
        eventually(lambda: line._way.moment(time.monotonic()) is not None)
        line.outcome(now(judged["ok"]))
        for count in (65_535, 10, 23):  # 29 pulses
            plc.put_register(50, count)
            time.sleep(0.3)  # the deadline is one of judging: the belt may take its time
        assert not any(one.ok for _, _, one in output.told)
        plc.put_register(50, 24)
        eventually(lambda: output.shown.ok)
        line.outcome(now(judged["ok"]))
        time.sleep(0.1)
        plc.put_register(50, 9000)
        eventually(lambda: output.shown.not_judged)
        plc.stop()
        eventually(lambda: said)
        assert "gives no count" in said[0]

    def test_addresses(self) -> None:
        found = parse_line("gpio://gpiochip0/?ok=17&pulses=120&encoder=6")
        assert (found.pulses, found.numbers) == (120, {"ok": 17, "encoder": 6})
        for wrong, why in (
            ("modbus://plc/?pulses=5", "go together"),
            ("modbus://plc/?counter=5", "go together"),
            ("gpio://gpiochip0/?ok=1&pulses=0&encoder=6", "from 1 to 32767"),
            ("modbus://plc/?pulses=40000&counter=5", "from 1 to 32767"),
            ("modbus://plc/?pulses=40&counter=5&delay=5", "in place of delay"),
            ("opcua://plc/?pulses=40", "known are"),
        ):
            with pytest.raises(PandaError, match=why):
                parse_line(wrong)
