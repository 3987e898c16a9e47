"""Progress of long work, on stderr, quiet where that is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def show(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Gives the items one by one, and shows how many of `total` have gone."""
    if not sys.stderr.isatty():
        return items
    return track(items, description=description, total=total, console=Console(stderr=True))
