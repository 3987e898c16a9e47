"""Who asks: a token to look, a token to decide, and sessions by a cookie that outlives a restart."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from panda_edge.errors import PandaError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LOOK, DECIDE = "look", "decide"
_COOKIE = "panda_edge"
_SESSION = 30 * 86_400  # seconds
_OURS = frozenset({"localhost", "127.0.0.1", "::1"})
_LEAST = 16  # characters of a token
_MOST_NAME = 60


@dataclass(frozen=True)
class Visitor:
    """role: LOOK or DECIDE. name: as given at login, for the record of decisions; nobody checks it."""

    role: str
    name: str


@dataclass(frozen=True)
class Tokens:
    """decide: None serves those who come by a loopback name, and lets them decide. look: None where all may decide.
    secure: the page is served by TLS alone."""

    decide: str | None = None
    look: str | None = None
    secure: bool = False

    def check(self) -> None:
        """Raises PandaError: too short, or no use."""
        if self.look is not None and self.decide is None:
            raise PandaError("--look-token: --token is missing, without which nobody could decide")
        for option, token in (("--token", self.decide), ("--look-token", self.look)):
            if token is not None and len(token) < _LEAST:
                raise PandaError(f"{option}: at least {_LEAST} characters, such as `openssl rand -hex 16` prints")
        if self.look is not None and self.look == self.decide:
            raise PandaError("--look-token: the same as --token; give another one")

    def visitor(self, request: Request) -> Visitor | None:
        """Who asks, by the session's cookie or `Authorization: Bearer TOKEN`; None where that is not known."""
        if self.decide is None:
            # A page elsewhere may make its own name mean 127.0.0.1; it cannot make the browser say ours.
            return Visitor(DECIDE, "loopback") if _host(request) in _OURS else None
        role = self.role_of(request.headers.get("authorization", "").removeprefix("Bearer "))
        if role is not None:
            return Visitor(role, "bearer")
        return self._session(request.cookies.get(_COOKIE, ""))

    def role_of(self, given: str) -> str | None:
        """What a token allows."""
        for role, token in ((DECIDE, self.decide), (LOOK, self.look)):
            if token is not None and hmac.compare_digest(given.encode(errors="replace"), token.encode()):
                return role
        return None

    def greet(self, response: Response, role: str, name: str) -> None:
        """Begin a session: its cookie holds role, name and end, signed with the tokens, and none of the tokens."""
        shown = "".join(c for c in name if c.isprintable())[:_MOST_NAME] or "unnamed"
        told = json.dumps([role, shown, int(time.time()) + _SESSION]).encode()
        value = f"{base64.urlsafe_b64encode(told).decode()}.{self._signed(told)}"
        response.set_cookie(_COOKIE, value, httponly=True, samesite="strict", secure=self.secure, max_age=_SESSION)

    def _session(self, cookie: str) -> Visitor | None:
        encoded, _, signature = cookie.partition(".")
        try:
            told = base64.urlsafe_b64decode(encoded.encode())
        except ValueError:
            return None
        if not hmac.compare_digest(signature.encode(errors="replace"), self._signed(told).encode()):
            return None
        role, name, end = json.loads(told)  # ours, as it is signed
        return Visitor(role, name) if end > time.time() else None

    def _signed(self, told: bytes) -> str:
        # Of both tokens, so that changing either ends every session.
        key = hashlib.sha256(f"{self.decide}\0{self.look}".encode()).digest()
        return hmac.new(key, told, hashlib.sha256).hexdigest()


def foreign(request: Request) -> bool:
    """Whether another site's page may be behind a request that changes something."""
    # A form elsewhere cannot send the header; a script elsewhere must ask first, and is not allowed.
    elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    return elsewhere or request.headers.get("x-panda-edge") != "1"


def _host(request: Request) -> str | None:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return None
