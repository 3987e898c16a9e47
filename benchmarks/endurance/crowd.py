"""Judging with a crowd of hostile connections: python -m benchmarks.endurance.crowd X.panda FOLDER

`watch`'s loop judges the folder's pictures over and over, one after another, with page and metrics served and at most
1,024 open files. In turns nobody is there, and a crowd in a process of its own: 1,100 connections that send half a
request and wait, each made again a second after it was ended. Prints frames a second of each turn, and the crowd's
share of the quiet rate, the median over the turns; and the processor time of this process for a frame, which a machine
that does other things moves less. In benchmarks/endurance/results/crowd.json.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Event

from benchmarks.lib.conditions import conditions
from benchmarks.lib.results_file import ResultsFile
from panda_edge.detector import load
from panda_edge.images.inputs import images_below
from panda_edge.images.reading import open_image
from panda_edge.stream.frame import Picture
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.metrics import MetricsServer
from panda_edge.stream.sinks.open import SinkOptions, open_sinks
from panda_edge.system import memory_mb

CROWD, FILES = 1100, 1024
TURNS, SECONDS, SETTLE = 8, 4.0, 2.0

# Connects, sends half a request, and does so again a second after it was sent away. The ports are its arguments.
_CROWD = """
import resource, selectors, socket, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
ports, crowd = [int(port) for port in sys.argv[2:]], int(sys.argv[1])
watched, again = selectors.DefaultSelector(), [(0.0, number) for number in range(crowd)]
while True:
    now = time.monotonic()
    while again and again[0][0] <= now:
        number = again.pop(0)[1]
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", ports[number % len(ports)]))
        watched.register(one, selectors.EVENT_WRITE, number)
    for key, what in watched.select(0.1):
        try:
            if what & selectors.EVENT_WRITE:
                key.fileobj.send(b"GET /state HTTP/1.1\\r\\nHost: localhost\\r\\n")
                watched.modify(key.fileobj, selectors.EVENT_READ, key.data)
                continue
            if key.fileobj.recv(4096):
                continue
        except OSError:
            pass
        watched.unregister(key.fileobj)
        key.fileobj.close()
        again.append((now + 1, key.data))
"""


class Again:
    """Pictures over and over, as fast as they are judged."""

    name, live, endless = "again", False, True

    def __init__(self, folder: Path) -> None:
        self._opened = [open_image(path) for path in images_below(folder)[:50]]

    def pictures(self, stop: Event) -> Iterator[Picture]:
        for number in count():
            if stop.is_set():
                return
            yield Picture(self._opened[number % len(self._opened)], time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    told: list[str] = []
    options = FrameOptions(frozen_after=0)
    loop = Loop(lambda: load(given.bundle, 1), [Again(given.folder)], options, lambda notice: told.append(notice.text))
    rates: dict[bool, list[float]] = {False: [], True: []}
    costs: dict[bool, list[float]] = {False: [], True: []}
    with ExitStack() as stack:
        sinks = open_sinks(SinkOptions(http="127.0.0.1:0", jsonl="/dev/null"), loop, lambda: True, stack)
        metrics = MetricsServer("127.0.0.1:0", lambda: "panda_edge_frames_total 1\n")
        stack.callback(metrics.close)
        ports = [told[0].rpartition(" ")[2], str(metrics.port)]
        outcomes = loop.outcomes()
        stack.callback(outcomes.close)
        for turn in range(2 * TURNS):
            crowd = bool(turn % 2)
            process = None
            if crowd:
                process = subprocess.Popen([sys.executable, "-c", _CROWD, str(CROWD), *ports])
            begin, frames, cpu = time.monotonic() + SETTLE, 0, 0.0
            for outcome in outcomes:
                for sink in sinks:
                    sink.outcome(outcome)
                now = time.monotonic()
                if now >= begin:
                    cpu = cpu or time.process_time()
                    frames += 1
                if now > begin + SECONDS:
                    break
            rates[crowd].append(frames / (now - begin))
            costs[crowd].append((time.process_time() - cpu) * 1e3 / frames)
            print(f"{'crowd' if crowd else 'quiet'}: {rates[crowd][-1]:.1f} frames a second", flush=True)
            if process is not None:
                process.kill()
                process.wait()
    share = statistics.median(there / alone for alone, there in zip(rates[False], rates[True], strict=True))
    row = {
        "connections": CROWD,
        "open_files": FILES,
        "turns": TURNS,
        "seconds": SECONDS,
        "quiet_frames_a_second": round(statistics.median(rates[False]), 2),
        "crowd_frames_a_second": round(statistics.median(rates[True]), 2),
        "share": round(share, 3),
        "quiet_processor_ms_a_frame": round(statistics.median(costs[False]), 1),
        "crowd_processor_ms_a_frame": round(statistics.median(costs[True]), 1),
        "peak_mb": round(memory_mb()["peak"], 1),
        "notices": len(told) - 1,
    }
    print(row)
    ResultsFile("endurance/results/crowd").update("half requests", **row, conditions=conditions(1))


if __name__ == "__main__":
    main()
