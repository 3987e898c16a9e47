"""One source's drift: which of its frames are counted, and when and since when the world has changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from panda_edge.decide.drift import BETS, Bet, DriftMartingale

_EARLY = 64  # counted frames from which it is told whether neighbours are alike
_LEAST_RATIO = 0.75  # of neighbours' mean squared difference to that of frames farther apart; 1 where independent
_FAR = range(4, 13)


class Start(NamedTuple):
    """A frame that something began with. captured: seconds since 1970; number: of its source, in its run."""

    captured: float
    number: int
    id: str


class Found(NamedTuple):
    """bet: which of `decide.drift.BETS` won; since: the frame with which its winning began; counted: frames until it
    was found."""

    bet: str
    since: Start
    counted: int


@dataclass
class SourceDrift:
    """A martingale over one frame in `every` of a source.

    A camera sees a part in many frames, whose scores are alike, while the promise is about frames that show different
    parts. So `every` begins with 1, and is doubled and the game begun anew until of 64 counted frames neighbours differ
    about as much as frames farther apart. Only then is a drift found, even if the money was won before.
    """

    martingale: DriftMartingale
    every: int = 1
    passed: int = 0
    early: list[float] = field(default_factory=list)
    settled: bool = False
    won: bool = False
    found: Found | None = None

    def add(self, score: float, at: Start, wealth: float) -> str | None:
        """A frame's score; wealth: at which the world has changed. Returns what has just become known: `drift`, found
        with this frame, or `every`, that not all frames are counted; else None."""
        self.passed += 1
        if self.found is not None or self.passed < self.every:
            return None
        self.passed = 0
        p_value = self.martingale.add(score, at)
        self.won = self.won or self.martingale.wealth >= wealth
        if not self.settled:
            self.early.append(p_value)
            if len(self.early) < _EARLY:
                return None
            if _neighbours_alike(self.early):
                self.martingale = DriftMartingale(self.martingale.scores, self.martingale.seed)
                self.every, self.early, self.won = 2 * self.every, [], False
                return None
            self.settled, self.early = True, []
            if self.every > 1 and not self.won:
                return "every"
        if not self.won:
            return None
        bet = self.martingale.leading()
        self.found = Found(bet, self.martingale.bets[bet].since or at, self.martingale.counted)
        return "drift"

    def as_json(self) -> dict[str, Any]:
        """All of it but the calibration's scores."""
        martingale = self.martingale
        return {
            "every": self.every,
            "passed": self.passed,
            "early": self.early,
            "settled": self.settled,
            "won": self.won,
            "found": self.found,
            "counts": martingale.counts,
            "bets": {name: [bet.money, bet.evidence, bet.since] for name, bet in martingale.bets.items()},
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any], scores: np.ndarray, seed: int) -> SourceDrift:
        """What `as_json` gave. Raises KeyError, TypeError or ValueError where it is nothing of the kind."""
        counts = [int(count) for count in kept["counts"]]
        if len(counts) != len(scores) + 1 or min(counts) < 0:
            raise ValueError("counts")
        bets = {name: Bet(_number(kept["bets"][name][0]), _number(kept["bets"][name][1])) for name in BETS}
        for name, bet in bets.items():
            bet.since = _start(kept["bets"][name][2])
        found = kept["found"]
        if found is not None:
            bet_name, since, counted = found
            found = Found(str(bet_name), _start(since) or Start(0.0, 0, ""), int(counted))
        every, passed = int(kept["every"]), int(kept["passed"])
        if every < 1 or passed < 0 or (found and found.bet not in BETS):
            raise ValueError("every")
        return cls(
            DriftMartingale(scores, seed, sum(counts), counts, bets),
            every,
            passed,
            [_number(p_value) for p_value in kept["early"]],
            bool(kept["settled"]),
            bool(kept["won"]),
            found,
        )


def _neighbours_alike(p_values: list[float]) -> bool:
    """Whether neighbours differ less than frames farther apart. By differences, so that a step or a trend, which are
    what is looked for, are hardly taken for it."""
    values = np.array(p_values)
    near, *far = [float(np.mean((values[lag:] - values[:-lag]) ** 2)) for lag in (1, *_FAR)]
    return near < _LEAST_RATIO * sum(far) / len(far)


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError("a number")
    return number


def _start(value: Any) -> Start | None:
    if value is None:
        return None
    captured, number, identity = value
    return Start(float(captured), int(number), str(identity))
