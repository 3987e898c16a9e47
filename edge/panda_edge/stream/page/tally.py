"""Counts by minute of each source, so that the last hour and the last shift are known at once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

HOUR, SHIFT = 60, 480  # minutes
_SURE = 14.0  # of a rate that was kept, so many alarms come once in a million hours
_FEW = 20  # judged frames, below which nothing is said of a rate
_UNJUDGED = 0.5  # share of frames that could not be judged, from which it is said


@dataclass
class Counts:
    """Frames by verdict."""

    ok: int = 0
    ng: int = 0
    not_judged: int = 0

    @property
    def rate(self) -> float | None:
        """The share of judged frames that were anomalous; None where none was judged."""
        judged = self.ok + self.ng
        return self.ng / judged if judged else None


class Tally:
    """Of one source: frames of the last shift. Used by one thread at a time."""

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, Counts]] = deque(maxlen=SHIFT + 1)

    def add(self, at: float, anomalous: bool | None, not_judged: bool) -> None:
        """at: seconds since 1970. anomalous: None counts only where the frame was not judged."""
        minute = int(at // 60)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Counts()))
        counts = self._minutes[-1][1]
        if not_judged:
            counts.not_judged += 1
        elif anomalous is not None:
            counts.ng += anomalous
            counts.ok += not anomalous

    def fill(self, minutes: Iterable[tuple[float, int, int, int]]) -> None:
        """What was counted before: seconds since 1970, OK, NG and not judged, oldest first."""
        for at, ok, ng, not_judged in minutes:
            self._minutes.append((int(at // 60), Counts(ok, ng, not_judged)))

    def last(self, minutes: int, now: float) -> Counts:
        """Of the last `minutes`, the one that runs among them."""
        oldest = int(now // 60) - minutes
        found = [counts for minute, counts in self._minutes if minute > oldest]
        return Counts(sum(c.ok for c in found), sum(c.ng for c in found), sum(c.not_judged for c in found))


def doubt(hour: Counts, promised: float | None) -> str | None:
    """What does not fit in the last hour, in one plain line; None where all fits. promised: the share of normal frames
    that may be called anomalous.

    By the Chernoff bound: n frames of which each is anomalous with chance p reach a share q with a chance of at most
    exp(-n · KL(q, p))."""
    frames = hour.ok + hour.ng + hour.not_judged
    if frames >= _FEW and hour.not_judged >= _UNJUDGED * frames:
        return (
            f"{_percent(hour.not_judged / frames)} of the last hour could not be judged: light, focus, or the camera?"
        )
    judged, rate = hour.ok + hour.ng, hour.rate
    if rate is None or promised is None or judged < _FEW or rate <= promised:
        return None
    if judged * _divergence(rate, promised) < _SURE:
        return None
    return (
        f"{_percent(rate)} of the last hour anomalous; promised are at most {_percent(promised)} of normal ones: "
        "lighting, focus, or a new product?"
    )


def _divergence(rate: float, promised: float) -> float:
    """Kullback and Leibler's, of two coins."""
    first = rate * math.log(rate / promised) if rate else 0.0
    return first + ((1 - rate) * math.log((1 - rate) / (1 - promised)) if rate < 1 else 0.0)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
