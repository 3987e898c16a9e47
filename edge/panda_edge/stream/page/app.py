"""The page's addresses, and who may ask."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from panda_edge.errors import PandaError
from panda_edge.images.labelled import LABELS
from panda_edge.stream.bundles.better import REQUEST
from panda_edge.stream.history.reader import VERDICTS, Wanted
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.past import MOST
from panda_edge.stream.page.visitors import DECIDE, Tokens, Visitor, foreign
from panda_edge.stream.sinks.jsonl import json_bytes
from panda_edge.stream.sinks.metrics import CONTENT_TYPE

_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_FILES = {
    "/": "page.html",
    **{
        f"/{name}": name
        for name in ("page.js", "chart.js", "gallery.js", "better.js", "words.js", "page.css", "uplot.js", "uplot.css")
    },
}
_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# A picture of an anomaly never changes; a browser that has it need not have it drawn again.
_FOR_GOOD = {"Cache-Control": "private, max-age=86400, immutable"}
# Who is refused comes again through the door, where it is not let in often.
_LAST = {"Connection": "close"}
_MOST_BODY = 4096  # bytes
_FOUND_PAUSE = 0.25  # seconds for which what was found in files serves everyone
_NOTHING_FOUND: tuple[float, dict[str, Any] | None] = (float("-inf"), None)

Answer = Callable[[Request], Awaitable[Response]]


class _Answers:
    """What the page's addresses answer, an async method each: Request → Response."""

    def __init__(self, decisions: Decisions, metrics: Callable[[], str]) -> None:
        self._board, self._decisions, self._metrics = decisions.board, decisions, metrics
        self._found = _NOTHING_FOUND
        self._drawing: dict[int, asyncio.Task[None]] = {}
        self._bundle: dict[str, Callable[[Visitor, dict[str, Any]], Any]] = {
            "try": lambda visitor, body: decisions.attempt(visitor),
            "stop": lambda visitor, body: decisions.stop(visitor),
            "apply": lambda visitor, body: decisions.apply(visitor, body.get("sure") is True),
            "undo": lambda visitor, body: decisions.undo_bundle(visitor),
            "find": lambda visitor, body: decisions.find_all(visitor),
            "request": lambda visitor, body: decisions.request(visitor),
        }

    def routes(self) -> list[Route]:
        """Every address, what answers it, and by which method."""
        return [
            *(_route(path, self.file) for path in _FILES),
            _route("/state", self.state),
            _route("/live/{source}.jpg", self.live),
            _route("/anomaly/{identity}.jpg", self.anomaly),
            _route("/anomaly/{identity}/small.jpg", self.small),
            _route("/label/{identity}", self.label, "POST"),
            _route("/label/{identity}/undo", self.undo_label, "POST"),
            *(_route(f"/bundle/{name}", self.bundle, "POST") for name in self._bundle),
            _route("/request.zip", self.request),
            _route("/frames", self.frames),
            _route("/frame/{identity}", self.frame),
            _route("/minutes", self.minutes),
            _route("/fpr", self.fpr, "POST"),
            _route("/metrics", self.counters),
        ]

    async def file(self, request: Request) -> Response:
        path = _HERE / _FILES[request.url.path]
        return Response(path.read_bytes(), media_type=f"{_KINDS[path.suffix]}; charset=utf-8")

    async def state(self, request: Request) -> Response:
        visitor = request.scope["visitor"]
        may = {"may_decide": visitor.role == DECIDE, "visitor": visitor.name}
        better = await self._better()
        return _json({**self._board.state(_number(request.query_params.get("since", ""))), **may, "better": better})

    async def _better(self) -> dict[str, Any] | None:
        """What may be made of labels. It is looked for in files, and found for all browsers at once."""
        better, (at, state) = self._decisions.better, self._found
        if better is not None and time.monotonic() - at > _FOUND_PAUSE:
            state = await run_in_threadpool(better.state)
            self._found = time.monotonic(), state
        return state

    async def _decided(self, request: Request, what: Callable[[dict[str, Any]], Any]) -> Response:
        answer = await _told(request, what)
        self._found = _NOTHING_FOUND  # who has decided sees at once what came of it
        return answer

    async def frames(self, request: Request) -> Response:
        asked = request.query_params
        verdict = asked.get("verdict")
        wanted = Wanted(
            asked.get("source"),
            verdict if verdict in VERDICTS else None,
            _seconds(asked.get("since")),
            _seconds(asked.get("until")),
        )
        most, skip = min(_number(asked.get("most", ""), 30), MOST), _number(asked.get("skip", ""))
        worst_first, label = asked.get("order") == "worst", asked.get("label", "")
        if label in LABELS:
            return await _done(lambda: self._board.labelled(label, most, skip))
        if label == "none":
            return await _done(lambda: self._board.to_review(wanted.source, most, worst_first, skip))
        return await _done(lambda: self._board.frames(wanted, most, worst_first, skip))

    async def frame(self, request: Request) -> Response:
        return await _done(lambda: self._board.frame(request.path_params["identity"]))

    async def minutes(self, request: Request) -> Response:
        asked = request.query_params
        source, now = _number(asked.get("source", ""), -1), time.time()
        since, until = _seconds(asked.get("since")) or now - 3600, _seconds(asked.get("until")) or now
        return await _done(lambda: self._board.minutes(source, since, until))

    async def live(self, request: Request) -> Response:
        source = _number(request.path_params["source"], -1)
        number = self._board.live_number(source, request.url.query)
        if number is None:
            return _picture(None)
        for _ in range(2):  # one that is being drawn already may be of a frame before
            if (data := self._board.live(source, number)) is not None:
                return _picture(data)
            await self._drawn(source)
        return _picture(self._board.live(source, 0))

    async def _drawn(self, source: int) -> None:
        """Wait until a source's picture is drawn anew, once for everyone who waits."""
        if source not in self._drawing:
            self._drawing[source] = asyncio.create_task(self._draw(source))
            self._drawing[source].add_done_callback(lambda task: self._drawing.pop(source))
        await asyncio.shield(self._drawing[source])

    async def _draw(self, source: int) -> None:
        await asyncio.sleep(self._board.live_pause(source))
        await run_in_threadpool(self._board.draw_live, source)

    async def anomaly(self, request: Request) -> Response:
        plain = "plain" in request.query_params
        return _picture(await run_in_threadpool(self._board.anomaly, request.path_params["identity"], plain), _FOR_GOOD)

    async def small(self, request: Request) -> Response:
        return _picture(await run_in_threadpool(self._board.small_anomaly, request.path_params["identity"]), _FOR_GOOD)

    async def label(self, request: Request) -> Response:
        visitor, identity = request.scope["visitor"], request.path_params["identity"]
        return await self._decided(request, lambda body: self._decisions.label(visitor, identity, str(body["label"])))

    async def undo_label(self, request: Request) -> Response:
        visitor, identity = request.scope["visitor"], request.path_params["identity"]
        return await self._decided(request, lambda body: self._decisions.undo_label(visitor, identity))

    async def bundle(self, request: Request) -> Response:
        does = self._bundle[request.url.path.rpartition("/")[2]]
        return await self._decided(request, lambda body: does(request.scope["visitor"], body))

    async def request(self, request: Request) -> Response:
        better = self._decisions.better
        path = None if better is None else better.labels.folder / REQUEST
        if path is None or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, media_type="application/zip", filename=REQUEST)

    async def fpr(self, request: Request) -> Response:
        return await _told(request, lambda body: self._decisions.rate(request.scope["visitor"], float(body["fpr"])))

    async def counters(self, request: Request) -> Response:
        return PlainTextResponse(self._metrics(), media_type=CONTENT_TYPE)


def _route(path: str, answer: Answer, method: str = "GET") -> Route:
    async def guarded(request: Request) -> Response:
        response = await answer(request)
        response.headers.update({**_HEADERS, **response.headers})
        return response

    return Route(path, guarded, methods=[method])


def make_app(decisions: Decisions, metrics: Callable[[], str], tokens: Tokens) -> ASGIApp:
    """The ASGI application: who is let in is answered by the page."""
    page = Starlette(routes=_Answers(decisions, metrics).routes())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer: Response | None
        if request.url.path == "/login" and request.method == "POST" and tokens.decide is not None:
            answer = await _login(request, tokens)
        else:
            answer = _refusal(request, tokens)
        if answer is None:
            await page(scope, receive, send)
        else:
            answer.headers.update({**_HEADERS, **answer.headers})
            await answer(scope, receive, send)

    return app


def _refusal(request: Request, tokens: Tokens) -> Response | None:
    """Why a visitor is not answered, or the beginning of a session; None where all is well."""
    visitor = tokens.visitor(request)
    role = tokens.role_of(request.query_params.get("token", ""))
    if role is not None:
        return _session(tokens, role, request.query_params.get("name", ""), request.url.path)
    if visitor is None and tokens.decide is None:
        return PlainTextResponse("ask by a loopback name", 403, _LAST)
    if visitor is None:
        if request.url.path == "/":
            return Response((_HERE / "login.html").read_bytes(), 401, _LAST, "text/html; charset=utf-8")
        return PlainTextResponse("a token is needed; open / to give it", 401, _LAST)
    if request.method == "POST":
        if foreign(request):
            return PlainTextResponse("not from this page", 403, _LAST)
        if visitor.role != DECIDE:
            return _json({"error": "this token may look, and not decide"}, 403, _LAST)
    request.scope["visitor"] = visitor
    return None


async def _login(request: Request, tokens: Tokens) -> Response:
    body = await _body(request)
    given = parse_qs((body or b"").decode(errors="replace"), max_num_fields=9)
    role = tokens.role_of(given.get("token", [""])[0])
    if role is None:
        return PlainTextResponse("this is not the token; go back and try again", 401, _LAST)
    return _session(tokens, role, given.get("name", [""])[0], "/")


def _session(tokens: Tokens, role: str, name: str, path: str) -> Response:
    answer = RedirectResponse(path, 303)
    tokens.greet(answer, role, name)
    return answer


async def _body(request: Request) -> bytes | None:
    """None where it is longer than it may be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY:
            return None
    return body


def _number(text: str, otherwise: int = 0) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else otherwise


def _seconds(text: str | None) -> float | None:
    """Seconds since 1970; None where it is none."""
    return float(text) if text and re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text) else None


def _json(value: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json_bytes(value), status, headers, "application/json")


def _picture(data: bytes | None, headers: dict[str, str] | None = None) -> Response:
    return Response(status_code=404) if data is None else Response(data, headers=headers, media_type="image/jpeg")


async def _done(what: Callable[[], Any]) -> Response:
    try:
        return _json({"done": await run_in_threadpool(what)})
    except PandaError as error:
        return _json({"error": str(error)}, 400)


async def _told(request: Request, what: Callable[[dict[str, Any]], Any]) -> Response:
    """What becomes of a request with a JSON object as its body."""
    body = await _body(request)
    if body is None:
        return _json({"error": f"expected at most {_MOST_BODY} bytes"}, 413, _LAST)
    try:
        told = json.loads(body or b"{}")
        return await _done(lambda: what(told))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return _json({"error": "expected a JSON object with a value that fits"}, 400)
