"""From a PLC's trigger to its output bit: python -m benchmarks.endurance.line_trigger [--times N]

A `panda-edge watch` of its own asks pymodbus's server for an input bit, judges the next picture of a camera of 100 a
second, and writes coils. Measured in the server: from the input's edge to the coil's. Taken off is the frame's own time
(its stages decode and judging); what stays is polling, the wait for the camera's next picture, queues, threads and
Modbus. Resumable: the rows of benchmarks/endurance/results/line.json count, and N triggers are asked for in all. Each
run adds its own load average.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.endurance.watch import conditions, frames, gaussian
from benchmarks.lib.plc import Plc
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import open_subject, say

TIMES, KEY = 10_000, "trigger to output bit"
WANTED_MS = 60.0
PART = 500  # triggers between two rows
CAMERA_FPS, SIZE = 100, (320, 240)
DEADLINE = 1.0  # seconds, of the trigger
WARM = 20  # triggers that are not counted: the first search reads the bank
_PAUSES = (0.02, 0.05)  # seconds between an answer and the next trigger, at random: no beat with the camera's pace


class Machine:
    """The PLC, the camera, and the `watch` between them."""

    def __init__(self, bundle: Path, pictures: list[bytes]) -> None:
        self.plc = Plc(self._written)
        self.own_ms: list[float] = []
        """Of each judged frame: decode and judging."""
        self._answers: dict[int, tuple[float, int]] = {}  # by count: when a coil rose, and the state beside it
        self._answered = threading.Condition()
        self._fired = 0
        address = f"modbus://127.0.0.1:{self.plc.port}"
        command = [Path(sys.executable).with_name("panda-edge"), "watch", bundle, "-", "--raw", f"{SIZE[0]}x{SIZE[1]}",
                   "--frozen-after", "0", "--trigger", f"{address}/?input=0&deadline={DEADLINE * 1e3:.0f}",
                   "--line", f"{address}/?coil=0&register=0", "--jsonl", "-"]  # fmt: skip
        self._watch = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (lambda: self._film(pictures), self._read)]
        for thread in self._threads:
            thread.start()
        self._wait(lambda: self.plc.registers()[0] > 0, 120)

    def fire(self) -> tuple[float, int] | None:
        """Trigger once. Returns milliseconds to the coil and the state (1 OK, 2 NG, 3 not judged); None: no answer."""
        self._fired += 1
        began = time.monotonic()
        self.plc.put_input(True)
        with self._answered:
            self._answered.wait_for(lambda: self._fired in self._answers, 2 * DEADLINE)
            found = self._answers.pop(self._fired, None)
        self.plc.put_input(False)
        return None if found is None else ((found[0] - began) * 1e3, found[1])

    def settled(self) -> None:
        """Wait until every fired trigger has its JSON line."""
        self._wait(lambda: len(self.own_ms) >= self._fired, 10)

    def close(self) -> None:
        self._stop.set()
        self._watch.terminate()
        self._watch.wait(30)
        for thread in self._threads:
            thread.join()
        self.plc.stop()

    def _wait(self, holds: Any, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until or self._watch.poll() is not None:
                raise SystemExit("watch does not answer, or has ended")
            time.sleep(0.05)

    def _written(self, coils: list[bool], registers: list[int]) -> None:
        if any(coils[:3]):
            with self._answered:
                self._answers.setdefault(registers[1], (time.monotonic(), registers[3]))
                self._answered.notify_all()

    def _film(self, pictures: list[bytes]) -> None:
        assert self._watch.stdin is not None
        began, number = time.monotonic(), 0
        try:
            while not self._stop.wait(max(began + number / CAMERA_FPS - time.monotonic(), 0)):
                self._watch.stdin.write(pictures[number % len(pictures)])
                self._watch.stdin.flush()
                number += 1
        except OSError:  # it has ended
            pass

    def _read(self) -> None:
        assert self._watch.stdout is not None
        for text in self._watch.stdout:
            line = json.loads(text)
            if "stages_ms" in line:
                stages = line["stages_ms"]
                self.own_ms.append(sum(ms for name, ms in stages.items() if name not in ("wait", "check")))


def measure(times: int, rows: ResultsFile) -> None:
    subject, chance = open_subject(), random.Random()
    machine = Machine(gaussian(subject), [image.resize(SIZE).tobytes() for image in frames(subject, 60)])
    try:
        for _ in range(WARM):
            machine.fire()
            time.sleep(_PAUSES[1])
        while (row := rows.get(KEY)).get("triggers", 0) < times:
            machine.settled()
            first, answers = len(machine.own_ms), []
            for _ in range(min(PART, times - row.get("triggers", 0))):
                answers.append(machine.fire())
                time.sleep(chance.uniform(*_PAUSES))
            machine.settled()
            add(rows, row, answers, machine.own_ms[first:])
            rows.update(KEY, **conditions(subject))
            say(f"{rows.get(KEY)['triggers']} triggers")
    finally:
        machine.close()


def add(rows: ResultsFile, row: dict[str, Any], answers: list[tuple[float, int] | None], own_ms: list[float]) -> None:
    """Put a part's answers into the row. beyond: by whole milliseconds, rounded up."""
    beyond, whole = (Counter({int(ms): n for ms, n in row.get(name, {}).items()}) for name in ("beyond", "whole"))
    states = Counter(row.get("states"))
    for answer, own in zip(answers, own_ms, strict=True):
        if answer is None or answer[1] == 3:
            states["unanswered" if answer is None else "not judged"] += 1
            continue
        states[{1: "OK", 2: "NG"}[answer[1]]] += 1
        beyond[max(-int(-(answer[0] - own) // 1), 0)] += 1
        whole[-int(-answer[0] // 1)] += 1
    rows.update(
        KEY,
        triggers=row.get("triggers", 0) + len(answers),
        wanted_ms=WANTED_MS,
        states=dict(states),
        beyond_p50_ms=quantile(beyond, 0.5),
        beyond_p99_ms=quantile(beyond, 0.99),
        beyond_most_ms=max(beyond, default=None),
        whole_p50_ms=quantile(whole, 0.5),
        whole_p99_ms=quantile(whole, 0.99),
        camera_fps=CAMERA_FPS,
        loads=[*row.get("loads", []), round(os.getloadavg()[0], 1)],
        beyond=dict(sorted(beyond.items())),
        whole=dict(sorted(whole.items())),
    )


def quantile(counts: Counter[int], share: float) -> int | None:
    """The least number of whole milliseconds that so many do not exceed."""
    left = share * counts.total()
    for ms in sorted(counts):
        left -= counts[ms]
        if left <= 0:
            return ms
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=TIMES)
    rows = ResultsFile("endurance/results/line")
    measure(parser.parse_args().times, rows)
    row = rows.get(KEY)
    print({name: value for name, value in row.items() if name not in ("beyond", "whole")})
    sys.exit(0 if row["beyond_p99_ms"] <= WANTED_MS and not row["states"].get("unanswered") else 1)


if __name__ == "__main__":
    main()
