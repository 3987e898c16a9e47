"""From false alarms to a better bundle, by the page alone: python -m benchmarks.endurance.closed_loop [learn] [swaps]

`learn`: five good test pictures that the bundle calls anomalous, at the least rate at which there are five, come as a
camera's frames among others. A client asks and posts as the page's script does: it labels the five, tries, applies,
and waits until each is judged OK. Then a defect is called normal: refused, asked about, or taken in and undone.
`swaps`: the bundle is exchanged 100 times under 30 frames a second, beside as long a time without; frames that were
given, judged and dropped for newer ones. Rows in benchmarks/endurance/results/closed_loop.json. PANDA_BUNDLE: the
bundle, else the default one, fitted here, and for `swaps` a gaussian one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.endurance.watch import gaussian
from benchmarks.lib.page_client import PageClient
from benchmarks.lib.results_file import ResultsFile
from benchmarks.lib.subject import Subject, open_subject, say
from panda_edge.detector import load
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.frame import Notice, Outcome, Picture
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.open import SinkOptions, open_sinks
from panda_edge.whole_folder import swap

FALSE_ALARMS, SWAPS, FPS = 5, int(os.environ.get("PANDA_SWAPS", "100")), 30.0
_WAIT = 600.0  # seconds that anything is waited for


class Turning:
    """A camera that shows the same pictures in turn."""

    endless = False
    live = True

    def __init__(self, images: list[tuple[str, Image.Image]], pause: float) -> None:
        self.name, self._images, self._pause = "camera", images, pause

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        due, number = time.monotonic(), 0
        while not stop.is_set():
            due = max(due + self._pause, time.monotonic() - 1)
            stop.wait(max(due - time.monotonic(), 0))
            name, image = self._images[number % len(self._images)]
            number += 1
            yield Picture(OpenedImage(image, image.size), time.monotonic(), where=name)


class Line:
    """`watch` at work in a thread, and what it has said."""

    def __init__(self, bundle: Path, source: Turning, fpr: float, options: SinkOptions, stack: ExitStack) -> None:
        self.told: list[Notice] = []
        self.last: dict[str, Outcome] = {}
        self.outcomes = Counter[str]()
        self.loop = Loop(lambda: load(bundle, fpr=fpr), [source], FrameOptions(frozen_after=0), self.told.append)
        self._sinks = open_sinks(options, self.loop, lambda: False, stack)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        stack.callback(self._thread.join, 60)
        stack.callback(self.loop.stop)

    @property
    def port(self) -> str:
        return next(notice.text for notice in self.told if notice.kind == "page").rpartition(" ")[2]

    def _run(self) -> None:
        for outcome in self.loop.outcomes():
            self.outcomes["judged" if outcome.result is not None else "not judged"] += 1
            self.outcomes["dropped"] += outcome.dropped
            for sink in self._sinks:
                sink.outcome(outcome)
            self.last[outcome.frame.picture.where or ""] = outcome


class Page(PageClient):
    """Tries bundles, too."""

    def tried(self) -> dict[str, Any]:
        """What a try gave, once it has ended."""
        answer = self.post("/bundle/try")
        if "error" in answer:
            raise SystemExit(answer["error"])
        until(lambda: not self.ask("/state")["better"]["job"]["running"], 0.5)
        return dict(self.ask("/state")["better"])


def until(holds: Callable[[], bool], pause: float = 0.1) -> None:
    end = time.monotonic() + _WAIT
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("it never came to hold")
        time.sleep(pause)


def learn(rows: ResultsFile, subject: Subject, bundle: Path, folder: Path) -> None:
    detector = load(bundle)
    scored = {True: [], False: []}  # type: dict[bool, list[tuple[float, Path]]]
    for sample in subject.dataset.test:
        decision = detector.segment(sample.path).decision
        assert decision is not None
        scored[sample.anomalous].append((decision.p_value, sample.path))
    good = sorted(scored[False])
    fpr, false = good[FALSE_ALARMS - 1][0], [path for _, path in good[:FALSE_ALARMS]]
    wrong = min(scored[True])[1]
    shown = [*false, wrong, *(path for _, path in good[-3:])]
    source = Turning([(path.name, Image.open(path).convert("RGB")) for path in shown], 0.25)
    with ExitStack() as stack:
        line = Line(bundle, source, fpr, SinkOptions(save=folder / "saved", http="127.0.0.1:0"), stack)
        page = Page(f"http://127.0.0.1:{line.port}")

        def frame_of(path: Path) -> str:
            """The page's id of a frame that shows it, with a picture."""
            found = [one for one in page.ask("/frames?label=none&most=100")["done"] if one["where"] == path.name]
            return found[0]["id"] if found else ""

        until(lambda: all(frame_of(path) for path in (*false, wrong)))
        begin = time.monotonic()
        for path in false:
            page.post(f"/label/{frame_of(path)}", label="normal")
        better = page.tried()
        tried = better["tried"]
        say(f"tried: {better['job']}")
        after_try = time.monotonic() - begin
        refused = len(tried["refused"])
        if tried["before"] is not None:
            page.post("/bundle/apply", sure=True)
            until(lambda: sum(line.last[path.name].anomalous is False for path in false) == len(false))
        row = {"false_alarms": FALSE_ALARMS, "rate": fpr, "tried_s": round(after_try, 1),
               "gone_s": round(time.monotonic() - begin, 1), "refused": refused, "asked": len(tried["asked"]),
               "before": tried["before"], "after": tried["after"]}  # fmt: skip
        say(f"learnt: {row}")
        if tried["before"] is not None:
            page.post(f"/label/{frame_of(wrong)}", label="normal")
            second = page.tried()["tried"]
            row["wrong_one"] = "refused" if second["refused"] else "asked about" if second["asked"] else "taken"
            if second["before"] is not None:
                page.post("/bundle/apply", sure=True)
                until(lambda: line.last[wrong.name].anomalous is False)
                page.post("/bundle/undo")
                until(lambda: line.last[wrong.name].anomalous is True)
                row["wrong_one"] += ", and undone"
            else:
                row["wrong_one_severity"] = second["refused"][0]["severity"]
    rows.update("learn", **row, **conditions(subject, bundle))
    print(rows.get("learn"))


def swaps(rows: ResultsFile, subject: Subject, bundle: Path, folder: Path) -> None:
    spare = folder / "spare.panda"
    shutil.copytree(bundle, spare)
    images = [(str(number), Image.open(path).convert("RGB").resize((320, 240)))
              for number, path in enumerate(subject.images(30))]  # fmt: skip
    row: dict[str, Any] = {"swaps": SWAPS, "frames_a_second": FPS}
    with ExitStack() as stack:
        line = Line(bundle, Turning(images, 1 / FPS), 0.05, SinkOptions(jsonl=str(folder / "lines")), stack)
        until(lambda: line.outcomes["judged"] > FPS)

        def counted(work: Callable[[], None]) -> dict[str, Any]:
            before, given, began = line.outcomes.copy(), line.loop.states[0].frames, time.monotonic()
            work()
            found = line.outcomes - before
            given = line.loop.states[0].frames - given
            seconds = round(time.monotonic() - began, 1)
            waiting = given - found["judged"] - found["not judged"] - found["dropped"]
            return {"seconds": seconds, "given": given, **found, "waiting": waiting}

        def swapping() -> None:
            for number in range(1, SWAPS + 1):
                swap(bundle, spare)
                line.loop.reload()
                until(lambda want=number: sum(one.kind == "bundle" for one in line.told) >= want, 0.01)  # type: ignore[misc]

        row["with_swaps"] = counted(swapping)
        row["without"] = counted(lambda: time.sleep(row["with_swaps"]["seconds"]))
        row["refused"] = sum(one.kind == "bundle_refused" for one in line.told)
    rows.update("swaps", **row, **conditions(subject, bundle))
    print(rows.get("swaps"))


def conditions(subject: Subject, bundle: Path) -> dict[str, Any]:
    bank = load(bundle).bundle.manifest.segmentation.bank
    return {
        "data": subject.root.resolve().name,
        "bank": bank,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    rows, subject = ResultsFile("endurance/results/closed_loop"), open_subject()
    wanted = sys.argv[1:] or ["learn", "swaps"]
    given = os.environ.get("PANDA_BUNDLE")
    for name, work, of in (("learn", learn, lambda: subject.bundle([])), ("swaps", swaps, lambda: gaussian(subject))):
        if name in wanted:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                bundle = Path(folder) / "parts.panda"
                shutil.copytree(Path(given) if given else of(), bundle)
                work(rows, subject, bundle, Path(folder))


if __name__ == "__main__":
    main()
