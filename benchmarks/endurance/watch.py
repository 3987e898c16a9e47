"""The marks of `panda-edge watch`, one at a time: python -m benchmarks.endurance.watch [MARK…]

Each mark prints its row and keeps it in benchmarks/endurance/results/watch.json, which
`benchmarks.endurance.watch_soak` adds to.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge.detector import load
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.frame import Outcome, Picture, SourceLost
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.spool import Spool

STREAM_SECONDS, FPS, SIZE = 30, 30, (640, 480)
KILLS, LOSSES, BUNDLES, EVENTS = 200, 100, 100, 10_000


def gaussian(subject: Subject) -> Path:
    """The bundle at work: PANDA_BUNDLE, or one fitted here."""
    given = os.environ.get("PANDA_BUNDLE")
    return Path(given) if given else subject.bundle(["--bank", "gaussian"])


def frames(subject: Subject, count: int) -> list[Image.Image]:
    """Test pictures at 640 × 480, with a camera's noise, so that no two are alike."""
    pictures = [Image.open(path).convert("RGB").resize(SIZE) for path in subject.images(min(count, 60))]
    random = np.random.default_rng(0)
    noise = random.integers(-3, 4, (count, 16, 1, 3), dtype=np.int16)
    made = []
    for i in range(count):
        pixels = np.asarray(pictures[i % len(pictures)]).astype(np.int16)
        pixels[:16] += noise[i]
        made.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
    return made


def write_video(path: Path, images: list[Image.Image]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS, options={"qscale": "3"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


class Paced:
    """A video file given at its own rate, as a camera would: decoded when its time has come."""

    live, endless = True, False

    def __init__(self, path: Path, name: str = "camera") -> None:
        self.name, self._path = name, path

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        import av

        with av.open(str(self._path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            started, number = time.monotonic(), 0
            for packet in container.demux(stream):
                due = started + number / FPS
                if stop.wait(max(due - time.monotonic(), 0)):
                    return
                for frame in packet.decode():
                    # Its capture is when its time came, not when this thread got to run.
                    image = frame.to_image()
                    number += 1
                    yield Picture(OpenedImage(image, image.size), due, (time.monotonic() - due) * 1e3)


def stream_mark(rows: ResultsFile, subject: Subject, folder: Path) -> None:
    """30 frames a second, 640 × 480, gaussian bank: capture to decision, and what the loop itself costs."""
    video = folder / "v.mp4"
    write_video(video, frames(subject, STREAM_SECONDS * FPS))
    detector = load(gaussian(subject))
    loop = Loop(lambda: detector, [Paced(video)], FrameOptions(frozen_after=0))
    latencies, own, judged, dropped = [], [], 0, 0
    for outcome in loop.outcomes():
        dropped += outcome.dropped
        if outcome.frame.number <= FPS:  # warm
            continue
        judged += outcome.result is not None
        latencies.append(outcome.latency_ms)
        work = sum(ms for stage, ms in outcome.stages_ms.items() if stage not in ("wait", "check"))
        own.append(outcome.latency_ms - work - outcome.stages_ms["wait"])
    bare = [detector.segment(image).ms for image in frames(subject, 100)]
    rows.update(
        "stream",
        frames=STREAM_SECONDS * FPS,
        judged=judged + FPS,
        dropped=dropped,
        p50_ms=round(float(np.percentile(latencies, 50)), 2),
        p99_ms=round(float(np.percentile(latencies, 99)), 2),
        own_ms=round(float(np.median(own)), 3),
        own_share_of_frame=round(float(np.median(own)) / (1000 / FPS), 4),
        own_share_of_bare=round(float(np.median(own)) / float(np.median(bare)), 4),
        bare_ms=round(float(np.median(bare)), 2),
        **conditions(subject),
    )


class Endless:
    """A source that gives a list's pictures over and over."""

    name, live, endless = "list", False, False

    def __init__(self, images: list[Image.Image], count: int) -> None:
        self._images, self._count = images, count

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        for number in range(self._count):
            if stop.is_set():
                return
            image = self._images[number % len(self._images)]
            yield Picture(OpenedImage(image, image.size), time.monotonic())


def losses_mark(rows: ResultsFile, subject: Subject, folder: Path) -> None:
    """A source that breaks off 100 times, a bundle replaced 100 times under load: no frame is lost for it."""
    from panda_edge.stream import capture

    capture._FIRST_PAUSE = 0.005
    images = [image.resize((96, 96)) for image in frames(subject, 50)]
    path = gaussian(subject)

    class Breaking(Endless):
        def pictures(self, stop: threading.Event) -> Iterator[Picture]:
            nonlocal runs
            runs += 1
            yield from super().pictures(stop)
            if runs <= LOSSES:
                raise SourceLost("list: broke off")

    runs, told = 0, []
    loop = Loop(lambda: load(path), [Breaking(images, 10)], FrameOptions(frozen_after=0), lambda n: told.append(n.kind))
    numbers = [outcome.frame.number for outcome in loop.outcomes()]
    rows.update("source broke off", times=told.count("source_lost"), back=told.count("source_back"),
                frames=len(numbers), in_order=numbers == list(range(1, 10 * (LOSSES + 1) + 1)))  # fmt: skip
    told.clear()
    count, asked = 4000, 0
    loop = Loop(
        lambda: load(path), [Endless(images, count)], FrameOptions(frozen_after=0), lambda n: told.append(n.kind)
    )
    numbers = []
    for outcome in loop.outcomes():
        numbers.append(outcome.frame.number)
        if asked == told.count("bundle") and asked < BUNDLES:
            asked += 1
            loop.reload()
    rows.update("bundle replaced", times=told.count("bundle"), frames=len(numbers),
                in_order=numbers == list(range(1, count + 1)), **conditions(subject))  # fmt: skip


def kills_mark(rows: ResultsFile, subject: Subject, folder: Path) -> None:
    """The process that fills the spool killed 200 times: what it had taken is there, whole, in order."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom panda_edge.stream.sinks.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), ['a'])\nprint('open', flush=True)\ni = 0\n"
        "while True:\n    spool.add([(str(i), b'x' * 700)])\n    print(i, flush=True)\n    i += 1\n"
    )
    taken = found = torn = 0
    random = np.random.default_rng(0)
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder / "s")], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(float(random.uniform(0.001, 0.05)))
        process.send_signal(signal.SIGKILL)
        accepted = [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        process.wait()
        spool = Spool(folder / "s", ["a"])
        events = spool.waiting("a", 10**7, 0)
        ids = [int(event.id) for event in events]
        taken += len(accepted)
        found += ids[: len(accepted)] == accepted and len(accepted)
        torn += sum(len(event.payload) != 700 for event in events)
        if events:
            spool.delivered("a", events[-1].seq)
        spool.close()
    rows.update("SIGKILL", times=KILLS, accepted=taken, found_in_order=int(found), half_written=torn)


def receivers_mark(rows: ResultsFile, subject: Subject, folder: Path) -> None:
    """A real broker and an HTTP server, away while 10,000 events come: each gets all of them, in order."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "edge" / "stream"))
    from test_delivery import Hook, Listener

    from panda_edge.stream.sinks.delivery import Deliveries
    from panda_edge.stream.sinks.mqtt import Mqtt
    from panda_edge.stream.sinks.webhook import Webhook

    broker = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if broker is None:
        say("receivers: needs a broker: apt-get install mosquitto")
        return
    hook_port, port = 18931, 18932
    (folder / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    receivers = [Mqtt(f"mqtt://127.0.0.1:{port}/line"), Webhook(f"http://127.0.0.1:{hook_port}/")]
    said: list[str] = []
    spool = Spool(folder / "spool", [receiver.name for receiver in receivers])
    sink = Deliveries(spool, receivers, True, lambda: True, lambda name, line: said.append(line))
    image = OpenedImage(Image.new("RGB", (8, 8)), (8, 8))
    from panda_edge.stream.frame import Frame

    for number in range(EVENTS):
        frame = Frame("camera", number, time.time(), Picture(image, 0.0))
        sink.outcome(Outcome(f"run-{number}", frame, 0, None, "black: x", {}, 1.0))
    process = subprocess.Popen([broker, "-c", str(folder / "m.conf")], stderr=subprocess.DEVNULL)
    time.sleep(1)
    listener, hook, began = Listener(port, "line"), Hook(hook_port), time.monotonic()
    wanted = [f"run-{number}" for number in range(EVENTS)]
    import json

    def by_mqtt() -> list[str]:
        return list(dict.fromkeys(json.loads(p)["id"] for topic, p in list(listener.got) if topic == "line"))

    while time.monotonic() - began < 300 and (len(hook.keys) < EVENTS or len(by_mqtt()) < EVENTS):
        time.sleep(1)
    seconds = time.monotonic() - began
    rows.update("receivers away", events=EVENTS, mqtt=len(by_mqtt()), webhook=len(set(hook.keys)),
                mqtt_in_order=by_mqtt() == wanted, webhook_in_order=list(dict.fromkeys(hook.keys)) == wanted,
                twice=len(hook.keys) - EVENTS, seconds=round(seconds, 1))  # fmt: skip
    sink.close(10)
    listener.close()
    hook.close()
    process.kill()
    process.wait()


def conditions(subject: Subject) -> dict[str, Any]:
    return {
        "data": subject.name,
        "bundle": gaussian(subject).name,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


MARKS: dict[str, Callable[[ResultsFile, Subject, Path], None]] = {
    "stream": stream_mark,
    "losses": losses_mark,
    "kills": kills_mark,
    "receivers": receivers_mark,
}


def main() -> None:
    rows, subject = ResultsFile("endurance/results/watch"), open_subject()
    for mark in sys.argv[1:] or MARKS:
        say(mark)
        with tempfile.TemporaryDirectory() as folder:
            MARKS[mark](rows, subject, Path(folder))
    for name in rows.names():
        print(name, rows.get(name))


if __name__ == "__main__":
    main()
