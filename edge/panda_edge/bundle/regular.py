"""Opening what should be a plain file, whatever stands there: a pipe or a device is refused, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from panda_edge.errors import BundleError


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """An open regular file, for reading. Raises OSError where it is none: a folder, a pipe, a socket, a device."""
    # Opening a pipe that nobody writes to would wait for ever. On a regular file O_NONBLOCK does nothing.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "not a plain file", os.fspath(path))


def read_regular(path: Path, most: int) -> bytes:
    """A small file's content. Raises OSError, and BundleError where it holds more than `most` bytes."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= most:
            content = stream.read(most + 1)
            if len(content) <= most:
                return content
    raise BundleError(f"{path}: {size} bytes are too many; expected at most {most}")
