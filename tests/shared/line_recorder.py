"""What the tests of `--line` share: an output that remembers, and outcomes as if they had just come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from panda_edge.stream.frame import Outcome
from panda_edge.stream.line.signals import Signals


def eventually(holds: Callable[[], Any], within: float = 20.0) -> Any:
    until = time.monotonic() + within
    while not (value := holds()):
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)
    return value


def now(outcome: Outcome, source: str = "cam", ago: float = 0.0) -> Outcome:
    picture = replace(outcome.frame.picture, arrived=time.monotonic() - ago)
    return replace(outcome, frame=replace(outcome.frame, source=source, picture=picture))


class Recorder:
    """An output that remembers what it was told, and when; it fails while `broken`."""

    name = "recorder"

    def __init__(self) -> None:
        self.told: list[tuple[float, int, Signals]] = []
        self.beats = 0
        self.broken = self.closed = False

    def write(self, source: int, signals: Signals) -> None:
        if self.broken:
            raise OSError(0, "away")
        self.told.append((time.monotonic(), source, signals))

    def beat(self, count: int) -> None:
        if self.broken:
            raise OSError(0, "away")
        self.beats = count

    def close(self) -> None:
        self.closed = True

    @property
    def shown(self) -> Signals:
        return self.told[-1][2]
