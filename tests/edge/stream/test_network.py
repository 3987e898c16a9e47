"""Cameras on the network: a real RTSP server (gstreamer's) and an HTTP camera, which go and come back."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from panda_edge.stream import capture
from panda_edge.stream.frame import Picture, SourceLost
from panda_edge.stream.sources import mjpeg
from panda_edge.stream.sources.address import open_source

sys.path.insert(0, str(Path(__file__).parent))
from mjpeg_server import Camera

HERE = Path(__file__).parent
DEBIAN_PYTHON = "/usr/bin/python3"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def rtsp_server() -> Callable[[int], subprocess.Popen[str]]:
    pytest.importorskip("av", reason="needs PyAV: pip install 'panda-edge[video]'")
    packages = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if (
        shutil.which(DEBIAN_PYTHON) is None
        or subprocess.run([DEBIAN_PYTHON, "-c", probe], capture_output=True).returncode
    ):
        pytest.skip(f"needs gstreamer's RTSP server: apt-get install {packages}")

    def begin(port: int) -> subprocess.Popen[str]:
        server = subprocess.Popen(
            [DEBIAN_PYTHON, "-W", "ignore", str(HERE / "rtsp_server.py"), str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        return server

    return begin


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def test_an_rtsp_camera_restarts_and_is_taken_up_again(
    start: Callable, bundle_path: Path, rtsp_server: Callable[[int], subprocess.Popen[str]]
) -> None:
    port = free_port()
    server = rtsp_server(port)
    running = start(bundle_path, f"rtsp://user:secret@127.0.0.1:{port}/cam")
    try:
        first = running.line(lambda line: "frame" in line)
        assert first["source"] == f"rtsp://127.0.0.1:{port}/cam"
        end(server)
        assert running.line(lambda line: "notice" in line)["notice"] == "source_lost"
        server = rtsp_server(port)
        assert running.line(lambda line: "notice" in line)["notice"] == "source_back"
        again = running.line(lambda line: "frame" in line)
        assert again["frame"] > first["frame"]
        assert running.end(signal.SIGTERM) == 0
        assert not any("secret" in line or "Traceback" in line for line in running.said)
    finally:
        end(server)


@pytest.fixture
def camera() -> Iterator[Callable[..., Camera]]:
    opened: list[Camera] = []

    def make(*arguments: Any, **options: Any) -> Camera:
        opened.append(Camera(*arguments, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def some(source: Any, count: int) -> list[Picture]:
    stop, found = threading.Event(), []
    pictures = source.pictures(stop)
    for picture in pictures:
        found.append(picture)
        if len(found) == count:
            break
    pictures.close()
    return found


@pytest.mark.parametrize("path", ["stream", "without-length", "one"])
def test_pictures_over_http(camera: Callable[..., Camera], path: str) -> None:
    source = open_source(f"http://127.0.0.1:{camera().port}/{path}")
    found = some(source, 4)
    assert [picture.problem for picture in found] == [None] * 4
    assert len({picture.encoded for picture in found}) == 4
    assert all(picture.opened and picture.opened.full_size == (64, 64) for picture in found)


@pytest.mark.parametrize(
    ("path", "frames", "said"), [("stream", 3, "ended"), ("missing", 3, "404"), ("stuck", 3, "timed out")]
)
def test_an_http_camera_is_lost(
    camera: Callable[..., Camera], path: str, frames: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mjpeg, "_SECONDS", 0.3)
    source = open_source(f"http://127.0.0.1:{camera(frames=frames).port}/{path}")
    with pytest.raises(SourceLost, match=said):
        some(source, 10**9)


def test_nobody_there_is_lost() -> None:
    with pytest.raises(SourceLost, match="refused"):
        some(open_source(f"http://127.0.0.1:{free_port()}/"), 1)


def test_an_http_camera_that_hangs_up_is_taken_up_each_time(
    camera: Callable[..., Camera], bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import panda_edge

    monkeypatch.setattr(capture, "_FIRST_PAUSE", 0.02)
    told = []
    one = camera(frames=5)
    outcomes = panda_edge.watch(
        bundle_path,
        f"http://127.0.0.1:{one.port}/stream",
        frames=panda_edge.FrameOptions(drop="never"),
        notify=told.append,
    )
    numbers = [next(outcomes).frame.number for _ in range(23)]
    outcomes.close()
    assert numbers == list(range(1, 24))
    assert one.connections == 5
    assert [notice.kind for notice in told[:4]] == ["source_lost", "source_back"] * 2


def test_two_cameras_and_only_the_newest(camera: Callable[..., Camera], bundle_path: Path) -> None:
    import panda_edge

    addresses = [f"http://127.0.0.1:{camera(pause=0.002).port}/stream" for _ in range(2)]
    outcomes = panda_edge.watch(
        bundle_path, *addresses, frames=panda_edge.FrameOptions(max_fps=20), notify=lambda notice: None
    )
    found = [next(outcomes) for _ in range(30)]
    outcomes.close()
    for address in addresses:
        ours = [outcome for outcome in found if outcome.source == address]
        assert len(ours) >= 5
        captured = [outcome.frame.captured for outcome in ours]
        assert captured == sorted(captured)
        assert min(b - a for a, b in pairwise(captured)) > 0.02
        assert ours[-1].frame.number > len(ours)
