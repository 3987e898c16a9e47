"""A plant's day in short: python -m benchmarks.endurance.plant [--short | --apart]

As root, which may mount a small disk.

A million frames from three sources: two cameras of 25 frames a second, and one that gives as fast as it is judged.
Nine tenths of the frames come while all of this is so: sources break off, the bundle is taken up anew every 1,000
frames, 20 browsers look at the page, and 1,000 connections say nothing. The disk that lines, saved frames and spool lie
on is full twice, and once the clock is set back by an hour. The tenth between is quiet, and says what is usual.

The model is a stand-in, as in `watch_soak`, which calls one frame in a hundred anomalous; the bundle is a real one,
read anew each time. Resumable: the row in benchmarks/endurance/results/plant.json counts the frames of all runs.
Shorter days begin anew.
The visitors stand for other machines: their processes are nice, so that they take the processors when nobody else does.
--short: 40,000 frames, half of them quiet, in a row of its own; three minutes where nothing else runs, for the latency.
--apart: a shorter day for each thing that disturbs, alone, in a row of its own; what each costs.
PANDA_SOAK_SECONDS: how long one run may take. PANDA_BUNDLE: the bundle.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.endurance.plant_account import Account
from benchmarks.endurance.plant_visitors import NICE, Visitors
from benchmarks.endurance.watch import conditions, frames, gaussian
from benchmarks.endurance.watch_soak import give_back_reserve, own_mb
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.small_disk import small_disk
from benchmarks.lib.subject import open_subject, say
from panda_edge.detector import Detector, Result, load
from panda_edge.images.reading import OpenedImage
from panda_edge.stream import capture
from panda_edge.stream.frame import Frame, Notice, Picture, SourceLost
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.judgeable import PictureCheck, normal_range
from panda_edge.stream.loop import Loop
from panda_edge.stream.run import GIVE_WAY
from panda_edge.stream.sinks.drift import DEFAULT_ALPHA, open_drift
from panda_edge.stream.sinks.open import SinkOptions, open_sinks
from panda_edge.stream.sinks.sink import Sink

DISTURBS = "losses", "reloads", "browsers", "idle"


@dataclass(frozen=True)
class Plan:
    """key: of the row. wanted: frames. Of every `cycle` frames the first `quiet` are quiet. full: frames of all runs
    while the disk is full. set_back: the frame from which on the clock is an hour behind. disturbs: in the others.
    give_way: seconds after which a thread of Python lets others go on. part: frames between two looks at memory."""

    key: str
    wanted: int
    cycle: int
    quiet: int
    full: tuple[tuple[int, int], ...]
    set_back: int
    disturbs: frozenset[str] = frozenset(DISTURBS)
    give_way: float = GIVE_WAY
    part: int = 1000


DAY = Plan("a million frames", 1_000_000, 50_000, 5000, ((300_000, 310_000), (700_000, 710_000)), 500_000, part=5000)
SHORT = Plan("a short day", 40_000, 10_000, 5000, ((16_000, 17_000), (36_000, 37_000)), 26_000)
_APART = Plan("", 12_000, 6000, 3000, (), 10**9, frozenset())
APART = [
    replace(_APART, key="apart: nothing"),
    *(replace(_APART, key=f"apart: {name}", disturbs=frozenset({name})) for name in DISTURBS),
    replace(_APART, key="apart: browsers, as Python gives way", disturbs=frozenset({"browsers"}), give_way=0.005),
]
SETTLE = 2000  # frames after a change that no latency is taken of
WARM, LOOK_AT = 5000, 500  # frames before memory is looked at; frames after a reload that it is looked at
UNSETTLED = 20  # frames after a look, which stops the loop, that no latency is taken of
RELOAD_EVERY, LOSS_EVERY = 1000, 2000
SET_BACK_BY = 3600.0  # seconds
BROWSERS, IDLE, FPS, MEGABYTES = 20, 1000, 25.0, 100
ANOMALOUS = 0.01  # share of the frames


class Bins:
    """Latencies in bins, a hundredth apart, so that a million take no memory that grows."""

    _LOW, _STEP = 0.01, 1.01

    def __init__(self) -> None:
        self._counts = np.zeros(2000, np.int64)

    def add(self, ms: float) -> None:
        place = int(np.log(max(ms, self._LOW) / self._LOW) / np.log(self._STEP))
        self._counts[min(place, len(self._counts) - 1)] += 1

    def quantile(self, share: float) -> float:
        """Milliseconds that so many did not exceed; NaN where there are none."""
        if not self._counts.sum():
            return float("nan")
        place = int(np.searchsorted(np.cumsum(self._counts), share * self._counts.sum()))
        return round(float(self._LOW * self._STEP ** (place + 1)), 2)


class StandIn:
    """Stands for the detector: always the same result, but for the score, which is a normal picture's drawn at random,
    and for one frame in a hundred, which is anomalous."""

    def __init__(self, real: Detector, result: Result, random: np.random.Generator) -> None:
        self.bundle, self.preprocessing, self.decider = real.bundle, real.preprocessing, real.decider
        assert real.decider is not None
        self._result, self._random = result, random
        self._scores = real.decider.calibration.normal_scores()

    def segment(self, image: Any) -> Result:
        decision = self._result.decision
        assert decision is not None
        odd = bool(self._random.random() < ANOMALOUS)
        score = float(self._random.choice(self._scores))
        return replace(self._result, decision=replace(decision, score=score, anomalous=odd))

    def segment_stream(self, images: Any) -> Iterator[Result]:
        for image in images:
            yield self.segment(image)


@dataclass
class Times:
    """What the sources are told. busy: all that disturbs goes on. losses: sources break off, too."""

    losses: bool
    busy: bool = False
    ending: threading.Event = field(default_factory=threading.Event)


class Camera:
    """Gives pictures over and over, breaks off now and then. live: 25 a second; else as fast as they are taken."""

    endless = False

    def __init__(self, name: str, images: list[Image.Image], live: bool, times: Times) -> None:
        self.name, self.live = name, live
        self._images, self._times, self._number = images, times, 0

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        due = time.monotonic()
        while not stop.is_set() and not self._times.ending.is_set():
            if self.live:
                due = max(due + 1 / FPS, time.monotonic() - 1)
                stop.wait(max(due - time.monotonic(), 0))
            self._number += 1
            image = self._images[self._number % len(self._images)]
            yield Picture(OpenedImage(image, image.size), time.monotonic())
            if self._times.busy and self._times.losses and self._number % LOSS_EVERY == 0:
                raise SourceLost(f"{self.name}: broke off")


class Clock:
    """`time.time` for everyone, which may be set back."""

    def __init__(self) -> None:
        self._real, self.behind = time.time, 0.0
        time.time = self  # type: ignore[assignment]

    def __call__(self) -> float:
        return self._real() - self.behind


def judgeable(images: list[Image.Image], detector: Detector) -> list[Image.Image]:
    """Those that are not refused: as small as they are here, many look blurred."""
    check = PictureCheck(normal_range(detector.bundle), detector.preprocessing, 0)
    frames = [Frame("", 0, 0.0, Picture(OpenedImage(image, image.size), 0.0)) for image in images]
    return [image for image, frame in zip(images, frames, strict=True) if check.reason(frame, live=True) is None]


def soak(plan: Plan, rows: ResultsFile, seconds: float, disk: Path, stack: ExitStack) -> None:
    """One run of at most `seconds`; it ends when all frames that are wanted have gone through."""
    subject, clock, times = open_subject(), Clock(), Times("losses" in plan.disturbs)
    path, random = gaussian(subject), np.random.default_rng(0)
    real = load(path)
    images = judgeable([image.resize((96, 96)) for image in frames(subject, 50)], real)
    result = real.segment(images[0])
    del real
    sys.setswitchinterval(plan.give_way)
    capture._FIRST_PAUSE = 0.02  # seconds: so that a loss costs few frames
    row = rows.get(plan.key) if plan == DAY else {}
    before, until = row.get("frames", 0), time.monotonic() + seconds
    if before >= plan.wanted:
        return
    told: Counter[str] = Counter()
    sinks: list[Sink] = []
    ports: list[int] = []

    def notify(notice: Notice) -> None:
        told[notice.kind] += 1
        if notice.kind == "page":
            ports.append(int(notice.text.rpartition(" ")[2]))
        if notice.kind in ("source_failed", "bundle_refused", "sink"):
            say(notice.text)
        for sink in sinks:
            sink.notice(notice)

    sources = [Camera("one", images, True, times), Camera("two", images, True, times),
               Camera("three", images, False, times)]  # fmt: skip
    loop = Loop(lambda: StandIn(load(path), result, random), sources, FrameOptions(frozen_after=0), notify)  # type: ignore[arg-type, return-value]
    receiver = Visitors("receiver", 0, 0)
    stack.callback(receiver.close)
    options = SinkOptions(
        jsonl=str(disk / "w.jsonl"), rotate_mb=5, keep=2, save=disk / "saved", quota_mb=20,
        webhook=f"http://127.0.0.1:{receiver.counts['port']}/", spool=disk / "spool", http="127.0.0.1:0",
    )  # fmt: skip
    sinks += open_sinks(options, loop, lambda: False, closing := ExitStack(), open_drift(loop, DEFAULT_ALPHA))
    told_before = sum(told.values())  # by what opens the sinks, before they listen
    account = Account(sinks)
    day = Day(plan, disk / "filler", clock, times, ports[0])
    loads: list[float] = []
    latency = {"quiet": Bins(), "busy": Bins()}
    memory: dict[str, list[float]] = {"quiet": [], "busy": []}
    outcomes, refused = Counter[str](), Counter[str]()
    anomalous, judged, looked, reserve = 0, 0, 0, 0.0
    for seen, outcome in enumerate(loop.outcomes(), 1):
        for sink in sinks:
            sink.outcome(outcome)
        outcomes[outcome.source] += 1
        judged += outcome.result is not None
        anomalous += bool(outcome.anomalous)
        if outcome.not_judged:
            refused[outcome.not_judged.partition(":")[0]] += 1
        if day.settled(seen) and seen > looked + UNSETTLED and outcome.source != "three":
            latency["busy" if times.busy else "quiet"].add(outcome.latency_ms)
        del outcome
        if seen >= WARM and seen % plan.part == LOOK_AT:
            looked = seen
            gc.collect()
            reserve = max(reserve, own_mb())
            give_back_reserve()
            memory["busy" if times.busy else "quiet"].append(own_mb())
            loads.append(os.getloadavg()[0])
            say(f"{before + seen} frames, {own_mb()} MB, load {loads[-1]:.1f}, {day.said()}")
        day.at(seen, before + seen)
        if times.busy and "reloads" in plan.disturbs and seen % RELOAD_EVERY == 0:
            loop.reload()
            day.reloads += 1
        if before + seen >= plan.wanted or time.monotonic() > until:
            times.ending.set()
    day.close()
    closing.close()
    time.sleep(2)  # what the receiver says comes once a second
    given = {state.name: state.frames for state in loop.states}
    dropped = {state.name: state.dropped for state in loop.states}
    frames_seen = sum(outcomes.values())
    notices = sum(told.values()) - told_before
    run = {
        "frames": frames_seen,
        "given": sum(given.values()),
        "dropped_for_newer_ones": sum(dropped.values()),
        "unaccounted_for": sum(given.values()) - frames_seen - sum(dropped.values()),
        "judged": judged,
        "not_judged": dict(refused),
        "pictures": len(images),
        **account.closed(frames_seen, notices, anomalous, receiver.counts["events"]),
        "told": dict(told), "reloads_asked": day.reloads, "disk_full": day.filled, "clock_set_back": day.set_back,
        "browsers": day.looks, "idle_connections_made": day.made,
        "memory": _memory(memory, reserve),
        "latency_ms": {name: {"p50": bins.quantile(0.5), "p99": bins.quantile(0.99)} for name, bins in latency.items()},
    }  # fmt: skip
    run["p99_over_quiet"] = round(latency["busy"].quantile(0.99) / latency["quiet"].quantile(0.99), 3)
    run["load_average"] = {"median": round(float(np.median(loads)), 1), "most": round(max(loads), 1)} if loads else {}
    run["nice"], run["visitors_nice"] = os.nice(0), os.nice(0) + NICE
    runs = [*row.get("runs", []), run]
    option = " --short" if plan == SHORT else " --apart" if plan in APART else ""
    command = f"python -m benchmarks.endurance.plant{option}"
    rows.update(plan.key, frames=before + frames_seen, wanted=plan.wanted, runs=runs, command=command,
                **conditions(subject))  # fmt: skip
    print(run)


def _memory(looks: dict[str, list[float]], reserve: float) -> dict[str, Any]:
    """Of quiet looks, when nothing is on its way, all; of busy ones, while bundles are opened and pictures drawn, the
    medians of the quarters. The first fills what is bounded: the pages that SQLite keeps of history and spool, the
    list of saved files. most: with what the C library keeps in reserve."""
    busy = looks["busy"]
    found: dict[str, Any] = {"quiet_mb": looks["quiet"], "most_mb": reserve}
    if len(busy) >= 4:
        medians = [round(float(np.median(part)), 1) for part in np.array_split(busy, 4)]
        found |= {"busy_median_mb_by_quarter": medians,
                  "busy_last_over_second_quarter": round(medians[3] / medians[1] - 1, 4),
                  "busy_last_over_first": round(medians[3] / medians[0] - 1, 4)}  # fmt: skip
    return found


class Day:
    """What disturbs, by the frame's number."""

    def __init__(self, plan: Plan, filler: Path, clock: Clock, times: Times, port: int) -> None:
        self._plan = plan
        self._filler, self._clock, self._times, self._port = filler, clock, times, port
        self._since = 0
        self._visitors: list[Visitors] = []
        self.reloads = self.filled = self.set_back = self.made = 0
        self.looks = {"looks": 0, "failed": 0}

    def settled(self, seen: int) -> bool:
        """Whether quiet or busy have lasted for a while."""
        return seen > self._since + SETTLE

    def said(self) -> str:
        """For a line of progress."""
        return "busy" if self._times.busy else "quiet"

    def at(self, seen: int, whole: int) -> None:
        """seen: frames of this run; whole: of all runs."""
        busy = seen % self._plan.cycle >= self._plan.quiet
        if busy != self._times.busy:
            self._times.busy, self._since = busy, seen
            self._come() if busy else self._go()
        full = any(start <= whole < end for start, end in self._plan.full)
        if full and (not self._filler.exists() or seen % 100 == 0):  # what the sinks free is taken, too
            self.filled += not self._filler.exists()
            fill(self._filler)
        elif not full and self._filler.exists():
            self._filler.unlink()
        if whole >= self._plan.set_back and not self._clock.behind:
            self._clock.behind = SET_BACK_BY
            self.set_back += 1

    def close(self) -> None:
        self._go()
        with suppress(FileNotFoundError):
            self._filler.unlink()

    def _come(self) -> None:
        numbers = {"browsers": BROWSERS, "idle": IDLE}
        self._visitors = [
            Visitors(name, self._port, number) for name, number in numbers.items() if name in self._plan.disturbs
        ]

    def _go(self) -> None:
        for visitors in self._visitors:
            for name, count in visitors.counts.items():
                if name == "made":
                    self.made += count
                else:
                    self.looks[name] += count
            visitors.close()
        self._visitors = []


def fill(path: Path) -> None:
    """Leave no byte free, and what is there as it is."""
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--short", action="store_true")
    kind.add_argument("--apart", action="store_true")
    given = parser.parse_args()
    for plan in APART if given.apart else [SHORT if given.short else DAY]:
        # Each in a process of its own, as clock and lines are patched.
        process = multiprocessing.get_context("spawn").Process(target=run, args=(plan,))
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(process.exitcode)


def run(plan: Plan) -> None:
    with small_disk(MEGABYTES) as disk, ExitStack() as stack:
        if disk is None:
            return
        seconds = float(os.environ.get("PANDA_SOAK_SECONDS", "300"))
        soak(plan, ResultsFile("endurance/results/plant"), seconds, disk, stack)


if __name__ == "__main__":
    main()
