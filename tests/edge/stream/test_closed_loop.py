"""From a label to a better bundle, by the page's addresses; and in a browser."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from command_line import Run
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.images.reading import OpenedImage
from panda_edge.stream.bundles.request import opened_request
from panda_edge.stream.frame import Notice, Picture
from panda_edge.stream.frame_options import FrameOptions
from panda_edge.stream.history.reader import HistoryReader
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


class Line:
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
        self.address = f"http://127.0.0.1:{self.notice('page').text.rpartition(' ')[2]}"
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

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return json.loads(answer.read())

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), {"X-Panda-Edge": "1"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.loads(error.read()))

    def better(self) -> dict[str, Any]:
        return dict(self.ask("/state")["better"])

    def settled(self) -> dict[str, Any]:
        """The better bundle's state once nothing is being tried."""
        until(lambda: not self.better()["job"]["running"])
        return self.better()

    def frame_of(self, path: Path) -> str:
        """A frame that shows a picture, to be reviewed."""
        until(lambda: any(one["where"] == path.name for one in self.ask("/frames?label=none&most=100")["done"]))
        found = self.ask("/frames?label=none&most=100&order=worst")["done"]
        return str(next(one["id"] for one in found if one["where"] == path.name))


def until(holds: Callable[[], bool], within: float = 120.0) -> None:
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)


@pytest.fixture
def bundle(calibrated_bundles: dict[str, Path], tmp_path: Path) -> Path:
    pytest.importorskip("starlette", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
    return Path(shutil.copytree(calibrated_bundles["exact"], tmp_path / "parts.panda"))


@pytest.fixture
def good(sample_data: Path) -> Path:
    return sample_data / "test" / "good" / "gravel-000.png"


@pytest.fixture
def scratch(sample_data: Path) -> Path:
    return sample_data / "test" / "scratch" / "grass-000.png"


@pytest.fixture
def line(bundle: Path, good: Path, scratch: Path, tmp_path: Path) -> Iterator[Line]:
    with ExitStack() as stack:
        options = SinkOptions(save=tmp_path / "found", http="127.0.0.1:0", jsonl=str(tmp_path / "lines"))
        yield Line(bundle, [good, scratch], options, stack)


def test_a_false_alarm_joins_and_goes_again(line: Line, good: Path, scratch: Path, bundle: Path, run: Run) -> None:
    before = load(bundle).bundle.manifest.identity
    assert "error" in line.post("/bundle/try")  # nothing is labelled
    assert "error" in line.post("/bundle/apply")
    assert "error" in line.post("/bundle/undo")
    assert line.post(f"/label/{line.frame_of(scratch)}", label="defect") == {
        "done": {"before": None, "label": "defect"}
    }
    identity = line.frame_of(good)
    assert line.post(f"/label/{identity}", label="unsure")["done"]["label"] == "unsure"
    assert line.post(f"/label/{identity}/undo")["done"] == {"before": "unsure", "label": None}
    line.post(f"/label/{identity}", label="normal")
    assert [one["id"] for one in line.ask("/frames?label=normal")["done"]] == [identity]
    assert line.post("/bundle/try")["done"] == 1
    refused = [line.post(f"/bundle/{name}").get("error", "") for name in ("try", "apply", "undo", "find")]
    assert all("already" in one for one in refused) or not line.better()["job"]["running"]  # one at a time
    better = line.settled()
    tried = better["tried"]
    assert better["job"]["error"] is None
    assert (tried["before"]["alarms"], tried["after"]["alarms"]["new"]) == (
        {"new": 1, "normal": 0, "defects": 1, "kept": tried["before"]["alarms"]["kept"]}, 0,
    )  # fmt: skip
    assert tried["after"]["train_images"] == 13
    assert load(bundle).bundle.manifest.identity == before  # nothing has changed yet
    done = line.post("/bundle/apply")["done"]
    assert done["pictures"] == 1
    until(lambda: line.last.get(good.name) is False)
    assert line.last[scratch.name] is True
    assert "in the bundle" in line.post(f"/label/{identity}", label="defect")["error"]
    listed = run("extend", bundle, "--list", "--json").lines
    assert [one["name"].partition("_")[0] for one in listed] == [identity]
    # And back.
    assert line.post("/bundle/undo")["done"]["bundle"] == before
    until(lambda: line.last.get(good.name) is True)
    assert line.better()["labels"] == {"normal": 1, "defect": 1, "unsure": 0, "joined": 0}
    line.post("/bundle/find")
    finds = line.settled()["finds"]
    assert (finds["pictures"], round(finds["rate"] * 13)) == (1, 1)
    until(lambda: len(list(HistoryReader(bundle.parent / "found").decisions())) == 6)
    actions = [one["action"] for one in HistoryReader(bundle.parent / "found").decisions()]
    assert actions == ["label", "label", "undo label", "label", "apply bundle", "undo bundle"]


def test_a_request_is_read_by_the_workstation(
    line: Line, good: Path, scratch: Path, bundle: Path, tmp_path: Path, run: Run
) -> None:
    assert "label some first" in line.post("/bundle/request")["error"]
    line.post(f"/label/{line.frame_of(scratch)}", label="defect")
    line.post(f"/label/{line.frame_of(good)}", label="normal")
    assert line.post("/bundle/request")["done"] == "request.zip"
    with urllib.request.urlopen(f"{line.address}/request.zip", timeout=60) as answer:
        (tmp_path / "request.zip").write_bytes(answer.read())
    done = run("extend", bundle, "--request", tmp_path / "request.zip", "--out", tmp_path / "next.panda", "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.report["added"], done.report["after"]["judged"]) == (1, {"new": 1, "normal": 0, "defects": 1})


def test_a_signed_line_takes_none_of_ours(bundle: Path, good: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        options = SinkOptions(save=tmp_path / "found", http="127.0.0.1:0", jsonl=str(tmp_path / "l"),
                              require_signature="RWQ")  # fmt: skip
        line = Line(bundle, [good], options, stack)
        assert line.better()["applies"] is False
        assert "signed" in line.post("/bundle/apply")["error"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.txt": b""}, "no labelled picture"),
        ({"test/good/../../x.png": b""}, "no labelled picture"),
        ({"/test/good/x.png": b""}, "no labelled picture"),
        ({"test/good/a.png": b""}, "not a request"),
        ({"request.json": b"[]"}, "request.json"),
        ({"request.json": b'{"bundle": "x", "identity": "y", "who": "z", "add": ["../a.png"]}'}, "not in it"),
        (None, "not a request"),
    ],
)
def test_a_request_that_is_none_is_refused(tmp_path: Path, files: dict[str, bytes] | None, why: str) -> None:
    path = tmp_path / "r.zip"
    if files is None:
        path.write_bytes(b"PK no zip")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    with pytest.raises(PandaError, match=why), opened_request(path):
        pass
    assert not list(tmp_path.glob("x.png"))


def test_the_browser_does_it(line: Line, good: Path, scratch: Path, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a browser: apt-get install chromium")
    shots = Path(os.environ.get("PANDA_SCREENSHOTS", tmp_path))
    for path in (good, scratch):
        line.frame_of(path)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        page.goto(f"{line.address}/")

        def holds(what: str) -> None:
            until(lambda: bool(page.evaluate(what)))

        holds("!document.querySelector('#by-label').hidden")
        page.locator("#only").select_option("label:none")
        holds("document.querySelectorAll('#anomalies button img').length > 1")
        for name, key in ((scratch.name, "d"), (good.name, "n")):
            page.locator("#anomalies button").first.click()
            for _ in range(30):
                if name in page.locator("#about").inner_text():
                    break
                page.keyboard.press("ArrowRight")
            assert name in page.locator("#about").inner_text()
            page.keyboard.press(key)
            holds("document.querySelector('#said').textContent.includes('labelled')")
            page.screenshot(path=str(shots / f"label-{key}.png"))
            page.keyboard.press("Escape")
        holds("document.querySelector('#labelled').textContent.startsWith('1 normal, 1 defects')")
        page.locator("#try").click()
        holds("document.querySelector('#job').textContent.startsWith('Trying')")
        page.screenshot(path=str(shots / "trying.png"), full_page=True)
        holds("document.querySelector('#figures').textContent.includes('labelled defects found')")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for name, width, height in (("desk", 1400, 1000), ("phone", 390, 844), ("wall", 1920, 1080)):
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(500)
                assert page.evaluate(f"document.documentElement.scrollWidth <= {width}"), name
                page.screenshot(path=str(shots / f"better-{name}-{scheme}.png"), full_page=True)
            assert serious(page) == []
        page.set_viewport_size({"width": 1400, "height": 1000})
        page.locator("#apply").click()
        until(lambda: line.last.get(good.name) is False)
        holds("!document.querySelector('#earlier').hidden")
        page.screenshot(path=str(shots / "applied.png"), full_page=True)
        page.locator("#back").click()
        until(lambda: line.last.get(good.name) is True)
        browser.close()
    assert wrong == []


def serious(page: Any) -> list[str]:
    """What axe-core finds serious or critical; nothing where it is not installed."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        return []
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:90]}" for one in found if one["impact"] in ("serious", "critical")]
