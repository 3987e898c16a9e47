"""Figures of image scores against scikit-learn: 1e-12, as the definition is the same, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from panda_train.evaluation.metrics import (
    auroc,
    average_precision,
    best_f1,
    binomial_interval,
    bootstrap_interval,
    roc_points,
)

RNG = np.random.default_rng(7)


def some_scores(ties: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = RNG.random(300) < 0.3
    scores = RNG.normal(labels * 1.0, 1.0)
    return (np.round(scores, 1) if ties else scores), labels


@pytest.mark.parametrize("ties", [False, True])
def test_image_figures_equal_scikit_learn(ties: bool) -> None:
    scores, labels = some_scores(ties)
    assert auroc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(sk.average_precision_score(labels, scores), abs=1e-12)
    best = best_f1(scores, labels)
    assert best is not None
    every = [sk.f1_score(labels, scores >= threshold) for threshold in scores]
    assert best.f1 == pytest.approx(max(every), abs=1e-12)
    assert sk.f1_score(labels, scores >= best.threshold) == pytest.approx(best.f1, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([], []), ([1.0, 2.0], [False, False]), ([1.0, np.nan], [False, True])],
    ids=["nothing", "one class", "NaN"],
)
def test_undefined_figures_are_none(scores: list[float], labels: list[bool]) -> None:
    for figure in (auroc, average_precision, best_f1):
        assert figure(np.array(scores), np.array(labels, dtype=bool)) is None
    assert bootstrap_interval(auroc, np.array(scores), np.array(labels, dtype=bool)) is None


def test_infinite_scores_are_ranked() -> None:
    assert auroc(np.array([0.0, np.inf, 1.0]), np.array([False, True, False])) == 1.0


def test_labels_and_scores_must_pair() -> None:
    with pytest.raises(ValueError, match="3 scores and 2 labels"):
        auroc(np.zeros(3), np.zeros(2, dtype=bool))


def test_bootstrap_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Gaussian classes one standard deviation apart have AUROC Φ(1/√2); 200 draws, 95 % intervals."""
    truth, rng, covered = 0.7602499389065233, np.random.default_rng(0), 0
    for draw in range(200):
        labels = np.repeat([False, True], [60, 60])
        interval = bootstrap_interval(auroc, rng.normal(labels * 1.0, 1.0), labels, resamples=200, seed=draw)
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 176 <= covered <= 199  # binomial(200, .95) within ±4 σ, less a little for the percentile method


def test_bootstrap_is_seeded() -> None:
    scores, labels = some_scores(False)
    first, again, other = (bootstrap_interval(auroc, scores, labels, 50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_roc_points_equal_scikit_learn() -> None:
    scores, labels = some_scores(ties=True)
    false, true = roc_points(scores, labels)
    expected_false, expected_true, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(false, expected_false)
    np.testing.assert_allclose(true, expected_true)


@pytest.mark.parametrize(("successes", "trials"), [(0, 190), (1, 190), (95, 190), (190, 190)])
def test_binomial_interval_ends_where_the_tails_are(successes: int, trials: int) -> None:
    low, high = binomial_interval(successes, trials)
    assert stats.binom.sf(successes - 1, trials, low) == pytest.approx(0.025 if successes else 1.0)
    assert stats.binom.cdf(successes, trials, high) == pytest.approx(0.025 if successes < trials else 1.0)
    assert binomial_interval(0, 0) is None
