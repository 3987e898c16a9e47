"""Whether the world has changed since the bundle was made: a test martingale over the scores of normal production.

Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2nd ed. 2022, ch. 8 (conformal test martingales);
Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman, "Retrain or not retrain: conformal test martingales for
change-point detection", COPA 2021. A gambler bets against "nothing has changed", in a game that is fair while that is
so. By Ville's inequality the chance that he ever has 1/α times the money he began with is then at most α, however long
he plays.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BETS = ("higher", "lower", "more")
"""What is bet on: scores of normal pictures that rise, that fall, and more pictures among the highest."""

_OUTER = 20  # the highest one in so many of normal scores is where defects are looked for
_DEFECTS = 0.1  # the share of defective pictures that is no change
_MOST = 1.5  # by which no picture multiplies a bet
_HALF_SOON = 100.0  # pictures; sets how the money is spread over when the change may come


@dataclass
class Bet:
    """money: what is in it. evidence: log likelihood ratio since `since`, never negative (Page's CUSUM): with it began
    what the bet has won by."""

    money: float = 0.0
    evidence: float = 0.0
    since: Any = None


@dataclass
class DriftMartingale:
    """The gambler.

    The n calibration scores cut the line into n + 1 gaps. Where c_j of the scores since fell into gap j, the next one
    falls into it with probability (1 + c_j) / (n + 1 + Σ c): Pólya's urn, exact for scores that are exchangeable with
    the calibration's, whatever their distribution and however small n. (A p-value against the n alone is uniform only
    on average over calibrations: any one of them is a little off, and a long game finds that out.) So the game is about
    gaps, and memory holds n + 1 counts. Ties are broken by random numbers, a calibration score's drawn once.

    The highest twentieth of the gaps is *outer*. Of a score that is not, bets are on its smoothed p-value among those
    that are not. A score is outer with probability at most q = 0.1 + 0.9 · (the urn's), as long as each picture is
    defective with probability at most 0.1 given all before it, and a defective one's score is outer.
    """

    scores: np.ndarray
    seed: int = 0
    counted: int = 0
    counts: list[int] = field(default_factory=list)
    bets: dict[str, Bet] = field(default_factory=lambda: {name: Bet() for name in BETS})

    def __post_init__(self) -> None:
        """scores: of the n ≥ 1 calibration images, float64 (n,), in any order; counts: by gap, lowest first."""
        n = len(self.scores)
        draw = random.Random(self.seed)
        ties = np.array([draw.random() for _ in range(n)])
        order = np.lexsort((ties, self.scores))
        self.scores, self._ties = self.scores[order], ties[order]
        # One that goes on draws other numbers than it drew before.
        self._random = draw if not self.counted else random.Random(f"{self.seed} {self.counted}")
        self.counts = self.counts or [0] * (n + 1)
        self._inner = n + 1 - max(1, (n + 1) // _OUTER)  # gaps that are not outer
        # Pictures that each gap stands for, itself as one.
        self._urn = np.array(self.counts, dtype=np.float64) + 1
        self._below = float(self._urn[: self._inner].sum())

    @property
    def wealth(self) -> float:
        """What the gambler has, who began with 1: what is kept back, and the bets."""
        return _kept_back(self.counted) + sum(bet.money for bet in self.bets.values())

    def leading(self) -> str:
        """The bet that has won most."""
        return max(self.bets, key=lambda name: self.bets[name].money)

    def add(self, score: float, at: Any = None) -> float:
        """The next picture's score, NaN as the highest; returns its p-value among all gaps, uniform in (0, 1) while
        nothing has changed and no part is defective. at: is kept as `since` of the bets that begin with it."""
        gap, chance = self._gap(score), self._random.random()
        urn, total = self._urn, len(self._urn) + self.counted
        above = float(urn[gap + 1 :].sum())
        p_value = (above + chance * float(urn[gap])) / total
        outer = gap >= self._inner
        share = _DEFECTS + (1 - _DEFECTS) * (total - self._below) / total
        wins = min(_MOST, 1 / share)
        if outer:
            factors = {"higher": 1.0, "lower": 1.0, "more": wins}
        else:
            p_below = (p_value * total - (total - self._below)) / self._below
            factors = {"higher": _MOST - p_below, "lower": 0.5 + p_below, "more": (1 - wins * share) / (1 - share)}
            self._below += 1
        arriving = (_kept_back(self.counted) - _kept_back(self.counted + 1)) / len(BETS)
        for name, bet in self.bets.items():
            if bet.evidence == 0.0:
                bet.since = at
            bet.money = (bet.money + arriving) * factors[name]
            bet.evidence = max(bet.evidence + math.log(max(factors[name], 1e-300)), 0.0)
        urn[gap] += 1
        self.counts[gap] += 1
        self.counted += 1
        return p_value

    def _gap(self, score: float) -> int:
        if math.isnan(score):
            return len(self.scores)
        left, right = (int(np.searchsorted(self.scores, score, side)) for side in ("left", "right"))
        if left == right:
            return left
        return left + int(np.searchsorted(self._ties[left:right], self._random.random()))


def _kept_back(counted: int) -> float:
    """The share of the first money that is not in bets after so many pictures. It goes into them as the logarithm of
    time, so that a change finds some, whenever it comes: after a million pictures it costs 18 nats of evidence more."""
    return 1 / (1 + math.log1p(counted / _HALF_SOON))
