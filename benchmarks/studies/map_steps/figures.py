"""The figures of one variant on one set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage, stats

from benchmarks.studies.map_steps.searches import Searched
from benchmarks.studies.map_steps.variants import Maps, cell_means, statistics
from panda_edge.images.view import View
from panda_train.evaluation import metrics
from panda_train.evaluation.pixel_scores import PixelScores, pixel_intervals

FPR = 0.05
DECISION_SIGMAS = (2.0, 3.0, 4.0)
_PLACE_SIGMA = 1.0  # cells, that the mean normal map is blurred by
_CALIBRATED = 200  # stored pictures that calibrate, spread evenly
_RESAMPLES = 300
MIXES = {
    "max+top1": ("max@4", "top1@4"),
    "sharp max+top1": ("max@2", "top1@4"),
    "sharp place+top1": ("place@2", "top1@4"),
    "sharp max+place+top1": ("max@2", "place@2", "top1@4"),
}


def figures(
    maps: Maps,
    found: Searched,
    views: Sequence[View],
    masks: Sequence[np.ndarray] | None,
    kept: Path,
    in_full: bool = False,
) -> dict[str, Any]:
    """Image AUROC by each statistic, and, with masks, pixel AUROC and PRO. in_full: false alarms and finds at FPR, and
    intervals, too. kept: file for every picture's statistics."""
    numbers = [int(n) for n in np.unique(np.linspace(0, found.normal - 1, _CALIBRATED).astype(int))]
    drawn = [maps.blurred(number, DECISION_SIGMAS) for number in numbers]
    total = {sigma: sum(cell_means(one[sigma]) for one in drawn) for sigma in DECISION_SIGMAS}
    usual = {sigma: _smooth(sums / len(numbers)) for sigma, sums in total.items()}
    normal = []
    for one in drawn:
        others = {s: _smooth((sums - cell_means(one[s])) / max(len(numbers) - 1, 1)) for s, sums in total.items()}
        normal.append(statistics(one, others))
    tested, pixels, alone = [], PixelScores(), []
    for i in range(len(found.anomalous)):
        tested.append(statistics(maps.blurred(found.normal + i, DECISION_SIGMAS), usual))
        if masks is not None:
            one = PixelScores()
            one.add(maps[found.normal + i], masks[i])
            pixels.merge(one)
            if in_full:
                alone.append(one.coarsened())
    rules = {rule: (np.array([n[rule] for n in normal]), np.array([t[rule] for t in tested])) for rule in tested[0]}
    for name, parts in MIXES.items():
        if all(part in rules for part in parts):
            rules[name] = _mixed([rules[part] for part in parts])
    np.savez_compressed(kept, bad=found.anomalous, **{f"{r} {k}": v[k] for r, v in rules.items() for k in (0, 1)})
    parts_of_row = ("image", "false_alarms", "found", "image_interval") if in_full else ("image",)
    row: dict[str, Any] = {part: {} for part in parts_of_row}
    bad = found.anomalous
    for rule, (calibration, scores) in rules.items():
        row["image"][rule] = _rounded(metrics.auroc(scores, bad))
        if not in_full:
            continue
        p_values = (1 + (calibration[None] >= scores[:, None]).sum(axis=1)) / (len(calibration) + 1)
        called = p_values <= max(FPR, 1 / (len(calibration) + 1)) + 1e-9
        row["false_alarms"][rule] = int(called[~bad].sum())
        row["found"][rule] = _rounded(called[bad].mean())
        row["image_interval"][rule] = _interval(scores, bad)
    row["good"] = int((~bad).sum())
    row["most_false_alarms"] = int(stats.binom.ppf(0.975, row["good"], max(FPR, 1 / (len(normal) + 1))))
    if masks is not None:
        row |= {"pixel": _rounded(pixels.auroc()), "pro": _rounded(pixels.pro())}
        if in_full:
            row["pixel_interval"] = {
                key: [round(end, 4) for end in span] for key, span in pixel_intervals(alone, _RESAMPLES).items() if span
            }
    return row


def _smooth(mean: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(mean, _PLACE_SIGMA, mode="nearest"))


def _mixed(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of several statistics, each less its median over normal pictures and over its spread there."""
    mixed = [np.zeros(len(values)) for values in parts[0]]
    for normal, tested in parts:
        low, middle, high = np.quantile(normal, [0.25, 0.5, 0.75])
        for sums, values in zip(mixed, (normal, tested), strict=True):
            sums += (values - middle) / max(high - low, 1e-12) / len(parts)
    return mixed[0], mixed[1]


def _interval(scores: np.ndarray, bad: np.ndarray) -> list[float]:
    """95 % by pictures drawn anew, normal and anomalous ones apart."""
    drawn = [metrics.auroc(scores[i], bad[i]) for i in _resamples(bad)]
    return [round(float(end), 4) for end in np.quantile([d for d in drawn if d is not None], [0.025, 0.975])]


def _resamples(bad: np.ndarray) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(bad == label) for label in (False, True)]
    for _ in range(_RESAMPLES):
        yield np.concatenate([rng.choice(group, len(group)) for group in groups])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)
