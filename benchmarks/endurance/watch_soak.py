"""Frames through the loop and its sinks for as long as one likes: python -m benchmarks.endurance.watch_soak
[stand-in|real]

The row in benchmarks/endurance/results/watch.json counts the frames of all runs. Of each run it says how much memory of
its own the process had in use at most in the first ten looks, `warm_mb`, and by how much the most and the last found
later differ from that: frames that wait for a sink come and go. In use: what the C library's allocator keeps in reserve
is given back before each look; `most_mb` is the most with that reserve.
PANDA_SOAK_SECONDS: how long one run may take. PANDA_BUNDLE: the bundle at work.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.endurance.watch import Endless, conditions, frames, gaussian
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge.detector import Detector, load
from panda_edge.result import Result
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.drift import DEFAULT_ALPHA, open_drift
from panda_edge.stream.sinks.open import SinkOptions, open_sinks

WANTED = {"stand-in": 1_000_000, "real": 100_000}
KEYS = {"stand-in": "soak, stand-in for the model", "real": "soak, real bundle"}
_LOOKS = 10  # that say what is usual
WARM, PART = {"stand-in": 5000, "real": 3000}, {"stand-in": 5000, "real": 500}


class StandIn:
    """Stands for the detector: the bundle is real, the result is always the same one but for the score that decides,
    which is a normal picture's, drawn at random, as drift expects it."""

    def __init__(self, real: Detector, image: Image.Image) -> None:
        self.bundle, self.preprocessing, self.decider = real.bundle, real.preprocessing, real.decider
        self._result = real.segment(image)
        assert real.decider is not None
        self._scores = real.decider.calibration.normal_scores()
        self._random = np.random.default_rng(0)

    def segment(self, image: Any) -> Result:
        assert self._result.decision is not None
        score = float(self._random.choice(self._scores))
        return replace(self._result, decision=replace(self._result.decision, score=score))

    def segment_stream(self, images: Any) -> Iterator[Result]:
        for image in images:
            yield self.segment(image)


def soak(rows: ResultsFile, subject: Subject, kind: str, seconds: float) -> None:
    """One run of at most `seconds`, of one loop, as `watch` has; ends when all frames that are wanted have gone
    through."""
    images = [image.resize((96, 96)) for image in frames(subject, 50)] if kind == "stand-in" else frames(subject, 50)
    real = load(gaussian(subject))
    detector: Any = StandIn(real, images[0]) if kind == "stand-in" else real
    row = rows.get(KEYS[kind])
    before, runs, until = row.get("frames", 0), row.get("runs", []), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files, threads = open_files(), threading.active_count()
        loop = Loop(
            lambda: detector, [Endless(images, WARM[kind] + WANTED[kind] - before)], FrameOptions(frozen_after=0)
        )
        options = SinkOptions(
            jsonl=str(Path(folder) / "w.jsonl"), rotate_mb=5, keep=2, save=Path(folder) / "saved",
            quota_mb=20, webhook="http://127.0.0.1:9/", spool=Path(folder) / "spool",
            spool_events=1000, http="127.0.0.1:0",
        )  # fmt: skip
        sinks = open_sinks(options, loop, lambda: True, stack, open_drift(loop, DEFAULT_ALPHA))
        found: list[float] = []
        with_reserve: list[float] = []
        at_work = (0, 0)
        for seen, outcome in enumerate(loop.outcomes(), 1):
            for sink in sinks:
                sink.outcome(outcome)
            after = seen - WARM[kind]
            if after < 0 or after % PART[kind]:
                continue
            gc.collect()
            with_reserve.append(own_mb())
            give_back_reserve()
            found.append(own_mb())
            if after == 0:
                at_work = open_files(), threading.active_count()
            if len(found) <= _LOOKS:
                continue
            warm = max(found[:_LOOKS])
            run = {
                "frames": after,
                "warm_mb": warm,
                "most_mb": max(with_reserve),
                "most_over_warm": round(max(found[_LOOKS:]) / warm - 1, 4),
                "last_over_warm": round(found[-1] / warm - 1, 4),
                "more_files": open_files() - at_work[0],
                "more_threads": threading.active_count() - at_work[1],
            }
            rows.update(
                KEYS[kind], frames=before + after, wanted=WANTED[kind], runs=[*runs, run], **conditions(subject)
            )
            if time.monotonic() > until:
                loop.stop()
    left = open_files() - files, threading.active_count() - threads
    say(f"left over when all is closed: {left[0]} files, {left[1]} threads")


def give_back_reserve() -> None:
    """Where the C library is glibc: else nothing is given back, and the figures hold the reserve."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def own_mb() -> float:
    """Megabytes of this process that are its own: anonymous memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024, 1)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def main() -> None:
    rows, subject = ResultsFile("endurance/results/watch"), open_subject()
    for kind in sys.argv[1:] or WANTED:
        say(f"soak, {kind}")
        soak(rows, subject, kind, float(os.environ.get("PANDA_SOAK_SECONDS", "300")))
        print(KEYS[kind], rows.get(KEYS[kind]))


if __name__ == "__main__":
    main()
