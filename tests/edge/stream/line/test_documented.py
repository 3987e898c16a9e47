"""docs/line.md: its addresses are taken, and its Modbus commands run, with a PLC in place of theirs."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.lib.plc import Plc

from line_recorder import eventually
from panda_edge.stream.line.address import parse_line
from panda_edge.stream.trigger.address import parse_trigger

PAGE = (Path(__file__).parents[4] / "docs" / "line.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line.strip()) for line in re.findall(r"^    panda-edge watch .*$", PAGE, re.MULTILINE)]
MODBUS = [command for command in COMMANDS if "modbus://" in command[-1]]


def test_every_address_is_taken() -> None:
    lines: list[str] = []
    triggers: list[str] = []
    for command in COMMANDS:
        for option, address in itertools.pairwise(command):
            if option in ("--line", "--trigger"):
                (lines if option == "--line" else triggers).append(address)
    cells = [re.findall(r"^\| `(\w+://[^`]+)`", part, re.MULTILINE) for part in PAGE.split("# Triggers from a machine")]
    lines += [address for address in cells[0] if "…" not in address and not address.endswith("//")]
    triggers += cells[1]
    assert (len(lines), len(triggers)) == (4 + 3, 1 + 5)
    for address in lines:
        parse_line(re.sub(r"\[|\]", "", address))
    for address in triggers:
        parse_trigger(re.sub(r"\[|\]", "", address))


@pytest.mark.parametrize("command", MODBUS, ids=["delay", "pulses", "trigger"])
def test_a_command_shows_verdicts(
    command: list[str], plc: Plc, start: Callable[..., Any], bundle_path: Path, sample_data: Path, tmp_path: Path
) -> None:
    """The camera is a folder that pictures come into."""
    _, _, _, source, *options = command
    assert source == "rtsp://camera/live"
    there = [
        one.replace("192.168.0.10", f"127.0.0.1:{plc.port}")
        .replace("delay=300", "delay=3000")
        .replace("deadline=300", "deadline=5000")
        for one in options
    ]
    running = start(bundle_path, tmp_path, *there, "--jsonl", "-")
    pictures = itertools.cycle(sorted((sample_data / "test").rglob("*.png")))
    turn = 0

    def shown() -> bool:
        nonlocal turn
        turn += 1
        plc.put_register(50, 5 * turn)
        plc.put_input(turn % 20 > 10)
        shutil.copy(next(pictures), tmp_path / "part")
        (tmp_path / "part").rename(tmp_path / f"{turn}.png")
        time.sleep(0.05)
        return plc.registers()[3] in (1, 2)

    eventually(shown, 60)
    assert running.end(15, 30) == 0
    assert plc.coil() == [False] * 4  # taken back
