"""Progress of long work, on stderr, quiet where that is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, track

T = TypeVar("T")


def show(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Gives the items one by one, and shows how many of `total` have gone."""
    if not sys.stderr.isatty():
        return items
    return track(items, description=description, total=total, console=Console(stderr=True))


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """Shows that something goes on whose end cannot be foreseen."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status(f"{description} …"):
        yield


@contextmanager
def steps_shown(description: str, speaks: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (steps done, total) while training goes on."""
    if not speaks or not sys.stderr.isatty():
        yield lambda step, total: None
        return
    with Progress(console=Console(stderr=True)) as bars:
        bar = bars.add_task(description, total=None)
        yield lambda step, total: bars.update(bar, completed=step, total=total)
