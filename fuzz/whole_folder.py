"""A bundle's folder as one input: which of the small bundles, then the files that somebody else has written into it.

A byte chooses the bundle. Then any number of times: a byte for the file, four for its length (little), its content.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from panda_edge.bundle.manifest import MANIFEST_NAME
from panda_edge.bundle.sealed_json import sealed

_HEAD = 5  # bytes before a file's content


def pack(kind: int, files: list[tuple[int, bytes]]) -> bytes:
    parts = (bytes([number]) + len(content).to_bytes(4, "little") + content for number, content in files)
    return bytes([kind]) + b"".join(parts)


def unpack(data: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """Takes any bytes: a content that is too short is what there is."""
    kind, at, files = data[0] if data else 0, 1, []
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + _HEAD], "little")
        files.append((data[at], data[at + _HEAD : at + _HEAD + length]))
        at += _HEAD + length
    return kind, files


def write(bundle: Path, files: dict[str, bytes], manifest: bytes) -> None:
    """Puts files into a bundle, and the manifest with all sizes and hashes made good again, where that can be.

    Each is a new file: what an earlier input's bundle has mapped stays what it was.
    """
    for name, content in files.items():
        _put(bundle / name, content)
    _put(bundle / MANIFEST_NAME, _resealed(manifest, files))


def _put(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _resealed(manifest: bytes, files: dict[str, bytes]) -> bytes:
    try:
        plain = json.loads(manifest)
        for name, content in files.items():
            plain["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return sealed(plain).encode()
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return manifest  # as bytes go; the target `manifest` has more of these
