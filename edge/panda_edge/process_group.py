"""Work on one bundle that several processes share, without those who do it knowing how processes talk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class ProcessGroup(Protocol):
    """Processes that all take the same steps; this one is number `rank` of `count`. Only rank 0 writes files.

    What is handed over is pickled. Whoever calls a method waits until all have called it.
    """

    @property
    def rank(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def is_rank_zero(self) -> bool: ...

    def gather(self, part: T, everyone: bool) -> list[T]:
        """The parts of all, by rank; empty for all but rank 0 unless `everyone` is to get them."""

    def on_rank_zero(self, work: Callable[[], T]) -> T:
        """Let rank 0 work; all get its result."""


class Alone:
    """One process."""

    rank, count, is_rank_zero = 0, 1, True

    def gather(self, part: T, everyone: bool) -> list[T]:
        return [part]

    def on_rank_zero(self, work: Callable[[], T]) -> T:
        return work()


ALONE = Alone()


def shared(
    group: ProcessGroup, items: Sequence[T], work: Callable[[Sequence[T]], Iterator[R]], everyone: bool = False
) -> Iterator[R]:
    """The results of all items, in their order; each process works on every count-th of them.

    work: gives one result an item, in the order of the items it gets, as they are asked for. Results come to rank 0
    alone, or to everyone; all must take them to the last.
    """
    own = work(items[group.rank :: group.count])
    for begin in range(0, len(items), group.count):
        part = [next(own)] if begin + group.rank < len(items) else []
        for results in group.gather(part, everyone):
            yield from results
