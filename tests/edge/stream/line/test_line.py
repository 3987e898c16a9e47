"""Verdicts to a machine: real Modbus and OPC UA servers and clients, and nothing in doubt is ever OK."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.plc import Plc
from PIL import Image

from line_recorder import eventually, now
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Notice, Outcome
from panda_edge.stream.line.address import Timing, parse_line
from panda_edge.stream.line.signals import Limits, Signals, signals_of


class TestSignals:
    def test_only_what_was_judged_and_normal_is_ok(self, judged: dict[str, Outcome]) -> None:
        states = {name: signals_of(outcome, Limits(), 1).state for name, outcome in judged.items()}
        assert states == {"ok": 1, "ng": 2, "odd": 3}
        undecided = replace(judged["ok"], result=replace(judged["ok"].result, decision=None))  # type: ignore[type-var]
        assert signals_of(undecided, Limits(), 1).state == 3

    def test_two_thresholds(self, judged: dict[str, Outcome]) -> None:
        severity = judged["ok"].result.severity  # type: ignore[union-attr]
        assert severity is not None and severity < 1  # noqa: PT018
        assert signals_of(judged["ok"], Limits(warn=severity * 0.9), 1).warn
        assert not signals_of(judged["ok"], Limits(warn=severity * 1.1), 1).warn
        worse = judged["ng"].result.severity  # type: ignore[union-attr]
        assert worse is not None
        told = signals_of(judged["ng"], Limits(reject=worse * 1.1), 1)
        assert (told.ok, told.ng, told.warn) == (True, False, True)
        assert signals_of(judged["ng"], Limits(reject=worse * 0.9), 1).ng
        assert signals_of(judged["odd"], Limits(reject=1e6), 1).state == 3

    def test_addresses(self) -> None:
        found = parse_line("modbus://plc/?coil=8&register=20&unit=2&delay=300&hold=200&warn=0.9")
        assert (found.host, found.port, found.numbers) == ("plc", 502, {"coil": 8, "register": 20, "unit": 2})
        assert (found.timing, found.limits) == (Timing(0.3, 0.2, 0.3), Limits(warn=0.9))
        for wrong, why in (
            ("plc:502", "expected modbus://"),
            ("modbus://", "expected modbus://"),
            ("modbus://plc/?coils=1", "known are"),
            ("modbus://plc/?coil=-1", "whole number"),
            ("modbus://plc/?coil=1.5", "whole number"),
            ("modbus://plc/?hold=0", "above 0"),
            ("modbus://plc/?delay=300&deadline=200", "not before the delay"),
            ("opcua://plc/?coil=1", "known are"),
            ("modbus://plc:99999", "expected modbus://"),
        ):
            with pytest.raises(PandaError, match=why):
                parse_line(wrong)


class TestTiming:
    def test_ok_is_taken_back(self, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        line, output = make_line(hold=0.2)
        line.outcome(now(judged["ok"]))
        eventually(lambda: output.shown.ok)
        eventually(lambda: output.shown.state == 0)
        (begun, _, _), (ended, _, _) = output.told[-2:]
        assert 0.2 <= ended - begun < 1.0
        assert output.shown.count == 1

    def test_a_delay_is_kept(self, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        line, output = make_line(delay=0.5, deadline=0.5, hold=0.2)
        arrived = time.monotonic()
        for source in ("cam", "two"):
            line.outcome(now(judged["ok"], source))
        eventually(lambda: sum(one.ok for _, _, one in output.told) == 2)
        shown = next(at for at, _, one in output.told if one.ok)
        assert 0.5 <= shown - arrived < 1.0
        assert line.late == 0

    def test_what_is_late_is_not_ok(self, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        line, output = make_line(deadline=0.4)
        line.outcome(now(judged["ok"], ago=0.5))
        eventually(lambda: output.shown.not_judged)
        assert (line.late, [one for _, _, one in output.told if one.ok]) == (1, [])

    def test_a_lost_source_is_in_doubt_until_it_is_back(
        self, make_line: Callable[..., Any], judged: dict[str, Outcome]
    ) -> None:
        line, output = make_line(hold=0.1)
        line.outcome(now(judged["ok"]))
        eventually(lambda: output.shown.ok)
        line.notice(Notice("n", "source_lost", "cam", "", 0.0))
        line.notice(Notice("n", "source_lost", None, "", 0.0))
        eventually(lambda: output.shown.not_judged)
        time.sleep(0.3)
        assert output.shown.not_judged
        line.outcome(now(judged["ok"]))
        eventually(lambda: output.shown.ok)

    def test_the_heartbeat_stops_with_the_loop(self, make_line: Callable[..., Any]) -> None:
        looked = [time.monotonic()]
        line, output = make_line(looked=lambda: looked[0])
        eventually(lambda: output.beats > 2)
        looked[0] = time.monotonic() - 60
        time.sleep(0.5)
        stopped = output.beats
        time.sleep(0.6)
        assert output.beats == stopped
        line.close(10)
        assert output.closed
        assert output.shown.state == 0

    def test_an_output_that_was_away_shows_nothing_old(
        self, make_line: Callable[..., Any], judged: dict[str, Outcome]
    ) -> None:
        line, output = make_line(deadline=0.3, hold=0.2)
        output.broken = True
        for _ in range(5):
            line.outcome(now(judged["ok"]))
            time.sleep(0.1)
        time.sleep(0.5)
        output.told.clear()
        output.broken = False
        eventually(lambda: output.told)
        time.sleep(0.3)
        assert not any(one.ok for _, _, one in output.told)


class TestModbus:
    def test_coils_and_registers(self, plc: Plc, make_line: Callable[..., Any], judged: dict[str, Outcome]) -> None:
        from panda_edge.stream.line.modbus import ModbusOutput

        output = ModbusOutput(parse_line(f"modbus://127.0.0.1:{plc.port}/?coil=8&register=20"), 2)
        line, _ = make_line(output, hold=30.0)
        line.outcome(now(judged["ok"]))
        eventually(lambda: plc.coil(8) == [True, False, False, False])
        line.outcome(now(judged["ng"], "two"))
        eventually(lambda: plc.coil(12) == [False, True, False, False])
        assert plc.coil(8)[0]
        line.outcome(now(judged["odd"]))
        eventually(lambda: plc.coil(8) == [False, False, True, False])
        severity = round(judged["ng"].result.severity * 1000)  # type: ignore[union-attr, operator]
        assert plc.registers()[21:27] == [2, 0, 3, 1, severity, 2]
        before = plc.registers()[20]
        eventually(lambda: plc.registers()[20] != before)
        line.outcome(now(judged["ok"]))
        eventually(lambda: plc.coil(8)[0])
        line.close(10)
        assert plc.coil(8) == plc.coil(12) == [False] * 4

    def test_no_count_is_seen_beside_the_ok_of_another(self, judged: dict[str, Outcome]) -> None:
        """The PLC may look between any two requests: an OK that still stands must not meet the next one's count."""
        pytest.importorskip("pymodbus", reason="needs pymodbus: pip install 'panda-edge[plc]'")
        from panda_edge.stream.line.modbus import ModbusOutput

        seen: list[tuple[bool, int, int]] = []
        plc = Plc(lambda coils, registers: seen.append((coils[0], registers[1], registers[3])))
        output = ModbusOutput(parse_line(f"modbus://127.0.0.1:{plc.port}"), 1)
        told = [("ok", 1), ("ng", 2), ("ok", 3), ("ok", 4), ("odd", 5), ("ok", 6)]
        for name, count in told:
            output.write(0, signals_of(judged[name], Limits(), count))
        output.close()
        plc.stop()
        assert {count for ok, count, _ in seen if ok} == {1, 3, 4, 6}
        assert [state for ok, _, state in seen if ok and state != 1] == []
        once = [count for was, now in itertools.pairwise(seen) for count in (now[1],) if was[0] and now[0]]
        assert once == []  # between two OKs it is off

    def test_a_plc_that_starts_anew_is_told_again(
        self, plc: Plc, make_line: Callable[..., Any], judged: dict[str, Outcome]
    ) -> None:
        from panda_edge.stream.line.modbus import ModbusOutput

        line, _ = make_line(ModbusOutput(parse_line(f"modbus://127.0.0.1:{plc.port}"), 2), hold=60.0)
        line.outcome(now(judged["ng"]))
        eventually(lambda: plc.coil()[1])
        plc.stop()
        time.sleep(0.5)
        plc.start()
        eventually(lambda: plc.coil()[1])

    def test_a_refusing_plc_is_said(self, plc: Plc, judged: dict[str, Outcome]) -> None:
        from panda_edge.stream.line.modbus import ModbusOutput

        output = ModbusOutput(parse_line(f"modbus://127.0.0.1:{plc.port}/?coil=5000"), 1)
        with pytest.raises(PandaError, match="refuses write_coils at 5000"):
            output.write(0, Signals())
        with pytest.raises(PandaError, match="beyond 65535"):
            ModbusOutput(parse_line(f"modbus://127.0.0.1:{plc.port}/?coil=65534"), 1)
        output.close()

    def test_killed_at_random_it_is_never_ok(
        self,
        plc: Plc,
        start: Callable[..., Any],
        bundle_path: Path,
        tmp_path: Path,
        noise: Callable[[int], Image.Image],
    ) -> None:
        """A PLC that takes OK only while the heartbeat changes passes nothing of a dead program (docs/line.md)."""
        for number in range(4):
            noise(number).save(tmp_path / f"{number}.png")
        address = f"modbus://127.0.0.1:{plc.port}/?hold=100000"  # so that OK would stand, was it not for the heartbeat
        for _ in range(2):
            running = start(bundle_path, tmp_path, "--fpr", "0.001", "--line", address)
            first = plc.registers()[0]
            eventually(lambda first=first: plc.registers()[0] != first and any(plc.coil()), 60)
            time.sleep(random.uniform(0, 0.5))
            running.process.kill()
            running.process.wait()
            time.sleep(0.1)
            stopped = plc.registers()[0]
            time.sleep(1.0)
            assert plc.registers()[0] == stopped
