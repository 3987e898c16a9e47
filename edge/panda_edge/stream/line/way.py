"""How far a product has gone from the camera: by the clock, or by the pulses of the belt's encoder."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable
from threading import Lock
from typing import Protocol

_LAG = 0.05  # seconds that a verdict may be shown after its pulse or its deadline, and be OK
_BACK = 2  # pulses that a belt which stands still may tremble back
_KEPT = 20_000  # counts that are remembered


class Way(Protocol):
    """A moment is a place on the way: seconds or pulses since some beginning."""

    def moment(self, arrived: float) -> float | None:
        """Where a picture's product is at the machine. arrived: `time.monotonic()`. None: not known, or passed."""
        ...

    def now(self) -> float:
        """The place now; a product whose moment is not above it is at the machine."""
        ...

    def sleep(self, moment: float) -> float:
        """Seconds after which it is worth to look whether a moment has come; infinite where `changed` tells."""
        ...

    def late(self, moment: float) -> float:
        """`time.monotonic()` after which what has its moment then is too late for OK."""
        ...

    def close(self) -> None: ...


class Elapsed:
    """Seconds since the picture's arrival."""

    def __init__(self, delay: float, deadline: float) -> None:
        """Both from the picture's arrival."""
        self._delay = delay
        self._late = deadline - delay + (_LAG if delay else 0.0)

    def moment(self, arrived: float) -> float | None:
        return arrived + self._delay

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, moment: float) -> float:
        return moment - time.monotonic()

    def late(self, moment: float) -> float:
        return moment + self._late

    def close(self) -> None:
        pass


class Counted:
    """Pulses since the picture's arrival, of a counter that is looked at often.

    A counter that cannot be read, or that jumps as no belt does, says nothing of the products on their way: all of
    them are at the machine at once, and too late.
    """

    def __init__(self, pulses: int, turns_at: int) -> None:
        """pulses: from the camera to the machine. turns_at: the counter's first value that is 0 again, such as
        65,536."""
        self.changed: Callable[[], None] = lambda: None
        """Is called when the count has changed, by the thread that counts."""
        self.close: Callable[[], None] = lambda: None
        self._pulses = pulses
        self._turns_at = turns_at
        self._raw: int | None = None
        self._times: list[float] = []  # of each place, rising
        self._places: list[int] = [0]  # with the place before all times first; never falling
        self._broken = 0  # moments up to here were not reached pulse by pulse
        self._lock = Lock()

    def count(self, raw: int | None) -> None:
        """raw: what the counter says now; None where it cannot be read."""
        now = time.monotonic()
        with self._lock:
            before, self._raw = self._raw, raw
            place = self._places[-1]
            if before is None or raw is None:
                if self._times and before is not raw:
                    self._break(now)
                elif raw is not None:
                    self._add(now, place)
            else:
                step = (raw - before + self._turns_at // 2) % self._turns_at - self._turns_at // 2
                if not -_BACK <= step < max(self._pulses, _BACK):
                    self._break(now)
                elif step > 0:
                    self._add(now, place + step)
                elif step < 0:
                    self._raw = before  # until it is beyond where it was
        self.changed()

    def moment(self, arrived: float) -> float | None:
        with self._lock:
            found = bisect.bisect_right(self._times, arrived)
            if found == 0 or self._raw is None:
                return None
            moment = self._places[found] + self._pulses
            return None if moment < self._places[-1] else moment

    def now(self) -> float:
        return self._places[-1]

    def sleep(self, moment: float) -> float:
        return float("inf")

    def late(self, moment: float) -> float:
        with self._lock:
            if moment <= self._broken:
                return 0.0
            found = bisect.bisect_left(self._places, moment, 1)
            return float("inf") if found == len(self._places) else self._times[found - 1] + _LAG

    def _add(self, now: float, place: int) -> None:
        self._times.append(now)
        self._places.append(place)
        if len(self._times) > _KEPT:
            gone = _KEPT // 10
            del self._times[:gone], self._places[:gone]

    def _break(self, now: float) -> None:
        self._broken = self._places[-1] + self._pulses
        self._add(now, self._broken + 1)
