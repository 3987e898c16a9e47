"""The page's server: uvicorn in a thread of its own, loopback only unless a token guards it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any

from panda_edge.errors import PandaError
from panda_edge.stream.page.board import Board
from panda_edge.stream.sinks.metrics import host_and_port


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
        if not _loopback(host) and not token:
            raise PandaError(
                f"--http {address}: others could look and change the rate; give a token (--token, or "
                "PANDA_EDGE_TOKEN in the environment), or 127.0.0.1"
            )
        if token is not None and len(token) < 16:
            raise PandaError("--token: at least 16 characters, such as `openssl rand -hex 16` prints")
        uvicorn, make_app = _imported()
        self._socket = _bound(host, port, address)
        self.port = int(self._socket.getsockname()[1])
        app = make_app(board, set_fpr, metrics, token)
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bound(host: str, port: int, address: str) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(where)
            bound.listen(64)  # now, so that who asks at once waits instead of being refused
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise PandaError(f"--http {address}: cannot be served there ({error.strerror or error})") from error
    return bound


def _imported() -> tuple[Any, Any]:
    try:
        import uvicorn

        from panda_edge.stream.page.app import make_app
    except ImportError as error:
        raise PandaError("--http needs starlette and uvicorn: pip install 'panda-edge[serve]'") from error
    return uvicorn, make_app
