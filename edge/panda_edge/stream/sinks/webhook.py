"""Events to an HTTP address: one POST of JSON each."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.sinks.spool import Event
from panda_edge.stream.sources.address import without_password

_SECONDS = 10.0
_MAY_COME_RIGHT = frozenset({401, 403, 404, 408, 425, 429})  # of the refusals, those that are not about the event


class Webhook:
    """Posts events. Header `Idempotency-Key` is the event's id: a receiver that sees one twice may drop it."""

    def __init__(self, address: str) -> None:
        """address: http:// or https://. Raises PandaError."""
        try:
            parts = urlsplit(address)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise PandaError("--webhook: expected an address such as http://host:8080/path")
        self.name = f"webhook {without_password(address)}"
        self.refused = 0
        """Events that the receiver answered with 4xx, and that are not sent again."""
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, events: Sequence[Event]) -> None:
        """Post each event; those that were posted before one failed are posted again. Raises OSError, PandaError."""
        for event in events:
            try:
                status = self._post(event)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise PandaError(f"{self.name}: {str(error) or type(error).__name__}") from error
            if 400 <= status < 500 and status not in _MAY_COME_RIGHT:
                self.refused += 1
            elif not 200 <= status < 300:
                self.close()
                raise PandaError(f"{self.name}: answers {status}")

    def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None

    def _post(self, event: Event) -> int:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=_SECONDS)
        headers = {"Content-Type": "application/json", "Idempotency-Key": event.id, "User-Agent": "panda-edge"}
        self._connection.request("POST", self._path, event.payload, headers)
        with self._connection.getresponse() as response:
            response.read()
            return response.status
