"""Figures against scikit-learn, and PRO against a brute-force sweep over every threshold.

Tolerances: image figures 1e-12 (same definition, float64); pixel figures 1e-4 (scores kept to 14 mantissa bits).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from skimage import measure
from sklearn import metrics as sk

from panda_train.evaluate.metrics import (
    PixelScores,
    auroc,
    average_precision,
    best_f1,
    binomial_interval,
    bootstrap_interval,
    pixel_intervals,
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


def some_maps(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Smooth maps, higher on the masks; masks with touching diagonals, several regions and one image without."""
    masks = RNG.random((count, 20, 24)) < 0.05
    masks[0] = False
    masks[1, 3:9, 3:9] = True
    masks[2, 12, 12] = masks[2, 13, 13] = True  # one region, by its diagonal
    heat = RNG.gamma(2.0, 1.0, masks.shape) + 1.5 * masks
    return heat.astype(np.float32), masks


def counted(heat: np.ndarray, masks: np.ndarray) -> PixelScores:
    pixels = PixelScores()
    for one, mask in zip(heat, masks, strict=True):
        pixels.add(one, mask)
    return pixels


def brute_force_pro(heat: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """The definition, threshold by threshold, with regions from scikit-image."""
    regions = [
        (number, labels == label)
        for number, labels in enumerate(measure.label(mask, connectivity=2) for mask in masks)
        for label in range(1, labels.max() + 1)
    ]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(heat)[::-1]:
        called = heat >= threshold
        rates.append(called[~masks].mean())
        overlaps.append(np.mean([called[number][region].mean() for number, region in regions]))
    area = 0.0
    for x0, x1, y0, y1 in zip(rates, rates[1:], overlaps, overlaps[1:], strict=False):
        if x0 >= limit:
            break
        if x1 > limit:
            x1, y1 = limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


def test_pixel_auroc_and_precision_equal_scikit_learn() -> None:
    heat, masks = some_maps()
    pixels = counted(heat, masks)
    area = sk.roc_auc_score(masks.ravel(), heat.ravel())
    precision = sk.average_precision_score(masks.ravel(), heat.ravel())
    assert pixels.auroc() == pytest.approx(area, abs=1e-4)
    assert pixels.average_precision() == pytest.approx(precision, abs=1e-4)
    assert 0 <= pixels.auroc_error() < 1e-4
    assert abs(pixels.auroc() - area) <= pixels.auroc_error() + 1e-12


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_pro_equals_brute_force(limit: float) -> None:
    heat, masks = some_maps()
    assert counted(heat, masks).pro(limit) == pytest.approx(brute_force_pro(heat, masks, limit), abs=1e-4)


def test_pro_counts_a_small_region_as_much_as_a_large_one() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[:10, :10] = True
    mask[15, 15] = True
    heat = np.zeros((20, 20), np.float32)
    heat[:10, :10] = 1.0  # the large region is found at no false positive, the small one never before the limit
    assert counted(heat[None], mask[None]).pro() == pytest.approx(0.5 + 0.5 * 0.3 / 2)  # chance line for the rest


def test_perfect_and_reversed_maps() -> None:
    _, masks = some_maps()
    perfect = counted(masks.astype(np.float32), masks)
    assert (perfect.auroc(), perfect.pro(), perfect.average_precision()) == pytest.approx((1.0, 1.0, 1.0))
    assert counted(-masks.astype(np.float32), masks).auroc() == 0.0


def test_merging_and_settling_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    heat, masks = some_maps()
    whole, halves = counted(heat, masks), counted(heat[:3], masks[:3])
    halves.merge(counted(heat[3:], masks[3:]))
    monkeypatch.setattr("panda_train.evaluate.metrics._PENDING_CODES", 100)
    eager = counted(heat, masks)
    for other in (halves, eager):
        assert other.images == whole.images == len(heat)
        assert other.auroc() == pytest.approx(whole.auroc(), abs=1e-12)
        assert other.pro() == pytest.approx(whole.pro(), abs=1e-12)


def test_memory_is_bounded_by_distinct_scores_not_images() -> None:
    pixels = PixelScores()
    for _ in range(300):
        pixels.add(RNG.uniform(1, 2, (100, 100)).astype(np.float32), RNG.random((100, 100)) < 0.1)
    pixels.auroc()
    assert len(pixels._codes) <= 2**14 + 1  # one octave


def test_undefined_pixel_figures_are_none() -> None:
    heat, masks = some_maps()
    for pixels in (PixelScores(), counted(heat, np.zeros_like(masks)), counted(heat, np.ones_like(masks))):
        assert pixels.auroc() is None
        assert pixels.pro() is None
        assert pixels.pro_curve() is None
        assert pixels.roc_curve() is None
    heat[2, 0, 0] = np.nan
    broken = counted(heat, masks)
    assert (broken.auroc(), broken.pro(), broken.average_precision()) == (None, None, None)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="must have one shape"):
        PixelScores().add(np.zeros((4, 4)), np.zeros((4, 5), dtype=bool))


def test_curves_keep_their_ends_and_their_area() -> None:
    heat, masks = some_maps()
    pixels = counted(heat, masks)
    rate, found = pixels.roc_curve(400)
    assert (rate[0], found[0], rate[-1], found[-1]) == (0, 0, 1, 1)
    assert len(rate) <= 400
    assert np.trapezoid(found, rate) == pytest.approx(pixels.auroc(), abs=5e-3)


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


def test_coarse_counts_give_nearly_the_same_figures() -> None:
    heat, masks = some_maps()
    pixels = counted(heat, masks)
    coarse = pixels.coarsened()
    assert coarse.auroc() == pytest.approx(pixels.auroc(), abs=2e-3)
    assert coarse.pro() == pytest.approx(pixels.pro(), abs=2e-3)
    assert len(coarse._codes) < len(pixels._codes)


def test_pixel_intervals_hold_the_figure_and_shrink_with_images() -> None:
    def spans(count: int) -> dict[str, tuple[float, float] | None]:
        heat, masks = some_maps(count)
        alone = [counted(one[None], mask[None]).coarsened() for one, mask in zip(heat, masks, strict=True)]
        whole = counted(heat, masks)
        found = pixel_intervals(alone, resamples=200)
        for name, value in (("pixel_auroc", whole.auroc()), ("pro", whole.pro())):
            low, high = found[name]
            assert low < value < high
        return found

    few, many = spans(8), spans(80)
    for name in few:
        assert many[name][1] - many[name][0] < few[name][1] - few[name][0]


def test_undefined_pixel_intervals_are_none() -> None:
    heat, masks = some_maps()
    alone = [counted(one[None], np.zeros_like(mask)[None]).coarsened() for one, mask in zip(heat, masks, strict=True)]
    assert pixel_intervals(alone) == {"pixel_auroc": None, "pro": None}
    assert pixel_intervals([]) == {"pixel_auroc": None, "pro": None}
