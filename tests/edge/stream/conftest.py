"""What the stream's tests share: pictures, a bundle of the tiny backbone, sources made of lists, commands at work."""

from __future__ import annotations

import io
import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from page_line import Line
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.frame import Frame, Picture
from panda_edge.stream.sinks.open import SinkOptions

PANDA_EDGE = str(Path(sys.executable).with_name("panda-edge"))


@pytest.fixture(scope="session")
def bundle_path(calibrated_bundles: dict[str, Path]) -> Path:
    return calibrated_bundles["gaussian"]


@pytest.fixture(scope="session")
def pictures(sample_data: Path) -> list[Image.Image]:
    """Test pictures, RGB, 64 × 64, of all kinds."""
    return [Image.open(path).convert("RGB") for path in sorted((sample_data / "test").rglob("*.png"))]


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    def make(image: Image.Image | None, number: int = 1, at: float = 0.0, source: str = "s", **more: Any) -> Frame:
        opened = None if image is None else OpenedImage(image, image.size)
        return Frame(source, number, 0.0, Picture(opened, at, **more))

    return make


class ListSource:
    """Gives a list's pictures, each after a pause; then ends, or raises what it was told to."""

    def __init__(
        self,
        images: list[Image.Image | None],
        name: str = "list",
        live: bool = False,
        pause: float = 0.0,
        then: list[Exception] | None = None,
    ) -> None:
        self.name, self.live, self.endless = name, live, live
        self.opened = self.closed = 0
        self._images, self._pause, self._then = images, pause, then or []

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        self.opened += 1
        try:
            for image in self._images:
                if self._pause:
                    stop.wait(self._pause)
                if stop.is_set():
                    return
                problem = "no picture" if image is None else None
                opened = OpenedImage(image, image.size) if image else None
                yield Picture(opened, time.monotonic(), problem=problem)
            if self._then:
                raise self._then.pop(0)
            if self.live:
                stop.wait(60)
        finally:
            self.closed += 1


@pytest.fixture(scope="session")
def list_source() -> type[ListSource]:
    return ListSource


@pytest.fixture(scope="session")
def jpeg() -> Callable[[Image.Image], bytes]:
    def encode(image: Image.Image) -> bytes:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=90)
        return stream.getvalue()

    return encode


class Running:
    """`panda-edge watch` in a process of its own, its stdout's lines as they come."""

    def __init__(self, arguments: list[str | Path], **popen: Any) -> None:
        self.process = subprocess.Popen(
            [PANDA_EDGE, "watch", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )
        self.said: list[str] = []
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read, self._listen)]
        for thread in self._threads:
            thread.start()

    def line(
        self, wanted: Callable[[dict[str, Any]], bool] = lambda line: True, within: float = 20.0
    ) -> dict[str, Any]:
        """The next line of stdout that is wanted."""
        until = time.monotonic() + within
        while True:
            try:
                line = self._lines.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"no such line within {within} s; stderr: {self.said}") from None
            if wanted(line):
                return line

    def end(self, signal: int | None = None, within: float = 20.0) -> int:
        """Wait for the process's end, after a signal if one is given; its exit code."""
        if signal is not None:
            self.process.send_signal(signal)
        code = self.process.wait(within)
        for thread in self._threads:
            thread.join(5)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts `panda-edge watch` with arguments; what still runs at the test's end is killed."""
    running: list[Running] = []

    def begin(*arguments: str | Path, **popen: Any) -> Running:
        running.append(Running(list(arguments), **popen))
        return running[-1]

    yield begin
    for process in running:
        process.kill()


@pytest.fixture(scope="session")
def noise() -> Callable[[int], Image.Image]:
    """A picture of noise, 64 × 64; another for each seed."""

    def make(seed: int) -> Image.Image:
        return Image.fromarray(np.random.default_rng(seed).integers(40, 200, (64, 64, 3), dtype=np.uint8))

    return make


def eventually(holds: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + within
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.02)


@pytest.fixture
def parts(calibrated_bundles: dict[str, Path], tmp_path: Path) -> Path:
    pytest.importorskip("starlette", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    return Path(shutil.copytree(calibrated_bundles["exact"], tmp_path / "parts.panda"))


@pytest.fixture
def good(sample_data: Path) -> Path:
    return sample_data / "test" / "good" / "gravel-000.png"


@pytest.fixture
def scratch(sample_data: Path) -> Path:
    return sample_data / "test" / "scratch" / "grass-000.png"


@pytest.fixture
def line(parts: Path, good: Path, scratch: Path, tmp_path: Path) -> Iterator[Line]:
    with ExitStack() as stack:
        options = SinkOptions(save=tmp_path / "found", http="127.0.0.1:0", jsonl=str(tmp_path / "lines"))
        yield Line(parts, [good, scratch], options, stack)
