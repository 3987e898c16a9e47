"""A file held in memory as it was when it was hashed, so that a later change of the file is not read."""

from __future__ import annotations

import fcntl
import hashlib
import os
import weakref
from pathlib import Path

from panda_edge.bundle.regular import open_regular

_CHUNK = 1 << 20


class Snapshot:
    """A private copy, made and hashed in one reading. sha256: hexadecimal, of the copy.

    path: where libraries that open files find the copy as long as this object lives. On Linux it is memory that nobody
    can write to any more; elsewhere a file without a name.
    """

    def __init__(self, source: Path, size: int) -> None:
        """size: bytes of the file; of a longer one, one more is read, which its hash tells. Raises OSError."""
        handle = _unnamed(source.name)
        weakref.finalize(self, os.close, handle)
        digest = hashlib.sha256()
        with open_regular(source) as stream, os.fdopen(handle, "wb", closefd=False) as copy:
            left = size + 1
            while left and (chunk := stream.read(min(_CHUNK, left))):
                digest.update(chunk)
                copy.write(chunk)
                left -= len(chunk)
        self.sha256 = digest.hexdigest()
        self.path = Path(f"/dev/fd/{handle}")
        if hasattr(os, "memfd_create"):
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)


def _unnamed(name: str) -> int:
    """An open file that no folder lists."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    import tempfile  # which takes longer than a bundle to open

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
