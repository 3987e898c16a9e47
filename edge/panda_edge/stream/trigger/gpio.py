"""Triggers by a pin of the board: its rising edge is a trigger."""

from __future__ import annotations

from collections.abc import Callable

from panda_edge.stream.line.gpio import Edges
from panda_edge.stream.trigger.triggers import Answer


class GpioTrigger:
    """The verdict goes back by `--line`."""

    def __init__(self, chip: str, pin: int, fire: Callable[[Answer], None]) -> None:
        """Raises PandaError: the pin cannot be had, or the extra is missing."""
        self._fire = fire
        self._seen = 0
        self._edges = Edges(chip, pin, f"--trigger gpio://{chip}", self._count)

    def close(self) -> None:
        self._edges.close()

    def _count(self, edges: int) -> None:
        for _ in range(edges - self._seen):
            self._fire(lambda outcomes: None)
        self._seen = edges
