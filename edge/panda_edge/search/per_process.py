"""What does not survive a fork: made anew in a forked child, and never destroyed there.

A child has none of its parent's threads. A session of onnxruntime would wait for them when it is destroyed, an executor
when it is given work; so would onnxruntime when the child exits, if only it was imported in the parent.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import panda_edge._kernel as _kernel

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One thing a process: `get` gives this process's, made at its first call in a forked child."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._own = os.getpid(), make()
        _living.add(self)

    def get(self) -> T:
        """Raises what `make` raises."""
        process, thing = self._own
        if process != os.getpid():
            thing = self._make()  # by several threads at once: the last one's is kept
            self._own = os.getpid(), thing
        return thing

    def abandon(self) -> None:
        """Let nothing in this process destroy what there is."""
        _kernel.never_destroy(self._own[1])


_living: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()


def _in_child() -> None:
    for one in list(_living):
        one.abandon()
    _kernel.end_without_handlers()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
