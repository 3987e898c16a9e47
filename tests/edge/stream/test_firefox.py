"""The page in Firefox: labels, a try, applied and undone, as in Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from firefox import Firefox
from page_line import Line, until


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Firefox]:
    pytest.importorskip("websockets", reason="needs the protocol's carrier: pip install websockets")
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("needs a browser: apt-get install firefox-esr")
    opened = Firefox(program, tmp_path / "profile", 1400, 1000)
    yield opened
    opened.close()


def test_firefox_does_it(browser: Firefox, line: Line, good: Path, scratch: Path, tmp_path: Path) -> None:
    def holds(what: str) -> None:
        until(lambda: bool(browser.value(what)))

    for path, label in ((scratch, "defect"), (good, "normal")):
        assert "error" not in line.post(f"/label/{line.frame_of(path)}", label=label)
    browser.open(f"{line.address}/")
    holds("document.querySelector('#live .verdict.ng') !== null")
    holds("document.querySelectorAll('#chart canvas').length === 1")
    holds("document.querySelectorAll('#anomalies button:not(.labelled)').length > 0")
    browser.value("document.querySelector('#anomalies button:not(.labelled)').click()")
    holds("document.querySelector('#shown').open && document.querySelector('#picture').naturalWidth > 0")
    browser.value("document.querySelector('#label-unsure').click()")
    holds("document.querySelector('#labelled').textContent.startsWith('1 normal, 1 defect, 1 unsure')")
    browser.value("document.querySelector('#close').click()")
    browser.value("document.querySelector('#try').click()")
    holds("document.querySelector('#figures').textContent.includes('labelled defects found')")
    browser.screenshot(Path(os.environ.get("PANDA_SCREENSHOTS", tmp_path)) / "firefox.png")
    browser.value("document.querySelector('#apply').click()")
    until(lambda: line.last.get(good.name) is False)
    holds("!document.querySelector('#earlier').hidden")
    browser.value("document.querySelector('#back').click()")
    until(lambda: line.last.get(good.name) is True)
