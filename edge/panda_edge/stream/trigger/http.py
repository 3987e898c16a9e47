"""Triggers by HTTP: POST, and the answer holds the verdict."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.stream.door import Door
from panda_edge.stream.frame import Outcome
from panda_edge.stream.trigger.answer import answer_of
from panda_edge.stream.trigger.triggers import Answer

_MOST = 32  # connections at a time
_MOST_REQUEST = 8192  # bytes
_REASONS = {200: "OK", 401: "Unauthorized", 403: "Forbidden", 405: "Method Not Allowed", 413: "Content Too Large",
            503: "Service Unavailable", 504: "Gateway Timeout"}  # fmt: skip


class HttpTrigger:
    """POST to any path takes a picture; 200 brings `answer_of` as JSON, 504 where a source did not answer in time."""

    def __init__(self, host: str, port: int, token: str | None, fire: Callable[[Answer], None]) -> None:
        """token: that others than loopback must bring as `Authorization: Bearer`. Raises PandaError."""
        self._door = Door((host, port), "--trigger", _MOST, lambda: _Caller(self._answering, token, fire))
        self.port = self._door.port

    def close(self) -> None:
        self._door.close()

    def _answering(self, peer: Any) -> Any:
        return self._door.answering(peer)


class _Caller(asyncio.Protocol):
    """One connection, kept for the next call."""

    def __init__(self, answering: Callable[[Any], Any], token: str | None, fire: Callable[[Answer], None]) -> None:
        self._answering = answering
        self._token = token
        self._fire = fire
        self._request = b""
        self._busy: ExitStack | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, error: Exception | None) -> None:
        if self._busy is not None:
            self._busy.close()

    def data_received(self, data: bytes) -> None:
        self._request += data
        if len(self._request) > _MOST_REQUEST:
            self._answer(413, {"error": "too long a request"}, last=True)
        elif self._busy is None:
            self._next()

    def _next(self) -> None:
        head, end, rest = self._request.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = headers.get("content-length", "0")
        if not re.fullmatch(r"\d{1,5}", length) or "transfer-encoding" in headers:
            self._answer(413, {"error": "expected a short body with its length, or none"}, last=True)
            return
        if len(rest) < int(length):
            return
        self._request = rest[int(length) :]
        refusal = self._refusal(lines[0].partition(" ")[0], headers)
        if refusal is not None:
            self._answer(*refusal, last=True)
            return
        self._busy = ExitStack()
        if not self._busy.enter_context(self._answering(self._transport.get_extra_info("peername")[:2])):
            self._answer(503, {"error": "too many unread answers"}, last=True)
            return
        self._fire(self._threadsafe)

    def _refusal(self, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str]] | None:
        if method != "POST":
            return 405, {"error": "POST asks for a picture"}
        if "origin" in headers:  # a page somewhere, in a browser here
            return 403, {"error": "browsers are not answered"}
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._token is not None and not hmac.compare_digest(bearer.encode(), self._token.encode()):
            return 401, {"error": "a token is needed: Authorization: Bearer …"}
        return None

    def _threadsafe(self, outcomes: list[Outcome | None]) -> None:
        with suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._answer, 200 if all(outcomes) else 504, answer_of(outcomes))

    def _answer(self, status: int, value: dict[str, Any], last: bool = False) -> None:
        body = json.dumps(value).encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        self._transport.write(f"{head}Connection: {'close' if last else 'keep-alive'}\r\n\r\n".encode() + body)
        if self._busy is not None:
            self._busy.close()
            self._busy = None
        if last:
            self._transport.close()
        elif self._request:
            self._next()


def token_for(host: str, loopback: bool, token: str | None) -> str | None:
    """The token that callers need. Raises PandaError: others could call, and none was given."""
    if loopback:
        return token
    if not token or len(token) < 16:
        raise PandaError(
            f"--trigger http://{host}: others could call; give a token of at least 16 characters (--token, or "
            "PANDA_EDGE_TOKEN in the environment), or 127.0.0.1"
        )
    return token
