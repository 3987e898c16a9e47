"""Who comes in by a socket: few at a time, slowly, and none for long without a whole request. Judging goes first."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.stream.started import started
from panda_edge.system import keep_port

_PAUSE = 0.02  # seconds between two that are let in, so that a crowd costs little
_REQUEST_SECONDS = 5.0  # within which a whole request must have come, and after an answer the next one
_ANSWER_SECONDS = 30.0  # within which it must have been answered
_TURN = 0.5
_MOST_UNREAD = 64_000_000  # bytes of answers that visitors are slow to take, beyond which nobody is answered
_BACKLOG = 64


@dataclass
class _Visitor:
    connection: socket.socket
    transport: asyncio.BaseTransport
    until: float  # when it is sent away, by `time.monotonic()`
    since: float
    answered: bool = False  # at this moment

    @property
    def gone(self) -> bool:
        return self.connection.fileno() < 0


class Door:
    """Listens in a thread of its own, and gives each connection a protocol. When it is full, the one that has been
    without a request for longest makes room."""

    def __init__(
        self,
        address: tuple[str, int],
        option: str,
        most: int,
        protocol: Callable[[], asyncio.BaseProtocol],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """address: host and port; 0 takes a free one. most: connections at a time. option: whose address it is, for
        errors. tls: None serves without. Raises PandaError: the address is taken."""
        self._socket = _bound(*address, option)
        self._most = most
        self._protocol = protocol
        self._tls = tls
        self._greeting: set[asyncio.Task[None]] = set()  # those whose handshake is under way
        self._visitors: dict[Hashable, _Visitor] = {}
        self._ready, self._ended = Event(), Event()
        self.port = int(self._socket.getsockname()[1])
        try:
            self._thread = started(lambda: asyncio.run(self._serve()), option.strip("-"))
        except PandaError:
            self._socket.close()
            raise
        self._ready.wait()

    def close(self) -> None:
        if not self._ended.is_set():
            with suppress(RuntimeError):  # it ended in between
                self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(5)
        self._socket.close()

    @contextmanager
    def answering(self, client: Hashable) -> Iterator[bool]:
        """While a request that has come whole is answered. client: (address, port). False where that must not be:
        too much that others were answered has not been taken."""
        visitor = self._visitors.get(client)
        if visitor is not None:
            visitor.answered, visitor.until = True, time.monotonic() + _ANSWER_SECONDS
        try:
            yield sum(_unread(one) for one in self._visitors.values()) < _MOST_UNREAD
        finally:
            if visitor is not None:
                visitor.answered, visitor.since = False, time.monotonic()
                # What was answered must be taken, too, before the next request counts.
                visitor.until = visitor.since + (_ANSWER_SECONDS if _unread(visitor) else _REQUEST_SECONDS)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        # A connection that breaks is none of our defects, and thousands may.
        self._loop.set_exception_handler(lambda loop, context: None)
        self._ending = asyncio.Event()
        self._ready.set()
        work = [asyncio.create_task(self._let_in()), asyncio.create_task(self._send_away())]
        await self._ending.wait()
        for task in (*work, *self._greeting):
            task.cancel()
        for visitor in self._visitors.values():
            _abort(visitor)
        self._ended.set()

    async def _let_in(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                connection, peer = await self._loop.sock_accept(self._socket)
            except OSError:  # one that went again, or no descriptor is left
                await asyncio.sleep(_TURN)
                continue
            if not await self._has_room():
                connection.close()
                continue
            # In a task of its own: whoever is slow at the handshake keeps nobody else waiting.
            task = self._loop.create_task(self._greet(connection, peer))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)
            if self._tls is None:
                await task

    async def _greet(self, connection: socket.socket, peer: tuple[Any, ...]) -> None:
        seconds = None if self._tls is None else _REQUEST_SECONDS
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, ssl_handshake_timeout=seconds
            )
        except OSError:  # ssl's errors are some of them
            connection.close()
            return
        except asyncio.CancelledError:
            connection.close()
            raise
        now = time.monotonic()
        self._visitors[peer[:2]] = _Visitor(connection, transport, now + _REQUEST_SECONDS, now)

    async def _has_room(self) -> bool:
        """Send one away where it is full; False where every other is being answered."""
        self._forget()
        if len(self._visitors) + len(self._greeting) < self._most:
            return True
        waiting = [visitor for visitor in self._visitors.values() if not visitor.answered]
        if not waiting:
            return False
        _abort(min(waiting, key=lambda visitor: visitor.since))
        await asyncio.sleep(0)  # an aborted one is closed in the next turn
        self._forget()
        return True

    async def _send_away(self) -> None:
        while True:
            await asyncio.sleep(_TURN)
            self._forget()
            now = time.monotonic()
            for visitor in self._visitors.values():
                if now > visitor.until:
                    _abort(visitor)

    def _forget(self) -> None:
        self._visitors = {peer: visitor for peer, visitor in self._visitors.items() if not visitor.gone}


def _unread(visitor: _Visitor) -> int:
    transport: Any = visitor.transport
    try:
        return 0 if visitor.gone else int(transport.get_write_buffer_size())
    except AttributeError:  # asyncio's TLS, closed twice: it sends no more
        return 0


def _abort(visitor: _Visitor) -> None:
    transport: Any = visitor.transport
    transport.abort()


def _bound(host: str, port: int, option: str) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            keep_port(bound)
            bound.bind(where)
            bound.listen(_BACKLOG)
            bound.setblocking(False)
        except OSError:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise PandaError(f"{option} {host}:{port}: cannot be served there ({why}); give another address") from error
    return bound


def loopback(host: str) -> bool:
    """Whether only this machine's own programs can ask there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_and_port(given: str, option: str) -> tuple[str, int]:
    """`HOST:PORT` or `[HOST]:PORT`. Raises PandaError."""
    host, _, port = given.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536):
        raise PandaError(f"{option} {given}: expected HOST:PORT, such as 127.0.0.1:9090")
    return host.strip("[]"), int(port)
