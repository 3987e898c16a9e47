"""The page open in three browsers: python -m benchmarks.watch_page

Frames judged a second, at full speed and of a camera of 30 frames a second, without anyone looking, with three headless
Chromium of Debian's (each its own process, on the same cores as the loop) and with three HTTP clients that ask as the
page's script does, which is what browsers elsewhere cost the device. In turns, so that what else the machine does falls
on all alike. A busy machine slows browsers and loop as it likes; so the row also has the processor time that a client's
look costs the device, and what three clients' two looks a second are of two cores. In benchmarks/results/watch.json.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results_file import ResultsFile
from benchmarks.subject import open_subject, say
from benchmarks.watch import FPS, Endless, Paced, conditions, frames, gaussian, write_video
from panda_edge.detector import Detector, load
from panda_edge.stream.loop import Loop, LoopOptions
from panda_edge.stream.sinks.open import SinkOptions, open_sinks

TURNS = int(os.environ.get("PANDA_PAGE_TURNS", "5"))
SECONDS = float(os.environ.get("PANDA_PAGE_SECONDS", "8"))
VISITORS = 3
SETTLE = float(os.environ.get("PANDA_PAGE_SETTLE", "12"))  # for browsers to open

_CLIENT = """
import json, sys, time, urllib.request
port, seen = sys.argv[1], 0
def get(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return answer.read()
while True:
    state = json.loads(get(f"/state?since={seen}"))
    seen = state["seen"]
    for i, source in enumerate(state["sources"]):
        if source["latest"]:
            get(f"/live/{i}.jpg?{source['latest']['id']}")
    print(".", flush=True)
    time.sleep(0.5)
"""

_BROWSER = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=sys.argv[2], args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(f"http://127.0.0.1:{sys.argv[1]}/")
    while not page.evaluate("document.querySelector('#live img')?.naturalWidth > 0"):
        page.wait_for_timeout(100)
    page.wait_for_timeout(10**8)
"""


@dataclass
class Visitors:
    """Processes that look at the page. looks: of HTTP clients, when they have ended."""

    processes: list[subprocess.Popen[bytes]]
    looks: int = 0


@contextmanager
def visitors(code: str | None, port: int, *arguments: str) -> Iterator[Visitors]:
    command = [sys.executable, "-c", code or "", str(port), *arguments]
    started = Visitors([])
    for _ in range(VISITORS if code else 0):
        started.processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        )
    try:
        yield started
    finally:
        for process in started.processes:
            os.killpg(process.pid, signal.SIGTERM)
            started.looks += len(process.communicate()[0].split())


@dataclass
class Measured:
    """frames, cpu: of the whole run, seconds of processor time of this process; rate: frames a second once all look."""

    rate: float
    dropped: int
    frames: int
    cpu: float
    looks: int


def measure(detector: Detector, source: Any, code: str | None, arguments: list[str]) -> Measured:
    told: list[str] = []
    loop = Loop(lambda: detector, [source], LoopOptions(frozen_after=0), lambda notice: told.append(notice.text))
    with ExitStack() as stack:
        sinks = open_sinks(SinkOptions(http="127.0.0.1:0", jsonl="/dev/null"), loop, not source.live, stack)
        looking = stack.enter_context(visitors(code, int(told[0].rpartition(" ")[2]), *arguments))
        frames = counted = dropped = 0
        began, cpu, start = time.monotonic(), time.process_time(), 0.0
        for outcome in loop.outcomes():
            for sink in sinks:
                sink.outcome(outcome)
            now, frames = time.monotonic(), frames + 1
            if not start:
                start = now if now - began > SETTLE else 0.0
                continue
            counted, dropped = counted + 1, dropped + outcome.dropped
            if now - start > SECONDS:
                loop.stop()
        cpu = time.process_time() - cpu
        rate = counted / (now - start)
    return Measured(rate, dropped, frames, cpu, looking.looks)


def main() -> None:
    rows, subject = ResultsFile("watch"), open_subject()
    detector = load(gaussian(subject))
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    ways: dict[str, tuple[str | None, list[str]]] = {"nobody": (None, []), "clients": (_CLIENT, [])}
    if chromium is None:
        say("needs Chromium for the browsers (apt-get install chromium); only HTTP clients look")
    else:
        ways["browsers"] = (_BROWSER, [chromium])
    images = frames(subject, 100)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "v.mp4"
        write_video(video, [images[i % 100] for i in range(FPS * int(SECONDS + SETTLE + 20))])
        for kind in ("full speed", "30 a second"):
            found: dict[str, list[Measured]] = {way: [] for way in ways}
            for turn in range(TURNS):
                for way, (code, arguments) in ways.items():
                    source = Endless(images, 10**7) if kind == "full speed" else Paced(video)
                    found[way].append(measure(detector, source, code, arguments))
                say(f"{kind}, turn {turn + 1}: " + ", ".join(f"{way} {v[-1].rate:.1f}" for way, v in found.items()))
            rows.update(f"page in {VISITORS} browsers, {kind}", **summary(found), **conditions(subject))
            print(rows.get(f"page in {VISITORS} browsers, {kind}"))


def summary(found: dict[str, list[Measured]]) -> dict[str, Any]:
    """Medians over the turns; falls are medians of what each turn lost against its own frames without visitors."""
    row: dict[str, Any] = {"turns": TURNS, "seconds": SECONDS}
    alone = found["nobody"]
    for way, runs in found.items():
        row[f"{way}_frames_a_second"] = round(statistics.median(run.rate for run in runs), 2)
        row[f"{way}_dropped"] = sum(run.dropped for run in runs)
        if way != "nobody":
            row[f"{way}_fall"] = round(
                1 - statistics.median(r.rate / a.rate for r, a in zip(runs, alone, strict=True)), 4
            )
    frame = sum(run.cpu for run in alone) / sum(run.frames for run in alone)
    clients = found["clients"]
    look = sum(run.cpu - frame * run.frames for run in clients) / max(sum(run.looks for run in clients), 1)
    row["cpu_ms_a_frame"], row["cpu_ms_a_look"] = round(frame * 1e3, 2), round(look * 1e3, 2)
    row["looks_share_of_two_cores"] = round(look * VISITORS * 2 / 2, 4)
    return row


if __name__ == "__main__":
    main()
