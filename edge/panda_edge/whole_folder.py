"""Two folders that change places, so that at every moment a whole one stands at each name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from panda_edge.system import exchange, sync_to_disk


def swap(one: Path, other: Path) -> None:
    """Swap two folders, in one step where the system can. Else the first is moved aside, and back where that fails.

    Raises OSError."""
    if not exchange(one, other):
        aside = one.with_name(f".{one.name}.{os.getpid()}.old")
        os.rename(one, aside)
        try:
            os.rename(other, one)
        except OSError:
            os.rename(aside, one)
            raise
        os.rename(aside, other)
    for folder in {one.parent, other.parent}:
        sync_to_disk(folder)


def remove_folder(folder: Path) -> None:
    """Take a folder away whole: under another name first, so that no part of it stands at its own."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        os.rename(folder, aside)
    except FileNotFoundError:
        return
    shutil.rmtree(aside, ignore_errors=True)
