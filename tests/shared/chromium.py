"""Chromium, in which tests look at our pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_LOCAL = ("http://127.0.0.1:", "file:", "data:", "blob:")


def chromium() -> str:
    """The program. Skips the test where none is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs a browser: apt-get install chromium")
    return found


@contextmanager
def browser_page(width: int, height: int) -> Iterator[Any]:
    """A page of Playwright's. At the end nothing must have gone wrong in it: exceptions, what its security policy
    refused, requests of addresses that are not this machine's."""
    reason = "needs a browser's driver: pip install playwright"
    playwright, program = pytest.importorskip("playwright.sync_api", reason=reason), chromium()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        wrong: list[str] = []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(_LOCAL) else wrong.append(asked.url))
        yield page
        browser.close()
    assert wrong == []
