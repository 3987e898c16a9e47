"""A file held as it was when it was hashed, so that a later change of the file is not read."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from panda_edge.bundle.regular import open_regular
from panda_edge.system import PrivateCopy

_CHUNK = 1 << 20


class Snapshot:
    """A private copy, made and hashed in one reading. sha256: hexadecimal, of the copy.

    path: where libraries that open files find the copy as long as this object lives.
    """

    def __init__(self, source: Path, size: int) -> None:
        """size: bytes of the file; of a longer one, one more is read, which its hash tells. Raises OSError."""
        held = PrivateCopy(source.name)
        weakref.finalize(self, held.close)
        with open_regular(source) as stream, os.fdopen(held.handle, "wb", closefd=False) as copy:
            digest = _taken(stream, size + 1, copy.write)
        self.path = held.sealed()
        if not held.unbroken:
            with open_regular(self.path) as stream:
                digest = _taken(stream, size + 1, lambda chunk: None)
        self.sha256 = digest


def _taken(stream: BinaryIO, most: int, take: Callable[[bytes], object]) -> str:
    """Hand over at most so many bytes in parts; returns their SHA-256."""
    digest = hashlib.sha256()
    while most and (chunk := stream.read(min(_CHUNK, most))):
        digest.update(chunk)
        take(chunk)
        most -= len(chunk)
    return digest.hexdigest()
