"""Whether a picture that somebody calls normal may join the bank: what it would do to the threshold of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from panda_edge.decide.calibration import DEFAULT_RULE, SCORES, Calibration
from panda_edge.decide.decision import Decider
from panda_edge.decide.tail import Tail

REFUSED, ASKED = 0.01, 0.1
"""Of the false alarms that normal pictures raise, one in a hundred scores so high that it is refused, and one in ten so
high that somebody is asked to look again."""


@dataclass(frozen=True)
class Joining:
    """What a bundle's calibration says of a picture before it joins.

    Attributes:
        severity: Its score over the threshold.
        chance: The share of normal pictures' false alarms that score at least as high; 1 where it raises no alarm.
        threshold: What the threshold would be with it among the pictures that calibrate.
    """

    severity: float
    chance: float
    threshold: float

    @property
    def verdict(self) -> str:
        """`join`, `ask` or `refuse`."""
        return "refuse" if self.chance < REFUSED else "ask" if self.chance < ASKED else "join"


def joining(decider: Decider, score: float) -> Joining:
    """score: the one that decides, of a picture that is not in the bank."""
    scores = decider.calibration.normal_scores()
    chance = Tail.of(scores).chance(score - decider.threshold)
    among = Calibration(DEFAULT_RULE, dict.fromkeys(SCORES, np.append(scores, score)))
    severity = score / decider.threshold if decider.threshold > 0 else float("inf")
    return Joining(severity, chance, among.threshold(decider.fpr))
