"""`watch` at work with its page, asked as the page's script does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.lib.page_client import PageClient
from PIL import Image

from panda_edge.detector import load
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.frame import Notice, Picture
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.loop import Loop
from panda_edge.stream.sinks.open import SinkOptions, open_sinks

FPR = 0.5  # so that half of the calibration's pictures lie above the threshold


class Turning:
    """A camera that shows the same pictures in turn."""

    live = endless = True

    def __init__(self, paths: list[Path]) -> None:
        self.name, self._paths = "camera", paths

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        number = 0
        while not stop.wait(0.05):
            path = self._paths[number % len(self._paths)]
            number += 1
            image = Image.open(path).convert("RGB")
            yield Picture(OpenedImage(image, image.size), time.monotonic(), where=path.name)


class Line(PageClient):
    """`watch` at work, with its page."""

    def __init__(self, bundle: Path, paths: list[Path], options: SinkOptions, stack: ExitStack) -> None:
        self.told: list[Notice] = []
        sinks: list[Any] = []

        def notify(notice: Notice) -> None:
            self.told.append(notice)
            for sink in sinks:
                sink.notice(notice)

        self.last: dict[str, bool | None] = {}
        self.loop = Loop(lambda: load(bundle, threads=1, fpr=FPR), [Turning(paths)], FrameOptions(), notify)
        sinks += open_sinks(options, self.loop, lambda: False, stack)
        self._sinks = sinks
        super().__init__(f"http://127.0.0.1:{self.notice('page').text.rpartition(' ')[2]}")
        thread = threading.Thread(target=self._run)
        thread.start()
        stack.callback(thread.join, 30)
        stack.callback(self.loop.stop)

    def _run(self) -> None:
        for outcome in self.loop.outcomes():
            for sink in self._sinks:
                sink.outcome(outcome)
            self.last[outcome.frame.picture.where or ""] = outcome.anomalous

    def notice(self, kind: str) -> Notice:
        return next(notice for notice in self.told[::-1] if notice.kind == kind)

    def better(self) -> dict[str, Any]:
        return dict(self.ask("/state")["better"])

    def settled(self) -> dict[str, Any]:
        """The better bundle's state once nothing is being tried."""
        until(lambda: not self.better()["job"]["running"])
        return self.better()

    def frame_of(self, path: Path) -> str:
        """A frame that shows a picture, to be reviewed."""
        found: list[str] = []

        def there() -> bool:
            shown = self.ask("/frames?label=none&most=100")["done"]
            found[:] = [str(one["id"]) for one in shown if one["where"] == path.name]
            return bool(found)

        until(there)
        return found[0]


def until(holds: Callable[[], bool], within: float = 120.0) -> None:
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)
