"""The page: who may see it, and a real browser that watches, clicks and changes the rate."""

from __future__ import annotations

import json
import os
import re
import shutil
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

from panda_edge.decide.drift import DriftMartingale
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.stream.drift import Found, SourceDrift, Start
from panda_edge.stream.loop import Loop, LoopOptions
from panda_edge.stream.page.board import Board

TOKEN = "a-token-of-sixteen-and-more"


@pytest.fixture
def make_page() -> Iterator[Callable[..., Any]]:
    pytest.importorskip("starlette", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    from panda_edge.stream.page.server import PageServer

    opened = []

    def make(board: Board, set_fpr: Callable[[float], None] = print, token: str | None = None) -> Any:
        opened.append(PageServer("127.0.0.1:0", token, board, set_fpr, lambda: "panda_edge_x 1\n"))
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
    assert ask(page, "/normal/x", b"{}", X_Panda_Edge="1")[0] == 400


def test_a_token_guards_everything(make_page: Callable[..., Any], board: Board) -> None:
    page = make_page(board, token=TOKEN)
    for path in ("/", "/state", "/live/0.jpg", "/metrics", "/page.js"):
        assert ask(page, path)[0] == 401
        assert ask(page, f"{path}?token=wrong")[0] == 401
    assert ask(page, "/state", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(page, "/state", Cookie=f"panda_edge={TOKEN}", Host="device.local")[0] == 200


def test_others_need_a_token(board: Board) -> None:
    pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    from panda_edge.stream.page.server import PageServer

    for address in ("0.0.0.0:0", "192.0.2.1:80", "device.local:80"):
        with pytest.raises(PandaError, match="give a token"):
            PageServer(address, None, board, print, str)
    with pytest.raises(PandaError, match="16 characters"):
        PageServer("127.0.0.1:0", "short", board, print, str)
    with pytest.raises(PandaError, match="HOST:PORT"):
        PageServer("8080", None, board, print, str)


def test_nothing_comes_from_elsewhere() -> None:
    folder = Path(__file__).parents[3] / "edge" / "panda_edge" / "stream" / "page"
    for name in ("page.html", "page.js", "page.css"):
        assert not re.search(r"https?:|//[a-z]+\.", (folder / name).read_text(encoding="utf-8")), name


def until(page: Any, holds: str) -> None:
    """Wait for something in the page. (Playwright's own way needs eval, which the page's policy forbids.)"""
    end = time.monotonic() + 60
    while not page.evaluate(holds):
        assert time.monotonic() < end, holds
        page.wait_for_timeout(100)


class Moving:
    """A camera: blocks of all colours, others each time."""

    name, live, endless = "camera", True, True

    def pictures(self, stop: threading.Event) -> Iterator[Any]:
        from panda_edge.images.reading import OpenedImage
        from panda_edge.stream.frame import Picture

        random = np.random.default_rng(0)
        while not stop.wait(0.1):
            blocks = Image.fromarray(random.integers(40, 200, (12, 16, 3), dtype=np.uint8))
            image = blocks.resize((320, 240), Image.Resampling.NEAREST)
            yield Picture(OpenedImage(image, image.size), time.monotonic())


def test_a_browser_watches(make_page: Callable[..., Any], bundle_path: Path, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: apt-get install chromium")
    loop = Loop(lambda: load(bundle_path, threads=1, fpr=0.9), [Moving()], LoopOptions())
    segmentation = loop.detector.bundle.manifest.segmentation
    drift = SourceDrift(DriftMartingale(np.arange(9.0)), found=Found("more", Start(0.0, 7, "run-7"), 99))
    board = Board(lambda: loop.states, lambda: segmentation, tmp_path / "normal", lambda: {"camera": drift})

    def run() -> None:
        for outcome in loop.outcomes():
            board.outcome(outcome)

    thread = threading.Thread(target=run)
    thread.start()
    page_server = make_page(board, loop.set_fpr)
    shots = Path(os.environ.get("PANDA_SCREENSHOTS", tmp_path))
    try:
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1200, "height": 800})
            page.set_default_timeout(60_000)
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda request: wrong.append(request.url) if "127.0.0.1" not in request.url else None)
            page.goto(f"http://127.0.0.1:{page_server.port}/")
            live = page.locator("#live img")
            until(page, "document.querySelector('#live img')?.naturalWidth > 0")
            until(page, "document.querySelector('#sources').textContent.includes('more anomalies since 1970')")
            first = live.get_attribute("src")
            until(page, f"document.querySelector('#live img').getAttribute('src') !== {json.dumps(first)}")
            page.locator("#anomalies button").first.click()
            until(page, "document.querySelector('#picture').naturalWidth === 320")
            page.screenshot(path=str(shots / "anomaly.png"))
            page.locator("#normal").click()
            until(page, "document.querySelector('#about').textContent.startsWith('kept as')")
            page.locator("#close").click()
            page.locator("#fpr").fill("0.3")
            page.locator("#rate button").click()
            until(page, "fetch('/state').then(a => a.json()).then(s => s.fpr === 0.3)")
            page.screenshot(path=str(shots / "page.png"))
            page.set_viewport_size({"width": 390, "height": 844})
            page.wait_for_timeout(700)
            assert page.evaluate("document.documentElement.scrollWidth <= 390")  # a phone need not scroll sideways
            page.screenshot(path=str(shots / "phone.png"))
            browser.close()
    finally:
        loop.stop()
        thread.join(20)
    assert wrong == []
    (kept,) = (tmp_path / "normal").iterdir()
    with Image.open(kept) as image:
        assert image.size == (320, 240)
