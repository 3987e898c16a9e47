"""Which normal frames are worth a look, as they are nearly anomalous."""

from __future__ import annotations

from panda_edge.stream.frame import Outcome

_WITHIN = 2.0  # times the promised rate: p-values up to it are near
_PAUSE = 60.0  # seconds between two of a source, so that they take no room from those that are anomalous


class Nearly:
    """Used by one thread."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def takes(self, outcome: Outcome) -> bool:
        """Whether a frame is normal, and would not be at twice the rate; at most one a minute of each source."""
        decision = None if outcome.result is None else outcome.result.decision
        if decision is None or decision.anomalous or decision.p_value > _WITHIN * decision.fpr:
            return False
        if outcome.frame.captured - self._last.get(outcome.source, -_PAUSE) < _PAUSE:
            return False
        self._last[outcome.source] = outcome.frame.captured
        return True
