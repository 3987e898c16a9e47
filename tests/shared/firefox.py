"""Firefox by its own protocol, WebDriver BiDi: Playwright drives only a Firefox of its own, which cannot be had."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any


class Firefox:
    """A headless Firefox with one page open."""

    def __init__(self, program: str, profile: Path, width: int, height: int) -> None:
        from websockets.sync.client import connect

        profile.mkdir(parents=True, exist_ok=True)
        port_file = profile / "WebDriverBiDiServer.json"
        size = {"MOZ_HEADLESS_WIDTH": str(width), "MOZ_HEADLESS_HEIGHT": str(height)}
        self._process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(profile), **size},
        )
        self._open = ExitStack()
        try:
            end = time.monotonic() + 120
            while not port_file.exists():
                assert time.monotonic() < end, "Firefox does not listen"
                time.sleep(0.1)
            port = json.loads(port_file.read_text("utf-8"))["ws_port"]
            self._socket = self._open.enter_context(connect(f"ws://127.0.0.1:{port}/session", max_size=2**26))
            self._numbers = itertools.count(1)
            self._ask("session.new", capabilities={})
            (tree, *_) = self._ask("browsingContext.getTree")["contexts"]
            self._page = tree["context"]
        except BaseException:
            self._end()
            raise

    def open(self, address: str) -> None:
        self._ask("browsingContext.navigate", context=self._page, url=address, wait="complete")

    def value(self, expression: str) -> Any:
        """What an expression gives in the page: a string, a number or a truth value."""
        found = self._ask("script.evaluate", expression=expression, target={"context": self._page}, awaitPromise=True)
        assert found["type"] == "success", found
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        data = self._ask("browsingContext.captureScreenshot", context=self._page)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._end()

    def _end(self) -> None:
        self._open.close()
        self._process.kill()
        self._process.wait(20)

    def _ask(self, method: str, **given: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": given}))
        while True:
            answer = json.loads(self._socket.recv(timeout=240))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return dict(answer["result"])
