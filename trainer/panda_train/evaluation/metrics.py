"""Figures of merit of image scores.

A figure that is not defined (one class only, or a NaN among the scores) is None; nothing here raises for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import stats

Statistic: TypeAlias = Callable[[np.ndarray, np.ndarray], float | None]


class BestF1(NamedTuple):
    """The highest F1 over all thresholds; an image is called anomalous when score ≥ threshold."""

    f1: float
    threshold: float


def auroc(scores: np.ndarray, anomalous: np.ndarray) -> float | None:
    """Area under the ROC curve of scores (N,) against labels (N,) bool: P(anomalous > normal), ties counting half."""
    scores, anomalous = _flat(scores, anomalous)
    positives = int(anomalous.sum())
    negatives = len(anomalous) - positives
    if positives == 0 or negatives == 0 or np.isnan(scores).any():
        return None
    ranks = stats.rankdata(scores)
    return float((ranks[anomalous].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: np.ndarray, anomalous: np.ndarray) -> float | None:
    """Σ (recall step) · precision over descending thresholds; scores (N,), labels (N,) bool. None without positives."""
    scores, anomalous = _flat(scores, anomalous)
    if not anomalous.any() or np.isnan(scores).any():
        return None
    true, called, _ = _threshold_counts(scores, anomalous)
    return step_area(true, called)


def best_f1(scores: np.ndarray, anomalous: np.ndarray) -> BestF1 | None:
    """The best F1 that any threshold reaches on these labels: a ceiling, not what a calibrated threshold gives."""
    scores, anomalous = _flat(scores, anomalous)
    if not anomalous.any() or np.isnan(scores).any():
        return None
    true, called, thresholds = _threshold_counts(scores, anomalous)
    f1 = 2 * true / (called + true[-1])
    best = int(np.argmax(f1))
    return BestF1(float(f1[best]), float(thresholds[best]))


def roc_points(scores: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(false-positive rate, true-positive rate), float64 (thresholds + 1,), from the highest threshold down.

    scores (N,) without NaN, labels (N,) bool with both kinds.
    """
    scores, anomalous = _flat(scores, anomalous)
    true, called, _ = _threshold_counts(scores, anomalous)
    false = called - true
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def bootstrap_interval(
    statistic: Statistic,
    scores: np.ndarray,
    anomalous: np.ndarray,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile interval of statistic(scores, anomalous) over images drawn anew.

    Normal and anomalous images are drawn apart from each other, so that every resample has both.
    """
    scores, anomalous = _flat(scores, anomalous)
    if statistic(scores, anomalous) is None:
        return None
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(anomalous == label) for label in (False, True)]
    drawn = []
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(group, len(group)) for group in groups if len(group)])
        value = statistic(scores[chosen], anomalous[chosen])
        if value is not None:
            drawn.append(value)
    if not drawn:
        return None
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def binomial_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Clopper and Pearson's interval of a rate: covers it at least as often as it says. None without trials."""
    if trials == 0:
        return None
    tail = (1 - confidence) / 2
    low = stats.beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def _flat(scores: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, anomalous = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(anomalous, dtype=bool).ravel()
    if scores.shape != anomalous.shape:
        raise ValueError(f"{len(scores)} scores and {len(anomalous)} labels; one label a score is needed")
    return scores, anomalous


def _threshold_counts(scores: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each distinct score, highest first: anomalous ones at or above it, all at or above it, the score."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order]
    last = np.append(np.flatnonzero(np.diff(sorted_scores)), len(scores) - 1)
    return np.cumsum(anomalous[order])[last], last + 1, sorted_scores[last]


def step_area(true: np.ndarray, called: np.ndarray) -> float:
    """Average precision from cumulated counts (thresholds,), highest first: anomalous ones, all ones."""
    precision = true / np.maximum(called, 1)
    return float((np.diff(true, prepend=0) * precision).sum() / true[-1])
