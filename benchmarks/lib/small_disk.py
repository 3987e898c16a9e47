"""A disk that a benchmark may fill."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.lib.subject import say


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path | None]:
    """A tmpfs of its own of so many megabytes. None, which is said, where none can be mounted, as that needs root."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            say("a small disk cannot be mounted here, which needs root; left out")
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)
