"""Pixel figures against scikit-learn, and PRO against a brute-force sweep over every threshold.

Tolerance 1e-4: scores are kept to 14 mantissa bits.
"""

from __future__ import annotations

import numpy as np
import pytest
from skimage import measure
from sklearn import metrics as sk

from panda_train.evaluation.pixel_scores import PixelScores, pixel_intervals

RNG = np.random.default_rng(7)


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
    monkeypatch.setattr("panda_train.evaluation.pixel_scores._PENDING_CODES", 100)
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
