"""What is made once for the whole run, although each of pytest-xdist's workers asks for it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder NAME of this run, filled by `make` in the worker that comes first; the others wait for it."""
    return made_once_in(shared_root(temporary), name, make)


def shared_root(temporary: pytest.TempPathFactory) -> Path:
    """The folder that all workers of a run share."""
    root = temporary.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


def made_once_in(root: Path, name: str, make: Callable[[Path], object]) -> Path:
    """As `made_once`, in the folder ROOT."""
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed at it
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
