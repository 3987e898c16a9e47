"""A `watch` that is killed at random while a PLC listens: python -m benchmarks.endurance.line_killed [--times N]

Each run judges 20 pictures a second and writes coils with a hold of ten minutes, so that nothing of ours takes an OK
back; it gets SIGKILL at a random moment after its first OK. The PLC, pymodbus's server, passes a product by the rule of
docs/line.md: OK is on, and the heartbeat has changed within the last second. Measured: how long after a kill the rule
would still have passed something, at most; requests that came later than that; and, over all writes of all runs, an OK
that stood beside the count of a product that had not earned it. Resumable: the row in
benchmarks/endurance/results/line.json counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time

from benchmarks.endurance.watch import conditions, gaussian
from benchmarks.lib.plc import Plc
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import open_subject, say

TIMES, KEY = 200, "killed at random"
RULE = 1.0  # seconds within which the heartbeat must have changed
_PRELOADED = ["onnxruntime", "panda_edge.commands.app", "panda_edge.stream.run", "pymodbus.client"]
_START = 120.0  # seconds in which a run must have shown its first OK
_LONGEST_RUN = 1.5  # seconds from there to the kill, at most
_AFTERWARDS = 1.5  # seconds for which the PLC is watched after it
_LOOK = 0.01  # seconds between two looks of the PLC at its own coils
_LATE = 0.1  # seconds in which a request that was sent before the kill is worked off


class Gate:
    """The PLC's program."""

    def __init__(self) -> None:
        self.plc = Plc(self._written)
        self.address = f"modbus://127.0.0.1:{self.plc.port}/?coil=0&register=0&hold=600000"
        self.unearned = 0
        self.last_written = self.first_ok = 0.0
        self._ok, self._beat, self._beat_at = False, -1, 0.0

    def begin(self) -> None:
        """Before a run. What the one before left on stays on, as in a PLC."""
        self.first_ok, self._beat = 0.0, -1

    def passes(self, now: float) -> bool:
        return self._ok and now - self._beat_at < RULE

    def _written(self, coils: list[bool], registers: list[int]) -> None:
        self.last_written = now = time.monotonic()
        self._ok = coils[0]
        if registers[0] != self._beat:
            self._beat_at, self._beat = now, registers[0]
        if self._ok:
            self.first_ok = self.first_ok or now
            self.unearned += registers[3] != 1


def be(arguments: list[str]) -> None:
    """Becomes `panda-edge`, with nothing to say."""
    from panda_edge.commands.app import app

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    app(arguments, standalone_mode=False)


def kill_often(times: int, rows: ResultsFile) -> None:
    subject, chance, gate = open_subject(), random.Random(), Gate()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    arguments = ["watch", gaussian(subject), subject.root / "test", "--max-fps", "20", "--line", gate.address]
    while (row := rows.get(KEY)).get("killed", 0) < times:
        gate.begin()
        process = context.Process(target=be, args=([str(one) for one in arguments],))
        process.start()
        began = time.monotonic()
        while not gate.first_ok:
            if time.monotonic() - began > _START or not process.is_alive():
                raise SystemExit("a run showed no OK")
            time.sleep(_LOOK)
        time.sleep(chance.uniform(0, _LONGEST_RUN))
        passed_before = gate.passes(time.monotonic())
        process.kill()
        killed = time.monotonic()
        process.join()
        last = killed
        while (now := time.monotonic()) < killed + _AFTERWARDS:
            last = now if gate.passes(now) else last
            time.sleep(_LOOK)
        rows.update(
            KEY,
            killed=row.get("killed", 0) + 1,
            passing_when_killed=row.get("passing_when_killed", 0) + passed_before,
            longest_passing_s=round(max(row.get("longest_passing_s", 0.0), last - killed), 3),
            promised_s=RULE,
            written_later=row.get("written_later", 0) + (gate.last_written > killed + _LATE),
            ok_beside_another_count=row.get("ok_beside_another_count", 0) + gate.unearned,
            command="python -m benchmarks.endurance.line_killed",
            **conditions(subject),
        )
        gate.unearned = 0
        if (row.get("killed", 0) + 1) % 10 == 0:
            say(f"{row.get('killed', 0) + 1} of {times} killed")
    gate.plc.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=TIMES)
    rows = ResultsFile("endurance/results/line")
    kill_often(parser.parse_args().times, rows)
    row = rows.get(KEY)
    print(row)
    wrong = row["written_later"] or row["ok_beside_another_count"] or row["longest_passing_s"] > RULE + _LATE
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
