"""How long calls take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """What a call gives, and the seconds it took."""
    started = time.perf_counter()
    given = call(*arguments)
    return given, time.perf_counter() - started


def least(call: Callable[[], object], times: int) -> float:
    """The least seconds of a few calls."""
    return min(timed(call)[1] for _ in range(times))
