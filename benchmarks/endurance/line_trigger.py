"""From a PLC's trigger to its output bit: python -m benchmarks.endurance.line_trigger

    [--times N] [--by input|counter] [--row WORDS]

A `panda-edge watch` of its own asks pymodbus's server for an input bit or a counter, judges the next picture of a
camera of 100 a second, and writes coils. Measured in the server: from the trigger there to the coil there. Taken off is
the frame's own time (its stages decode and judging); what stays is polling, the wait for the camera's next picture,
queues, threads and Modbus. Resumable: the rows of benchmarks/endurance/results/line.json count, and N triggers are
asked for in all. Each part adds its own load average.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.endurance.watch import conditions, frames, gaussian
from benchmarks.lib.plc import Plc
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import open_subject, say

TIMES, KEY = 10_000, "trigger to output bit"
PLACES = {"input": 0, "counter": 50}
WANTED_MS = 60.0
_START = 120.0  # seconds in which `watch` must have begun
PART = 500  # triggers between two rows
CAMERA_FPS, SIZE = 100, (320, 240)
DEADLINE = 1.0  # seconds, of the trigger
WARM = 20  # triggers that are not counted: the first search reads the bank
_PAUSES = (0.05, 0.08)  # seconds between an answer and the next trigger, at random: no beat with the camera's pace


@dataclass(frozen=True)
class Answer:
    """ms: from the input's edge to the coil's. own_ms: of the frame; None where there was none. state: as in the
    register, 1 OK, 2 NG, 3 not judged."""

    ms: float
    own_ms: float | None
    state: int


class Machine:
    """The PLC, the camera, and the `watch` between them."""

    def __init__(self, bundle: Path, pictures: list[bytes], by: str) -> None:
        """by: a trigger is a rising edge of an `input`, or a step of a `counter`."""
        self._by, self._fired = by, 0
        self.plc = Plc(self._written)
        self._answers: list[tuple[float, int]] = []  # when a coil rose, and the state beside it
        self._own_ms: list[float] = []  # of each judged frame: decode and judging
        self._count = 0
        self._changed = threading.Condition()
        address = f"modbus://127.0.0.1:{self.plc.port}"
        command = [Path(sys.executable).with_name("panda-edge"), "watch", bundle, "-", "--raw", f"{SIZE[0]}x{SIZE[1]}",
                   "--frozen-after", "0", "--trigger", f"{address}/?{by}={PLACES[by]}&deadline={DEADLINE * 1e3:.0f}",
                   "--line", f"{address}/?coil=0&register=0", "--jsonl", "-"]  # fmt: skip
        self._watch = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (lambda: self._film(pictures), self._read)]
        for thread in self._threads:
            thread.start()
        until = time.monotonic() + _START
        while not self.plc.registers()[0]:
            if time.monotonic() > until or self._watch.poll() is not None:
                raise SystemExit(f"watch gave no heartbeat within {_START:.0f} s, or has ended")
            time.sleep(0.05)

    def fire(self) -> Answer | None:
        """Trigger once, and wait for the coil and the JSON line. None: no coil."""
        answers, lines = len(self._answers), len(self._own_ms)
        began = time.monotonic()
        if self._by == "counter":
            self._fired += 1
            self.plc.put_register(PLACES["counter"], self._fired % 65_536)
        else:
            self.plc.put_input(True)
        with self._changed:
            answered = self._changed.wait_for(lambda: len(self._answers) > answers, 2 * DEADLINE)
            self._changed.wait_for(lambda: len(self._own_ms) > lines, 2 * DEADLINE if answered else 0)
        self.plc.put_input(False)
        if not answered:
            return None
        at, state = self._answers[answers]
        return Answer((at - began) * 1e3, self._own_ms[-1] if len(self._own_ms) > lines else None, state)

    def close(self) -> None:
        self._stop.set()
        self._watch.terminate()
        self._watch.wait(30)
        for thread in self._threads:
            thread.join()
        self.plc.stop()

    def _written(self, coils: list[bool], registers: list[int]) -> None:
        if any(coils[:3]) and registers[1] != self._count:
            with self._changed:
                self._count = registers[1]
                self._answers.append((time.monotonic(), registers[3]))
                self._changed.notify_all()

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
            if "frame" in line:
                with self._changed:
                    self._own_ms.append(sum(ms for name, ms in line["ms"].items() if name not in ("wait", "check")))
                    self._changed.notify_all()


def measure(key: str, by: str, times: int, rows: ResultsFile) -> None:
    subject, chance = open_subject(), random.Random()
    machine = Machine(gaussian(subject), [image.resize(SIZE).tobytes() for image in frames(subject, 60)], by)
    try:
        for _ in range(WARM):
            machine.fire()
            time.sleep(_PAUSES[1])
        while (row := rows.get(key)).get("triggers", 0) < times:
            answers = []
            for _ in range(min(PART, times - row.get("triggers", 0))):
                answers.append(machine.fire())
                time.sleep(chance.uniform(*_PAUSES))
            add(rows, key, answers)
            rows.update(key, **conditions(subject))
            say(f"{rows.get(key)['triggers']} triggers")
    finally:
        machine.close()


def add(rows: ResultsFile, key: str, answers: list[Answer | None]) -> None:
    """Put a part's answers into the row. beyond: by whole milliseconds, rounded up."""
    row = rows.get(key)
    beyond, whole = (Counter({int(ms): n for ms, n in row.get(name, {}).items()}) for name in ("beyond", "whole"))
    states = Counter(row.get("states"))
    for answer in answers:
        if answer is None or answer.own_ms is None or answer.state == 3:
            states["unanswered" if answer is None else "missed, and said so"] += 1
            continue
        states[{1: "OK", 2: "NG"}[answer.state]] += 1
        beyond[max(math.ceil(answer.ms - answer.own_ms), 0)] += 1
        whole[math.ceil(answer.ms)] += 1
    rows.update(
        key,
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
    parser.add_argument("--by", choices=PLACES, default="counter", help="What a trigger is: see docs/line.md.")
    parser.add_argument("--row", default="", help="Further words of the row that counts, as `, quiet`.")
    given, rows = parser.parse_args(), ResultsFile("endurance/results/line")
    key = f"{KEY}, by its {given.by}{given.row}"
    measure(key, given.by, given.times, rows)
    row = rows.get(key)
    print({name: value for name, value in row.items() if name not in ("beyond", "whole")})
    sys.exit(0 if row["beyond_p99_ms"] <= WANTED_MS and not row["states"].get("unanswered") else 1)


if __name__ == "__main__":
    main()
