"""Starting threads, where the system may have none to give."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from panda_edge.errors import PandaError


def started(work: Callable[[], object], name: str) -> Thread:
    """A thread at work, which the process does not wait for. Raises PandaError where none can be started."""
    thread = Thread(target=work, name=name, daemon=True)
    start(thread)
    return thread


def start(thread: Thread) -> None:
    """Start a thread. Raises PandaError where that cannot be."""
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise PandaError(
            f"no thread can be started for {thread.name} ({error}); allow this user more threads, or free memory"
        ) from error
