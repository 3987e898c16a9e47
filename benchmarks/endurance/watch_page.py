"""The page open in three browsers: python -m benchmarks.endurance.watch_page

Frames judged a second once all have seen a picture, at full speed and of a camera of 30 frames a second: without anyone
looking, with three headless Chromium of Debian's (each its own process, on the same cores as the loop) and with three
HTTP clients that ask as the page's script does, which is what browsers elsewhere cost the device. In turns, so that
what else the machine does falls on all alike. A busy machine slows browsers and loop as it likes; so the row also has
the processor time that a client's look costs the device, and what three clients' two looks a second are of two cores.
In benchmarks/endurance/results/watch.json.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.endurance.watch import FPS, Endless, Paced, conditions, frames, gaussian, write_video
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import open_subject, say
from panda_edge.detector import Detector, load
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.open import SinkOptions, open_sinks

TURNS = int(os.environ.get("PANDA_PAGE_TURNS", "5"))
SECONDS = float(os.environ.get("PANDA_PAGE_SECONDS", "8"))
VISITORS = 3
SETTLE = float(os.environ.get("PANDA_PAGE_SETTLE", "4"))  # once all have seen a picture

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
    print(".", flush=True)
    page.wait_for_timeout(10**8)
"""


class Visitors:
    """Processes that look at the page, and print a line for every look; of browsers, for the first."""

    def __init__(self, command: list[str], count: int) -> None:
        self.looks = [0] * count
        self._processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
            for _ in range(count)
        ]
        self._readers = [threading.Thread(target=self._count, args=(number,)) for number in range(count)]
        for reader in self._readers:
            reader.start()

    def _count(self, number: int) -> None:
        output = self._processes[number].stdout
        assert output is not None
        for _ in output:
            self.looks[number] += 1

    def close(self) -> None:
        for process, reader in zip(self._processes, self._readers, strict=True):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            reader.join()


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
    loop = Loop(lambda: detector, [source], FrameOptions(frozen_after=0), lambda notice: told.append(notice.text))
    with ExitStack() as stack:
        sinks = open_sinks(SinkOptions(http="127.0.0.1:0", jsonl="/dev/null"), loop, lambda: not source.live, stack)
        port = told[0].rpartition(" ")[2]
        looking = Visitors([sys.executable, "-c", code or "", port, *arguments], VISITORS if code else 0)
        stack.callback(looking.close)
        frames = counted = dropped = 0
        cpu, ready, start = time.process_time(), 0.0, 0.0
        for outcome in loop.outcomes():
            for sink in sinks:
                sink.outcome(outcome)
            now, frames = time.monotonic(), frames + 1
            if not start:
                ready = ready or (now if all(looking.looks) else 0.0)
                start = now if ready and now - ready > SETTLE else 0.0
                continue
            counted, dropped = counted + 1, dropped + outcome.dropped
            if now - start > SECONDS:
                loop.stop()
        cpu = time.process_time() - cpu
        rate = counted / (now - start)
    return Measured(rate, dropped, frames, cpu, sum(looking.looks))


def main() -> None:
    rows, subject = ResultsFile("endurance/results/watch"), open_subject()
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
        write_video(video, [images[i % 100] for i in range(FPS * int(SECONDS + SETTLE + 40))])
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
