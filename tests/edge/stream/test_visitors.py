"""Who may look, who may decide, what is recorded of it; and the page by TLS."""

from __future__ import annotations

import datetime
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from panda_edge.commands.history import history
from panda_edge.errors import PandaError
from panda_edge.stream.frame import Notice
from panda_edge.stream.page.board import Board
from panda_edge.stream.page.decisions import Decisions
from panda_edge.stream.page.visitors import Tokens
from panda_edge.stream.sinks.history import History

pytest.importorskip("uvicorn", reason="needs starlette and uvicorn: pip install 'panda-edge[serve]'")
from panda_edge.stream.page.server import PageServer, Tls

DECIDES, LOOKS = "decides-and-is-long-enough", "looks-and-is-long-enough"
Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def board() -> Board:
    return Board(list, lambda: None, None, about=lambda: {"promised": 0.01})  # type: ignore[arg-type, return-value]


@pytest.fixture
def server(board: Board, told: list[dict[str, Any]]) -> Iterator[PageServer]:
    def set_fpr(rate: float) -> None:
        if rate < 0.01:
            raise PandaError("cannot be promised")

    tokens = Tokens(DECIDES, LOOKS)
    page = PageServer("127.0.0.1:0", tokens, Decisions(board, set_fpr, lambda text, **facts: told.append(facts)), str)
    yield page
    page.close()


@pytest.fixture
def ask(server: PageServer) -> Ask:
    def asked(method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        with connection.getresponse() as answer:
            told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return told

    return asked


def login(ask: Ask, token: str, name: str = "Ada") -> str:
    """The session's cookie."""
    status, headers, _ = ask("POST", "/login", urlencode({"token": token, "name": name}))
    assert (status, headers["location"]) == (303, "/")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(attributes)
    assert token not in cookie
    return cookie


def test_who_looks_does_not_decide(ask: Ask, told: list[dict[str, Any]]) -> None:
    status, _, body = ask("GET", "/")
    assert (status, b"<form" in body) == (401, True)
    assert ask("POST", "/login", urlencode({"token": "wrong" * 5, "name": "Eve"}))[0] == 401
    looks = login(ask, LOOKS)
    state = json.loads(ask("GET", "/state", Cookie=looks)[2])
    assert (state["may_decide"], state["visitor"]) == (False, "Ada")
    for path in (
        "/fpr",
        "/label/x",
        "/label/x/undo",
        "/bundle/try",
        "/bundle/apply",
        "/bundle/undo",
        "/bundle/request",
    ):
        status, _, body = ask("POST", path, '{"fpr": 0.5}', Cookie=looks, X_Panda_Edge="1")
        assert (status, b"not decide" in body) == (403, True)
    decides = login(ask, DECIDES, "Bo\nb")
    assert ask("POST", "/fpr", '{"fpr": 0.5}', Cookie=decides)[0] == 403  # a form elsewhere
    assert ask("POST", "/fpr", '{"fpr": 0.5}', Cookie=decides, X_Panda_Edge="1", Sec_Fetch_Site="cross-site")[0] == 403
    assert told == []
    assert ask("POST", "/fpr", '{"fpr": 0.5}', Cookie=decides, X_Panda_Edge="1")[0] == 200
    assert ask("POST", "/fpr", '{"fpr": 0.001}', Cookie=decides, X_Panda_Edge="1")[0] == 400
    assert told == [{"who": "Bob", "action": "rate", "before": 0.01, "after": 0.5}]  # what was refused was not decided


def test_a_cookie_cannot_be_made_up(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = login(ask, LOOKS)
    name, _, value = cookie.partition("=")
    told, _, signature = value.partition(".")
    for wrong in (f"{told}.{'0' * 64}", f"{told[:-4]}AAAA.{signature}", "", ".", "é.é", f"{told}", f".{signature}"):
        assert ask("GET", "/state", Cookie=f"{name}={quote(wrong, safe='.=')}")[0] == 401, wrong
    assert ask("GET", "/state", Cookie=cookie)[0] == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86_400)
    assert ask("GET", "/state", Cookie=cookie)[0] == 401


def test_a_token_in_the_address_becomes_a_session(ask: Ask) -> None:
    status, headers, _ = ask("GET", f"/?token={LOOKS}")
    assert (status, headers["location"]) == (303, "/")
    assert json.loads(ask("GET", "/state", Cookie=headers["set-cookie"].split(";")[0])[2])["may_decide"] is False
    assert ask("GET", "/state", Authorization=f"Bearer {LOOKS}")[0] == 200


@pytest.mark.parametrize(
    ("tokens", "why"),
    [
        (Tokens("short"), "at least 16"),
        (Tokens(DECIDES, "short"), "--look-token: at least 16"),
        (Tokens(None, LOOKS), "--token is missing"),
        (Tokens(DECIDES, DECIDES), "give another one"),
    ],
)
def test_tokens_are_checked(tokens: Tokens, why: str) -> None:
    with pytest.raises(PandaError, match=why):
        tokens.check()


def test_decisions_are_kept(bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sink = History(tmp_path / "history.sqlite", 9, 10**7, lambda: None, print)  # type: ignore[arg-type, return-value]
    facts = {"who": "Bob", "action": "rate", "before": 0.01, "after": 0.5}
    sink.notice(Notice("n", "decision", None, "", 1_800_000_000.0, facts))
    sink.notice(Notice("n", "bundle", None, "", 1_800_000_000.0, {}))
    sink.close(10)
    history(tmp_path, decisions=True, json=True)
    assert json.loads(capsys.readouterr().out) == {"at": "2027-01-15T08:00:00.000Z", **facts}
    history(tmp_path, decisions=True)
    assert "who Bob, action rate, before 0.01, after 0.5" in capsys.readouterr().out


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    pytest.importorskip("cryptography", reason="needs cryptography: pip install 'panda-edge[sign]'")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "k.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return Tls(folder / "c.pem", folder / "k.pem")


def test_by_tls(board: Board, certificate: Tls) -> None:
    page = PageServer("127.0.0.1:0", Tokens(DECIDES, secure=True), Decisions(board, print), str, tls=certificate)
    trusted = ssl.create_default_context(cafile=str(certificate.certificate))
    silent = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(5)]  # no handshake comes of them
    try:
        connection = http.client.HTTPSConnection("localhost", page.port, timeout=10, context=trusted)
        begun = time.monotonic()
        connection.request("POST", "/login", urlencode({"token": DECIDES}))
        with connection.getresponse() as answer:
            cookie = answer.headers["set-cookie"]
        assert time.monotonic() - begun < 4  # those who are silent keep nobody waiting
        assert "Secure" in cookie.split("; ")
        connection.close()
        connection.request("GET", "/state", headers={"Cookie": cookie.split(";")[0]})
        with connection.getresponse() as answer:
            assert answer.status == 200
        connection.close()
        plain = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
        plain.request("GET", "/")
        with pytest.raises((http.client.HTTPException, OSError)):
            plain.getresponse()
        plain.close()
        for one in silent:
            one.settimeout(20)
            assert one.recv(1) == b""  # sent away
    finally:
        for one in silent:
            one.close()
        page.close()


def test_a_wrong_certificate_is_said(board: Board, certificate: Tls, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for cert, key in (
        (tmp_path / "none.pem", certificate.key),
        (tmp_path / "no.pem", certificate.key),
        (certificate.certificate, certificate.certificate),
    ):
        with pytest.raises(PandaError, match="--tls-cert"):
            PageServer("127.0.0.1:0", Tokens(), Decisions(board, print), str, tls=Tls(cert, key))
