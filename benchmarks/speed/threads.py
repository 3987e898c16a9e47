"""Eight threads with one detector beside one thread: python -m benchmarks.speed.threads BUNDLE IMAGES... [--calls 48]

Every call's result is compared with what one thread gets. Then ways take turns, so that other programs' load falls on
all: one caller, eight callers, and eight callers behind a lock. Ratios are medians over rounds, of calls a second to
those of one caller. Rows go to `benchmarks/speed/results/threads.json`.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

import panda_edge
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from panda_edge.system import memory_mb

_CALLERS, _RIGHT = 8, 192


Turn = Callable[[], AbstractContextManager[object]]


def per_second(
    detector: panda_edge.Detector,
    paths: list[Path],
    calls: int,
    callers: int,
    turn: Turn,
) -> float:
    """Calls a second of so many threads."""

    def call(i: int) -> None:
        with turn():
            detector.segment(paths[i % len(paths)])

    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(calls)))
    return calls / (time.perf_counter() - started)


def right(detector: panda_edge.Detector, paths: list[Path]) -> int:
    """How many of _RIGHT calls by _CALLERS threads give one thread's score and heat map to the bit."""
    alone = [detector.segment(path) for path in paths]

    def same(i: int) -> bool:
        found, expected = detector.segment(paths[i % len(paths)]), alone[i % len(paths)]
        assert found.heatmap is not None
        assert expected.heatmap is not None
        return found.score == expected.score and np.array_equal(found.heatmap, expected.heatmap)

    with ThreadPoolExecutor(_CALLERS) as pool:
        return sum(pool.map(same, range(_RIGHT)))


def measure(bundle: Path, paths: list[Path], threads: int, calls: int, rounds: int) -> dict[str, object]:
    """The row of one bundle at so many threads a call."""
    detector = panda_edge.load(bundle, threads=threads)
    detector.segment(paths[0])
    own = memory_mb()["own"]
    found = right(detector, paths)
    more = memory_mb()["own"] - own
    lock = threading.Lock()
    ways = {"one": (1, nullcontext), "eight": (_CALLERS, nullcontext), "locked": (_CALLERS, lambda: lock)}
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (callers, turn) in ways.items():
            speeds[name].append(per_second(detector, paths, calls, callers, turn))
    ratios = {
        name: round(statistics.median(a / b for a, b in zip(speeds[name], speeds["one"], strict=True)), 2)
        for name in ("eight", "locked")
    }
    return {
        "right": found,
        "of": _RIGHT,
        **{f"{name}_to_one": ratio for name, ratio in ratios.items()},
        "one_per_second": round(statistics.median(speeds["one"]), 1),
        "more_mb": round(more),
        "conditions": conditions(threads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--calls", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    rows = ResultsFile("speed/results/threads")
    for threads in (1, 2):
        row = measure(asked.bundle, asked.images, threads, asked.calls, asked.rounds)
        bank = panda_edge.load(asked.bundle).bundle.manifest.segmentation.bank
        rows.update(f"{bank}, {threads} threads a call", **row)
        print(
            f"{bank}, {threads} threads a call: {row['right']} of {row['of']} right; eight callers "
            f"{row['eight_to_one']} times one's calls a second, behind a lock {row['locked_to_one']}; "
            f"{row['more_mb']} MB more"
        )


if __name__ == "__main__":
    main()
