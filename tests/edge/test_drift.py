"""The promise of drift: how often it is raised while nothing changes, and how soon once something does.

Every simulation has its seed. Bounds leave four standard deviations of the share that is estimated.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from panda_edge.decide import drift
from panda_edge.decide.drift import DriftMartingale

RUNS, LENGTH = 150, 400


def first_win(scores: np.ndarray, stream: np.ndarray, alpha: float, seed: int) -> tuple[int, DriftMartingale] | None:
    """The number of the score with which 1/alpha is reached."""
    martingale = DriftMartingale(scores, seed)
    for number, score in enumerate(stream, 1):
        martingale.add(float(score), number)
        if martingale.wealth >= 1 / alpha:
            return number, martingale
    return None


def share_raised(calibration: int, alpha: float, make: str) -> float:
    random = np.random.default_rng(calibration)
    raised = 0
    for seed in range(RUNS):
        scores = random.lognormal(size=calibration + LENGTH)
        if make == "ties":
            scores = np.round(scores)
        stream = scores[calibration:]
        if make == "defects":
            stream = np.where(random.random(LENGTH) < 0.1, 1e9, stream)
        if make == "defects at first":  # one in ten may come in any order that the scores do not tell
            stream = np.where(np.arange(LENGTH) < 3, math.nan, stream)
        raised += first_win(scores[:calibration], stream, alpha, seed) is not None
    return raised / RUNS


@pytest.mark.slow
@pytest.mark.parametrize("calibration", [12, 20, 51])
@pytest.mark.parametrize("make", ["normal", "ties", "defects"])
def test_false_drifts_are_as_rare_as_promised(calibration: int, make: str) -> None:
    alpha = 0.2
    assert share_raised(calibration, alpha, make) <= alpha + 4 * math.sqrt(alpha * (1 - alpha) / RUNS)


def test_three_defects_in_a_row_raise_nothing() -> None:
    assert share_raised(20, 0.01, "defects at first") <= 0.01 + 4 * math.sqrt(0.01 * 0.99 / RUNS)


@pytest.mark.parametrize("calibration", [1, 2, 3])
def test_the_game_is_fair(calibration: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expected wealth over every sequence of gaps, by Pólya's urn; wealth is linear in each tie-breaking number, so
    that their middle stands for all of them. Without defects the bet on more of them is a losing one."""
    monkeypatch.setattr(drift, "_HALF_SOON", 1.0)  # money in the bets from the first score on
    expected = {False: 0.0, True: 0.0}
    total = 0.0
    for gaps in itertools.product(range(calibration + 1), repeat=5):
        chance, seen = 1.0, [1] * (calibration + 1)
        for gap in gaps:
            chance *= seen[gap] / sum(seen)
            seen[gap] += 1
        total += chance
        for tolerant in expected:
            monkeypatch.setattr(drift, "_DEFECTS", 0.1 if tolerant else 0.0)
            martingale = DriftMartingale(np.arange(calibration) + 0.5)
            monkeypatch.setattr(martingale._random, "random", lambda: 0.5)
            for gap in gaps:
                martingale.add(float(gap))
            assert martingale.counts == [count - 1 for count in seen]
            expected[tolerant] += chance * martingale.wealth
    assert total == pytest.approx(1)
    assert expected[False] == pytest.approx(1)
    assert 0.5 < expected[True] < 1


def test_p_values_are_uniform_though_one_calibration_is_not() -> None:
    """Against a calibration of 5 that happens to lie high, later scores teach what is usual."""
    martingale = DriftMartingale(np.array([3.0, 3.1, 3.2, 3.3, 3.4]))
    random = np.random.default_rng(0)
    p_values = [martingale.add(float(score)) for score in random.normal(size=4000)]
    late = np.sort(p_values[2000:])
    assert np.abs(late - np.linspace(0, 1, 2000)).max() < 1.95 / math.sqrt(2000)


@pytest.mark.parametrize(
    ("shift", "bet", "within"), [(0.5, {"higher", "more"}, 400), (3, {"more"}, 60), (-1, {"lower"}, 150)]
)
def test_a_change_is_found_and_its_beginning(shift: float, bet: set[str], within: int) -> None:
    random = np.random.default_rng(1)
    delays, begins = [], []
    for seed in range(15):
        scores = random.normal(size=50 + 2500)
        scores[50 + 500 :] += shift
        found = first_win(scores[:50], scores[50:], 0.01, seed)
        if found is None:  # a faint shift hides where the calibration itself happens to lie high
            continue
        number, martingale = found
        assert martingale.leading() in bet
        delays.append(number - 500)
        begins.append(martingale.bets[martingale.leading()].since - 500)
    assert len(delays) >= 13
    assert 0 < np.median(delays) < within
    assert abs(float(np.median(begins))) <= 30


def test_a_change_that_was_there_from_the_first_frame_is_found() -> None:
    random = np.random.default_rng(2)
    found = [first_win(random.normal(size=20), random.normal(2, 1, size=300), 0.01, seed) for seed in range(10)]
    assert sum(item is not None for item in found) >= 9


def test_no_single_picture_weighs_much() -> None:
    martingale = DriftMartingale(np.arange(50.0))
    before = martingale.wealth
    for score in (1e300, math.inf, math.nan, -math.inf):
        martingale.add(score)
        assert martingale.wealth <= 1.5 * before
        before = martingale.wealth
    assert first_win(np.arange(50.0), np.full(100, math.nan), 0.01, 0)[0] >= 15  # type: ignore[index]


def test_the_same_seed_gives_the_same() -> None:
    scores = np.round(np.random.default_rng(3).normal(size=300))
    one, other = DriftMartingale(scores[:20], 7), DriftMartingale(scores[:20], 7)
    assert [one.add(s) for s in scores[20:]] == [other.add(s) for s in scores[20:]]
    assert one.wealth == other.wealth
