"""The page's server: uvicorn's HTTP behind a door of ours, loopback only unless a token guards it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from panda_edge.errors import PandaError, missing
from panda_edge.stream.door import Door, host_and_port, loopback
from panda_edge.stream.page.board import Board

_MOST = 128  # connections: twenty browsers, six each
_MOST_HEADER = 16_384  # bytes of a request before its body


class PageServer:
    """Serves the page until it is closed."""

    def __init__(
        self,
        address: str,
        token: str | None,
        board: Board,
        set_fpr: Callable[[float], None],
        metrics: Callable[[], str],
    ) -> None:
        """address: HOST:PORT; port 0 takes a free one. Raises PandaError: taken, open to others without a token, or the
        extra is missing."""
        host, port = host_and_port(address, "--http")
        if not loopback(host) and not token:
            raise PandaError(
                f"--http {address}: others could look and change the rate; give a token (--token, or "
                "PANDA_EDGE_TOKEN in the environment), or 127.0.0.1"
            )
        if token is not None and len(token) < 16:
            raise PandaError("--token: at least 16 characters, such as `openssl rand -hex 16` prints")
        uvicorn, make_app = _imported()
        app = make_app(board, set_fpr, metrics, token)

        async def through_the_door(scope: Any, receive: Any, send: Any) -> None:
            with self._door.answering(scope["client"]) as may_be:
                if may_be:
                    await app(scope, receive, send)
                else:
                    headers = [(b"connection", b"close"), (b"content-length", b"0")]
                    await send({"type": "http.response.start", "status": 503, "headers": headers})
                    await send({"type": "http.response.body"})

        config = uvicorn.Config(
            through_the_door,
            http="h11",
            ws="none",
            log_level="critical",
            access_log=False,
            h11_max_incomplete_event_size=_MOST_HEADER,
        )
        config.load()
        state = uvicorn.server.ServerState()

        def protocol() -> asyncio.BaseProtocol:
            made: asyncio.BaseProtocol = config.http_protocol_class(config=config, server_state=state, app_state={})
            return made

        self._door = Door((host, port), "--http", _MOST, protocol)
        self.port = self._door.port

    def close(self) -> None:
        self._door.close()


def _imported() -> tuple[Any, Any]:
    try:
        import uvicorn
        import uvicorn.server

        from panda_edge.stream.page.app import make_app
    except ImportError as error:
        raise missing("--http needs starlette and uvicorn", "serve") from error
    return uvicorn, make_app
