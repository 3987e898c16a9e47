"""The page of `watch`, asked as its script asks it. For tests, too."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


class PageClient:
    """A page that is served at an address, such as http://127.0.0.1:8080."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return json.loads(answer.read())

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """What the page answers; where it refuses, its `error`."""
        headers = {"X-Panda-Edge": "1", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.loads(error.read()))
