"""Kills commands at random moments and looks at what is left: python -m benchmarks.endurance.killed [COMMAND…] [--times
N]

Each command runs in a fork of this process, which has imported what takes long, and gets SIGKILL once it has had a
random share of the processor time that the last such run needed, so that a busy machine moves no kill. A run that ends
before its kill counts as `ended_before`, and as the measure of those to come. Resumable: the rows of
benchmarks/endurance/results/killed.json count, and a command that has had its N kills is left alone. A state that is
neither the old nor the new one ends the program with 1.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.endurance.killed_forks import REFUSED, forked, import_what_takes_long
from benchmarks.endurance.killed_subjects import SUBJECTS, YOUNG, Subject, make_data
from benchmarks.lib.conditions import commit
from benchmarks.lib.results_file import ResultsFile

TIMES = 200
_TICK = 0.002  # seconds between looks at the child's processor time
_CLOCK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="*", help=", ".join(SUBJECTS))
    parser.add_argument("--times", type=int, default=TIMES)
    given = parser.parse_args()
    import_what_takes_long()
    rows, wrong = ResultsFile("endurance/results/killed"), 0
    with tempfile.TemporaryDirectory(prefix="panda-killed-") as folder:
        data = make_data(Path(folder))
        for name in given.command or SUBJECTS:
            wrong += kill_often(name, SUBJECTS[name](data), given.times, rows)
    sys.exit(1 if wrong else 0)


def kill_often(name: str, subject: Subject, times: int, rows: ResultsFile) -> int:
    """Kills runs of a command until `times` have died. Returns how often something was not whole, 0 or 1."""
    row = rows.get(name)
    done, ended = row.get("killed", 0), row.get("ended_before", 0)
    if done >= times:
        return 0
    chance, number = random.Random(f"{name} {done}"), 0
    needed: dict[tuple[int, int], float] = {}  # processor seconds, by turn and by what killed runs have done before

    def run_next(killed: bool) -> bool:
        """One run and its check. Returns whether it died."""
        nonlocal number
        kind, began = (number % 2, subject.done()), time.time()
        most = needed.get(kind, needed.get((kind[0], 0), 0.0))
        spent = run(subject.arguments(number), chance.uniform(0, most) if killed else None, subject.may_refuse)
        number += 1
        if spent is not None:
            needed[kind] = spent
        subject.check(None if spent is None else began)
        return spent is None

    try:
        run_next(killed=False), run_next(killed=False)  # both turns are measured
        while done < times:
            if not run_next(killed=True):
                ended += 1
                continue
            done += 1
            if done % 20 == 0:  # what is left over goes with the next run that ends
                time.sleep(YOUNG + 1)
                run_next(killed=False)
            if done % 10 == 0 or done == times:
                rows.update(name, killed=done, ended_before=ended, not_whole=0,
                            processor_seconds=round(max(needed.values()), 2), commit=commit(),
                            command=f"python -m benchmarks.endurance.killed {name}", cores=os.cpu_count(),
                            when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))  # fmt: skip
                print(f"{name}: {done} of {times} killed, {ended} had ended before", flush=True)
    except AssertionError as error:
        print(f"{name}: after {done} kills: {error}")
        rows.update(name, wrong=str(error)[:300])
        return 1
    return 0


def run(arguments: list[str], limit: float | None, may_refuse: bool = False) -> float | None:
    """Runs a command line in a fork. Returns its processor seconds, None where it was killed at `limit` of them.
    may_refuse: one line about what cannot be is an end like any other."""
    child = forked(arguments)
    while True:
        spent = _processor_seconds(child)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code not in (0, REFUSED if may_refuse else 0):
                sys.exit(f"{' '.join(arguments)} ended with {code}")
            return spent
        if limit is not None and spent >= limit:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(_TICK)


def _processor_seconds(process: int) -> float:
    """User and system time so far."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK
    return 0.0


if __name__ == "__main__":
    main()
