"""Events to an HTTP address: one POST of JSON each."""

from __future__ import annotations

import http.client
import re
from collections.abc import Sequence
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Timer
from urllib.parse import urlsplit

from panda_edge.errors import PandaError
from panda_edge.stream.passwords import basic_authorization, without_password
from panda_edge.stream.sinks.spool import Event
from panda_edge.stream.started import start

_SECONDS = 10.0  # without a byte
_WHOLE_SECONDS = 30.0  # of a post and its answer
_MOST_ANSWER = 65_536  # bytes that are read of an answer; of a longer one the connection ends
_MAY_COME_RIGHT = frozenset({401, 403, 404, 408, 425, 429})  # of the refusals, those that are not about the event


class Webhook:
    """Posts events. Header `Idempotency-Key` is the event's id: a receiver that sees one twice may drop it."""

    def __init__(self, address: str) -> None:
        """address: http:// or https://. Raises PandaError."""
        try:
            parts = urlsplit(address)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            (parts.hostname or "").encode("idna")
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            usable = usable and re.fullmatch("[!-~]+", path) is not None
        except ValueError:
            usable = False
        if not usable:
            raise PandaError("--webhook: expected an address such as http://host:8080/path")
        self.name = f"webhook {without_password(address)}"
        self.refused = 0
        """Events that the receiver answered with 4xx, and that are not sent again."""
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = path
        self._headers = {"Content-Type": "application/json", "User-Agent": "panda-edge", **basic_authorization(parts)}
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
        # One that sends a byte now and then would be waited for without end.
        deadline = _Deadline(self._connection)
        ends = Timer(_WHOLE_SECONDS, deadline.end)
        start(ends)
        try:
            self._connection.request("POST", self._path, event.payload, {**self._headers, "Idempotency-Key": event.id})
            deadline.answering = self._connection.sock
            with self._connection.getresponse() as response:
                if len(response.read(_MOST_ANSWER + 1)) > _MOST_ANSWER or deadline.passed:
                    self.close()
                return response.status
        finally:
            ends.cancel()


class _Deadline:
    """Breaks a connection off under whoever waits for it."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self.answering: socket | None = None
        """Where the answer comes from: the connection lets go of it when the answer gives no length."""
        self.passed = False

    def end(self) -> None:
        self.passed = True  # first: whoever waits goes on at once
        for sock in (self._connection.sock, self.answering):
            with suppress(OSError):
                if sock is not None:
                    sock.shutdown(SHUT_RDWR)
