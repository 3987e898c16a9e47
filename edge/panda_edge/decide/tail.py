"""How far above the threshold normal pictures score, told from the scores of normal pictures alone.

Above a high score, scores of normal pictures fall off about exponentially. The mean excess of the highest quarter over
the score below it tells how fast. Of k such excesses, an excess x over any score in the tail has a chance of
(1 + x / (k · mean)) ^ -k: the exponential's, with the mean's own uncertainty. So few pictures allow more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_SHARE = 0.25  # of the scores, that are the tail


@dataclass(frozen=True)
class Tail:
    """count: scores of the tail, k. total: the sum of their excesses, in units of the score."""

    count: int
    total: float

    @classmethod
    def of(cls, scores: np.ndarray) -> Tail:
        """scores: of normal pictures that are not in the bank, or are each left out; float64 (n,)."""
        ordered = np.sort(scores)
        count = min(math.ceil(_SHARE * len(ordered)), len(ordered) - 1)
        if count < 1:
            return cls(1, 0.0)
        return cls(count, float((ordered[-count:] - ordered[-count - 1]).sum()))

    def chance(self, excess: float) -> float:
        """The share of normal pictures above a threshold that lie at least so far above it, 0 to 1. 1 where nothing is
        known of the tail."""
        if excess <= 0 or self.total <= 0:
            return 1.0
        return float((1 + excess / self.total) ** -self.count)
