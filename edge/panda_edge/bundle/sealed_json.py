"""The text of a manifest: JSON in one fixed form with the hash of itself inside, read strictly."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from panda_edge.bundle.fields import short
from panda_edge.bundle.regular import read_regular
from panda_edge.errors import BundleError

_SEAL = "manifest_sha256"
_MAX_BYTES = 4_000_000


def sealed(plain: dict[str, Any]) -> str:
    """JSON text of a manifest with the hash of its own text without that hash, in one fixed form."""
    rest = {key: value for key, value in plain.items() if key != _SEAL}
    digest = hashlib.sha256(_rendered(rest).encode()).hexdigest()
    return _rendered({**rest, _SEAL: digest})


def _rendered(plain: dict[str, Any]) -> str:
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_text(path: Path) -> str:
    """The manifest's text, at most 4 MB of UTF-8. Raises BundleError."""
    try:
        return read_regular(path, _MAX_BYTES).decode()  # byte for byte: no line end is translated
    except FileNotFoundError:
        raise BundleError(
            f"{path.parent}: no {path.name} in it, so not a bundle; make one with `panda-train fit`"
        ) from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise BundleError(f"{path}: not UTF-8 text; the bundle is damaged, copy it again") from error


def parsed(text: str, path: Path) -> Any:
    """What the text says: strict JSON, no name twice, every number and character whole. Raises BundleError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in pairs:
            if name in fields:
                raise BundleError(f"{path}: {short(name)} stands twice; the bundle is damaged, copy it again")
            fields[name] = value
        return fields

    try:
        plain = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
        _rendered(plain).encode()  # half a surrogate pair could not be printed
        return plain
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not valid JSON; the bundle is damaged, copy it again") from error
