"""A disk that is really full: python -m benchmarks.endurance.watch_disk (as root, which may mount a small tmpfs)

Saved frames, JSON lines and the spool lie on it. It fills up, stays full for a while, and is freed: every frame has its
outcome all the same, what is written is whole, and the sinks work again. The row is in
benchmarks/endurance/results/watch.json.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from benchmarks.endurance.watch import Endless, conditions, frames, gaussian
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.small_disk import small_disk
from benchmarks.lib.subject import open_subject
from panda_edge.detector import load
from panda_edge.stream.frame import Notice
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.open import SinkOptions, open_sinks
from panda_edge.stream.sinks.sink import Sink
from panda_edge.stream.sinks.spool import Spool
from panda_edge.stream.sinks.worker import never

FRAMES, FULL_AT, FREED_AT = 600, 200, 400
MEGABYTES = 80


def main() -> None:
    with small_disk(MEGABYTES) as disk:
        if disk is not None:
            run(disk)


def run(disk: Path) -> None:
    subject, rows = open_subject(), ResultsFile("endurance/results/watch")
    detector = load(gaussian(subject), fpr=0.999)  # all are anomalous, and are saved
    images = [image.resize((240, 180)) for image in frames(subject, 50)]
    told: list[Notice] = []
    sinks: list[Sink] = []

    def notify(notice: Notice) -> None:
        told.append(notice)
        for sink in sinks:
            sink.notice(notice)

    loop = Loop(lambda: detector, [Endless(images, FRAMES)], FrameOptions(frozen_after=0), notify)
    options = SinkOptions(
        jsonl=str(disk / "w.jsonl"), save=disk / "saved", quota_mb=60, send="all",
        webhook="http://127.0.0.1:9/", spool=disk / "spool",
    )  # fmt: skip
    outcomes, judged, slowest = 0, 0, 0.0
    filler = disk / "filler"
    with ExitStack() as stack:
        sinks += open_sinks(options, loop, never, stack)
        for outcome in loop.outcomes():
            outcomes += 1
            judged += outcome.result is not None
            for sink in sinks:
                began = time.monotonic()
                sink.outcome(outcome)
                slowest = max(slowest, time.monotonic() - began)
            if outcome.frame.number == FULL_AT:
                fill(filler)
            if outcome.frame.number == FREED_AT:
                filler.unlink()
                time.sleep(5)  # of the pauses between tries
            time.sleep(0.02)
    lines = [json.loads(line) for line in (disk / "w.jsonl").read_text().splitlines()]
    saved = [path.name for path in (disk / "saved").iterdir()]
    spool = Spool(disk / "spool", ["webhook http://127.0.0.1:9/"])
    events = [json.loads(event.payload) for event in spool.waiting("webhook http://127.0.0.1:9/", 10**6, 0)]
    spool.close()
    whole = 0
    for path in (disk / "saved").glob("*_overlay.png"):
        base = path.name.removesuffix("_overlay.png")
        with Image.open(path) as image, Image.open(disk / "saved" / f"{base}.png") as original:
            image.load()
            original.load()
        json.loads((disk / "saved" / f"{base}.json").read_text())
        whole += 1
    texts = [notice.text for notice in told if notice.kind == "sink"]
    rows.update(
        "disk full",
        megabytes=MEGABYTES,
        frames=FRAMES,
        outcomes=outcomes,
        judged=judged,
        said_full=sum("No space" in text or "full" in text for text in texts),
        said_works_again=sum("works again" in text for text in texts),
        lines_whole=len(lines),
        events_whole=len(events),
        saved_whole=whole,
        files_beside=len(saved) - 3 * whole,
        last_frame_in_lines=max(line["frame"] for line in lines if "frame" in line),
        slowest_sink_ms=round(slowest * 1e3, 1),
        **conditions(subject),
    )
    print(rows.get("disk full"), *texts, sep="\n")


def fill(path: Path) -> None:
    """Leave no byte free."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


if __name__ == "__main__":
    main()
