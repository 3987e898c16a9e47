"""Many cameras on one machine: `python -m benchmarks.endurance.many_sources BUNDLE PICTURES… [--seconds 30]`.

4, 8 and 16 made cameras each give a picture 15 times a second, more than the machine can judge, so that all are dropped
from. A row a number of cameras: outcomes a second in all, the least of a camera's share of the fair one, and the time
from a picture's arrival to its outcome. The run ends with exit code 1 where a camera has less than 90 % of its fair
share. Rows go to `benchmarks/endurance/results/many_sources.json`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

import panda_edge
from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import say
from panda_edge.images.reading import OpenedImage, open_image
from panda_edge.stream.frame import Picture
from panda_edge.stream.loop import Loop

_CAMERAS = (4, 8, 16)
_A_SECOND = 15.0  # pictures of each camera
_LEAST_SHARE = 0.9
_WARM = 2.0  # seconds at first that do not count: threads start one after another


class MadeCamera:
    """Gives decoded pictures in turn, at a camera's own pace."""

    live = True
    endless = True

    def __init__(self, name: str, pictures: Sequence[OpenedImage]) -> None:
        self.name = name
        self._pictures = pictures

    def pictures(self, stop: Event) -> Generator[Picture]:
        due, number = time.monotonic(), 0
        while not stop.wait(max(0.0, due - time.monotonic())):
            yield Picture(self._pictures[number % len(self._pictures)], time.monotonic())
            number += 1
            due = max(due + 1 / _A_SECOND, time.monotonic() - 1 / _A_SECOND)


def measure(
    detector: panda_edge.Detector, pictures: Sequence[OpenedImage], cameras: int, seconds: float
) -> dict[str, Any]:
    """One row."""
    turned = [[*pictures[start:], *pictures[:start]] for start in (i % len(pictures) for i in range(cameras))]
    sources = [MadeCamera(f"camera {number}", own) for number, own in enumerate(turned)]
    loop = Loop(lambda: detector, sources)
    judged: Counter[str] = Counter({source.name: 0 for source in sources})
    latencies: list[float] = []
    dropped = unjudged = 0
    started = time.monotonic()
    for outcome in loop.outcomes():
        now = time.monotonic() - started
        if now >= _WARM:
            judged[outcome.frame.source] += 1
            latencies.append(outcome.latency_ms)
            dropped += outcome.dropped
            unjudged += outcome.result is None
        if now >= _WARM + seconds:
            loop.stop()
    fair = sum(judged.values()) / cameras
    p50, p95 = np.quantile(latencies, [0.5, 0.95])
    return {
        "outcomes_a_second": round(sum(judged.values()) / seconds, 1),
        "least_share": round(min(judged.values()) / fair, 3),
        "most_share": round(max(judged.values()) / fair, 3),
        "latency_ms": {"p50": round(float(p50), 1), "p95": round(float(p95), 1)},
        "dropped_a_second": round(dropped / seconds, 1),
        "not_judged": unjudged,
        "conditions": conditions(detector.threads),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    rows, detector = ResultsFile("endurance/results/many_sources"), panda_edge.load(given.bundle)
    pictures = [open_image(path) for path in given.pictures]
    unfair = False
    for cameras in _CAMERAS:
        row = measure(detector, pictures, cameras, given.seconds)
        rows.update(f"{cameras} cameras", **row)
        say(f"{cameras} cameras: {row}")
        unfair |= row["least_share"] < _LEAST_SHARE
    sys.exit(1 if unfair else 0)


if __name__ == "__main__":
    main()
