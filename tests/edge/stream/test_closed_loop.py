"""From a label to a better bundle, by the page's addresses; and in a browser."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from chromium import browser_page
from command_line import Run
from page_line import Line, until
from panda_edge.detector import load
from panda_edge.errors import PandaError
from panda_edge.stream.bundles.request import opened_request
from panda_edge.stream.history.reader import HistoryReader
from panda_edge.stream.sinks.open import SinkOptions


def test_a_false_alarm_joins_and_goes_again(line: Line, good: Path, scratch: Path, parts: Path, run: Run) -> None:
    before = load(parts).bundle.manifest.identity
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
    assert load(parts).bundle.manifest.identity == before  # nothing has changed yet
    done = line.post("/bundle/apply")["done"]
    assert done["pictures"] == 1
    until(lambda: line.last.get(good.name) is False)
    assert line.last[scratch.name] is True
    assert "in the bundle" in line.post(f"/label/{identity}", label="defect")["error"]
    listed = run("extend", parts, "--list", "--json").lines
    assert [one["name"].partition("_")[0] for one in listed] == [identity]
    # And back.
    assert line.post("/bundle/undo")["done"]["bundle"] == before
    until(lambda: line.last.get(good.name) is True)
    assert line.better()["labels"] == {"normal": 1, "defect": 1, "unsure": 0, "joined": 0}
    line.post("/bundle/find")
    finds = line.settled()["finds"]
    assert (finds["pictures"], round(finds["rate"] * 13)) == (1, 1)
    until(lambda: len(list(HistoryReader(parts.parent / "found").decisions())) == 6)
    actions = [one["action"] for one in HistoryReader(parts.parent / "found").decisions()]
    assert actions == ["label", "label", "undo label", "label", "apply bundle", "undo bundle"]


def test_a_request_is_read_by_the_workstation(
    line: Line, good: Path, scratch: Path, parts: Path, tmp_path: Path, run: Run
) -> None:
    assert "label some first" in line.post("/bundle/request")["error"]
    line.post(f"/label/{line.frame_of(scratch)}", label="defect")
    line.post(f"/label/{line.frame_of(good)}", label="normal")
    assert line.post("/bundle/request")["done"] == "request.zip"
    with urllib.request.urlopen(f"{line.address}/request.zip", timeout=60) as answer:
        (tmp_path / "request.zip").write_bytes(answer.read())
    done = run("extend", parts, "--request", tmp_path / "request.zip", "--out", tmp_path / "next.panda", "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.report["added"], done.report["after"]["judged"]) == (1, {"new": 1, "normal": 0, "defects": 1})


def test_a_signed_line_takes_none_of_ours(parts: Path, good: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        options = SinkOptions(save=tmp_path / "found", http="127.0.0.1:0", jsonl=str(tmp_path / "l"),
                              require_signature="RWQ")  # fmt: skip
        line = Line(parts, [good], options, stack)
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
    shots = Path(os.environ.get("PANDA_SCREENSHOTS", tmp_path))
    for path in (good, scratch):
        line.frame_of(path)
    with browser_page(1400, 1000) as page:
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
        holds("document.querySelector('#labelled').textContent.startsWith('1 normal, 1 defect')")
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


def serious(page: Any) -> list[str]:
    """What axe-core finds serious or critical; nothing where it is not installed."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        return []
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:90]}" for one in found if one["impact"] in ("serious", "critical")]
