"""Regions of a mask, against scikit-image's."""

from __future__ import annotations

import numpy as np
from skimage import measure

from panda_train.evaluation.true_regions import faintest, labelled

RNG = np.random.default_rng(3)


def test_the_faintest_region_is_that_of_brute_force() -> None:
    for _ in range(20):
        mask = np.zeros((40, 50), dtype=bool)
        mask[5:30, 7:45] = RNG.random((25, 38)) < 0.1
        heat = RNG.gamma(2.0, 1.0, mask.shape).astype(np.float32)
        regions = measure.regionprops(measure.label(mask, connectivity=2))
        peaks = [heat[tuple(region.coords.T)].max() for region in regions]
        top, left, bottom, right = regions[int(np.argmin(peaks))].bbox
        found = faintest(heat, mask)
        assert found is not None
        assert (found.box, found.peak) == ((left, top, right, bottom), min(peaks))


def test_what_was_not_looked_at_is_faintest() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[1, 1] = mask[8, 8] = True
    heat = np.zeros((10, 10), np.float32)
    heat[:4] = -np.inf
    found = faintest(heat, mask)
    assert found is not None
    assert (found.box, found.peak) == ((1, 1, 2, 2), -np.inf)


def test_no_region() -> None:
    nothing = np.zeros((4, 4), dtype=bool)
    assert labelled(nothing) is None
    assert faintest(np.zeros((4, 4), np.float32), nothing) is None
