"""Regions against scipy's labelling, and their boxes and peaks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from panda_edge.decide.regions import find_regions, label_regions


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (24, 31), (64, 64)])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.45, 0.7, 1.0])
def test_labels_equal_scipy(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(int(100 * share) + shape[0]).random(shape) < share
    labels, count = label_regions(mask)
    expected, expected_count = ndimage.label(mask, structure=np.ones((3, 3)))
    assert count == expected_count
    assert np.array_equal(labels, expected)  # both number by first pixel


def test_a_spiral_is_one_region() -> None:
    spiral = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], dtype=bool)
    assert label_regions(spiral)[1] == 1


def test_boxes_areas_and_peaks() -> None:
    heatmap = np.zeros((10, 12), np.float32)
    heatmap[1:3, 2:5] = 2.0
    heatmap[2, 3] = 3.0
    heatmap[7, 9] = heatmap[8, 10] = 5.0  # touch at a corner
    heatmap[0, 0] = np.nan
    strong, weak = find_regions(heatmap, 1.0)
    assert (strong.box, strong.area, strong.peak, strong.peak_at) == ((9, 7, 11, 9), 2, 5.0, (9, 7))
    assert (weak.box, weak.area, weak.peak, weak.peak_at) == ((2, 1, 5, 3), 6, 3.0, (3, 2))
    assert find_regions(heatmap, 5.0) == (), "a pixel at the threshold is normal"


def test_regions_apart_from_the_border_lie_where_they_are() -> None:
    heatmap = np.random.default_rng(5).random((40, 50)).astype(np.float32)
    heatmap[:9] = heatmap[:, :7] = 0
    labels, count = ndimage.label(heatmap > 0.8, structure=np.ones((3, 3)))
    found = find_regions(heatmap, 0.8)
    assert len(found) == count > 50
    assert [region.peak for region in found] == sorted((region.peak for region in found), reverse=True)
    for region in found:
        x, y = region.peak_at
        assert heatmap[y, x] == region.peak
        own = labels == labels[y, x]
        ys, xs = np.nonzero(own)
        assert region.area == len(ys)
        assert region.peak == heatmap[own].max()
        assert region.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
