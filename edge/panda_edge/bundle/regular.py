"""Opening what should be a plain file, whatever stands there: a pipe or a device is refused, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from panda_edge.errors import BundleError
from panda_edge.system import open_for_reading


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """An open regular file, for reading. Raises OSError where it is none: a folder, a pipe, a socket, a device."""
    handle = open_for_reading(path)
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
