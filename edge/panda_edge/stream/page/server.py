"""The page's server: uvicorn's HTTP behind a door of ours, loopback only unless a token guards it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panda_edge.errors import PandaError, missing
from panda_edge.stream.door import Door, host_and_port, loopback
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.visitors import Tokens
from panda_edge.stream.why import why

_MOST = 128  # connections: twenty browsers, six each
_MOST_HEADER = 16_384  # bytes of a request before its body


class PageServer:
    """Serves the page until it is closed."""

    def __init__(
        self,
        address: str,
        tokens: Tokens,
        decisions: Decisions,
        metrics: Callable[[], str],
        tls: Tls | None = None,
    ) -> None:
        """address: HOST:PORT; port 0 takes a free one. decisions: with the board that is shown. Raises
        PandaError: taken, open to others without a token, a certificate that cannot be used, the extra is missing."""
        host, port = host_and_port(address, "--http")
        if not loopback(host) and not tokens.decide:
            raise PandaError(
                f"--http {address}: others could look and change the rate; give a token (--token, or "
                "PANDA_EDGE_TOKEN in the environment), or 127.0.0.1"
            )
        tokens.check()
        context = None if tls is None else tls.context()
        uvicorn, make_app = _imported()
        app = make_app(decisions, metrics, tokens)

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

        self._door = Door((host, port), "--http", _MOST, protocol, context)
        self.port = self._door.port

    def close(self) -> None:
        self._door.close()


@dataclass(frozen=True)
class Tls:
    """A certificate with its chain, and its key, as PEM files."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Raises PandaError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (OSError, ValueError) as error:
            raise PandaError(
                f"--tls-cert {self.certificate} --tls-key {self.key}: cannot be used ({why(error)}); expected PEM "
                "files that belong together, the key without a password"
            ) from error
        return context


def _imported() -> tuple[Any, Any]:
    try:
        import uvicorn
        import uvicorn.server

        from panda_edge.stream.page.app import make_app
    except ImportError as error:
        raise missing("--http needs starlette and uvicorn", "serve") from error
    return uvicorn, make_app
