"""How long work tells of its progress, without the exporter knowing of terminals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    def __call__(self, items: Iterable[T], description: str, total: int) -> Iterable[T]:
        """Gives the items one by one, and shows how many of `total` have gone."""


def silent(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    return items
