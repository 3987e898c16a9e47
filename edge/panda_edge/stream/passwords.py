"""Addresses that hold a password: shown without it, and sent with it."""

from __future__ import annotations

import base64
import re
from urllib.parse import SplitResult, unquote

_HOST_AND_PATH = r"(\[[^\]]*\]|[^:/]*)(:\d*)?(/.*)?"


def without_password(address: str) -> str:
    """An address, be it mistyped, as it may be shown: user, password and query, which may hold a key, left out."""
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        return "…" + address[address.rindex("@") :] if re.search(r":.*@", address, re.S) else address
    plain = re.split(r"[?#]", rest, maxsplit=1)[0]
    if "@" in plain:
        plain = plain.rpartition("@")[2]
    elif "@" in rest and not re.fullmatch(_HOST_AND_PATH, plain):  # a password with ? or # in it
        plain = "…"
    return f"{scheme}://{plain}"


def basic_authorization(address: SplitResult) -> dict[str, str]:
    """The header that says user and password of an address; none where it has none."""
    if address.username is None:
        return {}
    user = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(user.encode(errors="surrogateescape")).decode()}
