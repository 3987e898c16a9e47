"""The page: who may see it, and a real browser that watches, clicks and changes the rate."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chromium import browser_page
from panda_edge.decide.drift import DriftMartingale
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.stream.drift import Found, SourceDrift, Start
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.history.reader import HistoryReader, Wanted
from panda_edge.stream.loop import Loop
from panda_edge.stream.page.board import Board
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.past import Past
from panda_edge.stream.page.tally import HOUR, SHIFT, Counts, Tally, doubt
from panda_edge.stream.page.visitors import Tokens
from panda_edge.stream.sinks.history import History
from panda_edge.stream.sinks.open import about
from panda_edge.stream.sinks.saved import SavedFrames

TOKEN = "a-token-of-sixteen-and-more"


@pytest.fixture
def make_page() -> Iterator[Callable[..., Any]]:
    pytest.importorskip("starlette", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    from panda_edge.stream.page.server import PageServer

    opened = []

    def make(board: Board, set_fpr: Callable[[float], None] = print, token: str | None = None, **more: Any) -> Any:
        decisions = Decisions(board, set_fpr)
        tokens = more.pop("tokens", Tokens(token))
        opened.append(PageServer("127.0.0.1:0", tokens, decisions, lambda: "panda_edge_x 1\n", **more))
        return opened[-1]

    yield make
    for page in opened:
        page.close()


@pytest.fixture
def board() -> Board:
    return Board(list, lambda: None, None)  # type: ignore[arg-type, return-value]


def ask(page: Any, path: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{page.port}{path}", data, named)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_who_may_ask_on_loopback(make_page: Callable[..., Any], board: Board) -> None:
    rates: list[float] = []
    page = make_page(board, rates.append)
    assert ask(page, "/")[0] == 200
    assert json.loads(ask(page, "/state")[1])["seen"] == 0
    assert ask(page, "/metrics") == (200, b"panda_edge_x 1\n")
    assert ask(page, "/", Host="evil.example")[0] == 403  # a name that was made to mean 127.0.0.1
    assert ask(page, "/fpr", b'{"fpr": 0.5}')[0] == 403  # another site's form
    assert ask(page, "/fpr", b'{"fpr": 0.5}', X_Panda_Edge="1")[0] == 200
    assert ask(page, "/fpr", b"no json", X_Panda_Edge="1")[0] == 400
    assert rates == [0.5]
    assert ask(page, "/live/0.jpg")[0] == ask(page, "/anomaly/x.jpg")[0] == ask(page, "/nothing")[0] == 404
    assert ask(page, "/label/x", b'{"label": "normal"}', X_Panda_Edge="1")[0] == 400


def test_a_token_guards_everything(make_page: Callable[..., Any], board: Board) -> None:
    page = make_page(board, token=TOKEN)
    for path in ("/", "/state", "/live/0.jpg", "/metrics", "/page.js"):
        assert ask(page, path)[0] == 401
        assert ask(page, f"{path}?token=wrong")[0] == 401
    assert ask(page, "/state", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(page, "/state", Authorization=f"Bearer {TOKEN}", Host="device.local")[0] == 200
    assert ask(page, "/state", Cookie=f"panda_edge={TOKEN}")[0] == 401  # the cookie is not the token


def test_others_need_a_token(board: Board) -> None:
    pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    from panda_edge.stream.page.server import PageServer

    for address in ("0.0.0.0:0", "192.0.2.1:80", "device.local:80"):
        with pytest.raises(PandaError, match="give a token"):
            PageServer(address, Tokens(), Decisions(board, print), str)
    with pytest.raises(PandaError, match="16 characters"):
        PageServer("127.0.0.1:0", Tokens("short"), Decisions(board, print), str)
    with pytest.raises(PandaError, match="HOST:PORT"):
        PageServer("8080", Tokens(), Decisions(board, print), str)


def test_nothing_comes_from_elsewhere() -> None:
    folder = Path(__file__).parents[3] / "edge" / "panda_edge" / "stream" / "page"
    for name in ("page.html", "page.js", "chart.js", "gallery.js", "better.js", "words.js", "page.css", "uplot.css"):
        assert not re.search(r"https?:|//[a-z]+\.", (folder / name).read_text(encoding="utf-8")), name


def test_what_the_script_imports_is_asked_for_with_the_page() -> None:
    """Else a browser learns of each module from the one before, a round trip each."""
    folder = Path(__file__).parents[3] / "edge" / "panda_edge" / "stream" / "page"
    imported = {
        name for file in folder.glob("*.js") for name in re.findall(r'from "(/\w+\.js)"', file.read_text("utf-8"))
    }
    preloaded = re.findall(r'rel="modulepreload" href="([^"]+)"', (folder / "page.html").read_text("utf-8"))
    assert sorted(preloaded) == sorted(imported)


def until(page: Any, holds: str) -> None:
    """Wait for something in the page. (Playwright's own way needs eval, which the page's policy forbids.)"""
    end = time.monotonic() + 60
    while not page.evaluate(holds):
        assert time.monotonic() < end, holds
        page.wait_for_timeout(100)


class Moving:
    """A camera: blocks of all colours, others each time."""

    live = endless = True

    def __init__(self, name: str = "camera", dark: bool = False) -> None:
        self.name, self._top = name, 3 if dark else 200

    def pictures(self, stop: threading.Event) -> Iterator[Any]:
        from panda_edge.images.reading import OpenedImage
        from panda_edge.stream.frame import Picture

        random = np.random.default_rng(0)
        while not stop.wait(0.1):
            blocks = Image.fromarray(random.integers(min(40, self._top - 1), self._top, (12, 16, 3), dtype=np.uint8))
            image = blocks.resize((320, 240), Image.Resampling.NEAREST)
            yield Picture(OpenedImage(image, image.size), time.monotonic())


class Station:
    """Two cameras, one of them dark, with all that the page shows: history, saved pictures, drift."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.loop = Loop(
            lambda: load(bundle, threads=1, fpr=0.5), [Moving(), Moving("dark", dark=True)], FrameOptions()
        )
        segmentation = self.loop.detector.bundle.manifest.segmentation
        found = Found("more", Start(0.0, 7, "run-7"), 99)
        drifts = {"camera": SourceDrift(DriftMartingale(np.arange(9.0)), found=found)}
        drifts["dark"] = SourceDrift(DriftMartingale(np.arange(9.0)))
        self.history = History(folder / "history.sqlite", 9, 10**7, lambda: self.loop.detector.bundle, print)
        saved = SavedFrames(folder, 10**8, lambda: segmentation, print, self.history.saved)
        past = Past(HistoryReader(folder / "history.sqlite"), folder)
        self.board = Board(
            lambda: self.loop.states,
            lambda: segmentation,
            None,
            lambda: drifts,
            lambda: about(self.loop.detector),
            past,
        )
        self._sinks = [self.history, saved, self.board]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for outcome in self.loop.outcomes():
            for sink in self._sinks:
                sink.outcome(outcome)

    def close(self) -> None:
        self.loop.stop()
        self._thread.join(20)
        for sink in self._sinks:
            sink.close(10)


def test_a_browser_watches(make_page: Callable[..., Any], bundle_path: Path, tmp_path: Path) -> None:
    station = Station(bundle_path, tmp_path / "saved")
    page_server = make_page(station.board, station.loop.set_fpr)
    shots = Path(os.environ.get("PANDA_SCREENSHOTS", tmp_path))
    try:
        with browser_page(1400, 900) as page:
            page.goto(f"http://127.0.0.1:{page_server.port}/")
            live = page.locator("#live img").first
            until(page, "document.querySelector('#live img')?.naturalWidth > 0")
            until(page, "document.querySelectorAll('#live .verdict.odd')[0]?.textContent.includes('frozen')")
            until(page, "document.querySelector('#sources').textContent.includes('more anomalies since 1')")
            assert "not enough frames yet" in page.locator("#sources").inner_text()
            assert station.loop.detector.bundle.manifest.identity in page.locator("#bundle").inner_text()
            first = live.get_attribute("src")
            until(page, f"document.querySelector('#live img').getAttribute('src') !== {json.dumps(first)}")
            until(page, "document.querySelector('#doubts').textContent.includes('dark: 1e+02 %') || "
                        "document.querySelector('#doubts').textContent.includes('dark: 100 %')")  # fmt: skip
            until(page, "document.querySelectorAll('#anomalies button img').length > 2")
            page.screenshot(path=str(shots / "page.png"), full_page=True)
            self_made = page.evaluate("document.querySelectorAll('#chart canvas').length")
            assert self_made == 1
            page.locator("#order").select_option("worst")
            page.wait_for_timeout(1000)
            page.locator("#anomalies button").first.click()
            until(page, "document.querySelector('#picture').naturalWidth === 320")
            said = page.locator("#about").inner_text()
            page.keyboard.press("ArrowRight")
            assert page.locator("#about").inner_text() != said
            until(page, "document.querySelector('#picture').naturalWidth === 320")
            page.screenshot(path=str(shots / "anomaly.png"))
            page.keyboard.press("Escape")
            page.locator("#fpr").fill("0.6")
            page.locator("#rate button").click()
            until(page, "fetch('/state').then(a => a.json()).then(s => s.bundle.promised === 0.6)")
            page.locator("#fpr").fill("0.0001")
            page.locator("#rate button").click()
            until(page, "document.querySelector('#rate').dataset.said.includes('the least is')")
            page.locator("#spans button", has_text="8 h").click()
            page.wait_for_timeout(700)
            for name, width, height in (("phone", 390, 844), ("wall", 1920, 1080)):
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(900)
                assert page.evaluate(f"document.documentElement.scrollWidth <= {width}"), name  # no scrolling sideways
                page.screenshot(path=str(shots / f"{name}.png"), full_page=name == "phone")
            page.emulate_media(color_scheme="dark")
            page.screenshot(path=str(shots / "dark.png"))
    finally:
        station.close()


def test_frames_by_pages(make_page: Callable[..., Any], bundle_path: Path, tmp_path: Path) -> None:
    station = Station(bundle_path, tmp_path / "saved")
    page = make_page(station.board)
    end = time.monotonic() + 30
    while len(station.board.frames(Wanted(verdict="NG"), 100, False, 0)) < 9:
        assert time.monotonic() < end
        time.sleep(0.1)
    station.close()

    def frames(query: str) -> list[dict[str, Any]]:
        return list(json.loads(ask(page, f"/frames?{query}")[1])["done"])

    every = frames("verdict=NG&most=100")
    assert [one["id"] for one in frames("verdict=NG&most=3&skip=3")] == [one["id"] for one in every[3:6]]
    worst = [one["severity"] for one in frames("verdict=NG&order=worst&most=100")]
    assert worst == sorted(worst, reverse=True)
    assert {one["verdict"] for one in frames("source=dark")} == {"not judged"}
    board = station.board
    board._anomalies.clear()  # as after a restart: what is shown is what was saved
    identity = next(one["id"] for one in every if one["saved"])
    sizes = {}
    for name, path in (
        ("small", f"{identity}/small.jpg"),
        ("full", f"{identity}.jpg"),
        ("plain", f"{identity}.jpg?plain"),
    ):
        status, data = ask(page, f"/anomaly/{path}")
        assert status == 200
        with Image.open(io.BytesIO(data)) as image:
            sizes[name] = image.size
    assert sizes == {"small": (160, 139), "full": (320, 278), "plain": (320, 240)}
    assert json.loads(ask(page, f"/frame/{identity}")[1])["done"][0]["picture"]
    assert json.loads(ask(page, "/frame/none")[1])["done"] == []
    (minute, *_) = json.loads(ask(page, f"/minutes?source=0&since={int(time.time()) - 600}")[1])["done"]
    assert minute["ok"] + minute["ng"] > 0
    again = Board(lambda: station.loop.states, lambda: None, None, past=board._past)  # type: ignore[arg-type, return-value]
    counted = again.state(0)["sources"]
    assert counted[1]["hour"]["not_judged"] == len(frames("source=dark&most=100"))


class TestDoubt:
    def test_what_fits_is_not_said(self) -> None:
        assert doubt(Counts(990, 10, 0), 0.01) is None
        assert doubt(Counts(970, 30, 0), 0.02) is None
        assert doubt(Counts(2, 8, 0), 0.01) is None  # ten frames say nothing
        assert doubt(Counts(0, 500, 0), None) is None

    def test_what_does_not_fit_is(self) -> None:
        assert "80 % of the last hour anomalous" in str(doubt(Counts(100, 400, 0), 0.01))
        assert "at most 1 %" in str(doubt(Counts(100, 400, 0), 0.01))
        assert "100 % of the last hour could not be judged" in str(doubt(Counts(0, 0, 500), 0.01))

    def test_a_promise_that_is_kept_is_hardly_ever_doubted(self) -> None:
        alarms = np.random.default_rng(0).binomial(3600, 0.01, 100_000)
        assert sum(doubt(Counts(3600 - int(ng), int(ng), 0), 0.01) is not None for ng in alarms) == 0

    def test_an_hour_and_a_shift(self) -> None:
        tally = Tally()
        tally.fill([(0.0, 5, 1, 0), (7 * 3600.0, 3, 0, 2)])
        for _ in range(4):
            tally.add(8 * 3600.0 - 1, True, False)
        tally.add(8 * 3600.0 - 1, None, True)
        tally.add(8 * 3600.0 - 1, None, False)
        now = 8 * 3600.0
        assert tally.last(HOUR, now) == Counts(0, 4, 1)
        assert tally.last(SHIFT, now) == Counts(3, 4, 3)
