"""Room on disks, asked for before it is used: a mapped file that a full disk cannot hold ends the process (SIGBUS)."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from panda_edge.errors import PandaError
from panda_edge.system import reserve

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def reserved_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """A new .npy file, mapped to be written, with all its room on the disk. Raises OSError."""
    array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
    with path.open("rb+") as file:
        reserve(file.fileno(), path.stat().st_size)
    return array


@contextmanager
def temporary_room() -> Iterator[None]:
    """Around what writes temporary files: a full disk there is not --out's. Raises PandaError."""
    try:
        yield
    except OSError as error:
        where = tempfile.gettempdir() if tempfile.tempdir else "temporary files"
        raise PandaError(f"{where}: {error.strerror or error}; name another folder in TMPDIR") from error
