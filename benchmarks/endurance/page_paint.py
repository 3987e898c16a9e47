"""The page's first paint beside a long history: python -m benchmarks.endurance.page_paint [--times N]

A history of 100,000 frames of the last 8 hours, four in five OK, and a camera of 10 frames a second that is judged all
the while, with `--save`. Each time a Chromium (Debian's) is started anew, with an empty cache, and opens the page:

- `paint`: milliseconds from asking for the page to its first paint, as the browser says it (first contentful paint);
- `list`: to the list of frames, with its first pictures there;
- `server`: of each kind of request, the longest that the browser waited for its answer.

In benchmarks/endurance/results/page.json. Resumable: N openings are asked for in all, each with its load average.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.endurance.watch import conditions, frames, gaussian
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import open_subject, say
from panda_edge.detector import load
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.frame import Picture
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.history.row import NAME, Row
from panda_edge.stream.history.store import HistoryStore
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.open import SinkOptions, open_sinks

TIMES, FRAMES, WANTED_MS = 20, 100_000, 1000.0
KEY = f"first paint, {FRAMES} frames of history"
_FPS, _HOURS, _ANOMALOUS, _PART = 10, 8, 0.2, 5000
_SIZE = {"width": 1400, "height": 900}

_PAINT = """() => performance.getEntriesByType("paint").find((e) => e.name === "first-contentful-paint")?.startTime"""
_LISTED = """() => [...document.querySelectorAll("#anomalies img")].some((i) => i.complete && i.naturalWidth > 0)"""
_WAITED = """() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
    .map((e) => [new URL(e.name).pathname, e.responseStart - e.requestStart])"""


class Camera:
    """Gives a list's pictures over and over, at its pace."""

    name, live, endless = "camera", True, True

    def __init__(self, images: list[Image.Image]) -> None:
        self._images = images

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        number = 0
        while not stop.wait(1 / _FPS):
            image = self._images[number % len(self._images)]
            yield Picture(OpenedImage(image, image.size), time.monotonic())
            number += 1


def fill(path: Path) -> None:
    """A history of the last hours."""
    chance, store, now = random.Random(0), HistoryStore(path, 90, 10**9), time.time()
    for first in range(0, FRAMES, _PART):
        rows = []
        for number in range(first, first + _PART):
            captured = now - _HOURS * 3600 * (1 - number / FRAMES)
            severity = chance.uniform(1, 3) if chance.random() < _ANOMALOUS else chance.uniform(0, 1)
            rows.append(Row(f"old-{number}", captured, Camera.name, number, None, severity, 1.0, severity, 0.5,
                            severity > 1, None, "0" * 12))  # fmt: skip
        store.add(rows)
    store.close()


def measure(times: int, rows: ResultsFile, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    subject = open_subject()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, told = Path(name), list[str]()
        fill(folder / NAME)
        loop = Loop(lambda: load(gaussian(subject)), [Camera(frames(subject, 100))], FrameOptions(frozen_after=0),
                    lambda notice: told.append(notice.text))  # fmt: skip
        options = SinkOptions(http="127.0.0.1:0", save=folder, jsonl="/dev/null")
        sinks = open_sinks(options, loop, lambda: False, stack)
        port = told[0].rpartition(" ")[2]
        judging = threading.Thread(target=judge, args=(loop, sinks))
        judging.start()
        stack.callback(judging.join)
        stack.callback(loop.stop)
        time.sleep(10)  # a hundred frames, so that some are in the list with their pictures
        driver = stack.enter_context(sync_playwright())
        while len((row := rows.get(KEY)).get("openings", [])) < times:
            found = opened(driver, chromium, f"http://127.0.0.1:{port}/")
            openings = [*row.get("openings", []), found]
            rows.update(KEY, wanted_ms=WANTED_MS, openings=openings, **summary(openings), **conditions(subject))
            say(str(found))


def judge(loop: Loop, sinks: list[Any]) -> None:
    for outcome in loop.outcomes():
        for sink in sinks:
            sink.outcome(outcome)


def opened(driver: Any, chromium: str, address: str) -> dict[str, Any]:
    """One browser from its start to its end."""
    browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    try:
        page = browser.new_page(viewport=_SIZE)
        began = time.monotonic()
        page.goto(address, wait_until="commit")
        page.wait_for_function(_LISTED, timeout=60_000)
        listed = (time.monotonic() - began) * 1e3
        waited: dict[str, float] = {}
        for path, ms in page.evaluate(_WAITED):
            kind = path.split("/")[1] or "page"
            waited[kind] = round(max(waited.get(kind, 0.0), ms), 1)
        paint = page.evaluate(_PAINT)
    finally:
        browser.close()
    load_average = round(os.getloadavg()[0], 1)
    return {"paint": round(paint, 1), "list": round(listed, 1), "load": load_average, "server": waited}


def summary(openings: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("paint", "list"):
        values = [one[name] for one in openings]
        found[f"{name}_p50_ms"] = round(float(np.median(values)), 1)
        found[f"{name}_most_ms"] = max(values)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=TIMES)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("needs Chromium (apt-get install chromium)")
    rows = ResultsFile("endurance/results/page")
    measure(parser.parse_args().times, rows, chromium)
    row = rows.get(KEY)
    print({name: value for name, value in row.items() if name != "openings"})
    sys.exit(0 if row["paint_most_ms"] <= WANTED_MS else 1)


if __name__ == "__main__":
    main()
