"""Files that are there whole or not at all, whatever ends the process that writes them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from panda_edge.system import replace, sync_to_disk


@contextmanager
def whole_file(path: Path, sync: bool = False) -> Iterator[Path]:
    """A temporary sibling to write to, which becomes `path` when the block ends well, and vanishes when it does not.

    Args:
        path: The file; its folder is made where there is none.
        sync: Whether the old file or the new one must also survive a power cut, which takes longer.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path, os.getpid())
    try:
        yield part
        if sync:
            sync_to_disk(part)
        replace(part, path)
        if sync:
            sync_to_disk(path.parent)
    finally:
        with suppress(OSError):
            part.unlink()


def part_of(path: Path, process: int | str) -> Path:
    """The temporary sibling that a process writes to. The system has a limit for names, which the file's own may
    reach: its checksum stands for it."""
    return path.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.{process}.part")


def remove_parts(path: Path) -> None:
    """Remove what killed processes left of a file; for files that one process at a time writes."""
    for leftover in path.parent.glob(part_of(path, "*").name):
        with suppress(OSError):
            leftover.unlink()
