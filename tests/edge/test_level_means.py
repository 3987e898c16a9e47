"""Means of each level by itself against float64 numpy, cell by cell.

Tolerance: float32 sums of up to 4 × 40 squares.
"""

import numpy as np
import pytest

from panda_edge import kernel
from panda_edge.banks.kmeans_levels import LevelMeansGallery
from panda_edge.banks.level_files import raster_order
from panda_edge.banks.query import Query

RELATIVE = 1e-5
CHANNELS = (40, 17, 9, 3)


def expected_distances(levels, means, grid):
    """float64 (height, width) of the finest level."""
    fineness = 2 ** (len(levels) - 1)
    place = raster_order(grid, len(levels) - 1)
    result = np.zeros((grid[0] * fineness, grid[1] * fineness))
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            cell = place[row, column]
            for depth, (level, centres) in enumerate(zip(levels, means, strict=True)):
                x = level[cell // 4 ** (len(levels) - 1 - depth)].astype(np.float64)
                with np.errstate(invalid="ignore"):
                    squared = ((centres.astype(np.float64) - x) ** 2).sum(1)
                result[row, column] += np.where(np.isnan(squared), np.inf, squared).min()
    return result


def made(depth, grid, count, dtype, seed=0):
    random = np.random.default_rng(seed)
    cells = [grid[0] * grid[1] * 4**d for d in range(depth)]
    levels = [random.normal(size=(n, c)).astype(np.float32) for n, c in zip(cells, CHANNELS, strict=False)]
    means = [random.normal(size=(count, level.shape[1])).astype(dtype) for level in levels]
    return levels, means, cells


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("grid", [(3, 5), (4, 2), (1, 1)])
@pytest.mark.parametrize(("count", "dtype"), [(1, np.float32), (7, np.float16), (50, np.float16)])
def test_the_sum_over_levels_of_the_nearest_mean(level, depth, grid, count, dtype):
    levels, means, cells = made(depth, grid, count, dtype)
    found = LevelMeansGallery(means, cells, grid, threads=2).search(Query(levels)).squared
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected_distances(levels, means, grid), rtol=RELATIVE)


def test_a_nan_is_far_from_everything_below_its_cell():
    levels, means, cells = made(3, (2, 3), 5, np.float32)
    levels[1][7, 2] = np.nan
    found = LevelMeansGallery(means, cells, (2, 3), threads=1).search(Query(levels)).squared
    expected = expected_distances(levels, means, (2, 3))
    assert np.isinf(found).sum() == 4
    np.testing.assert_allclose(found, expected, rtol=RELATIVE)


def test_one_joint_mean_is_never_nearer():
    levels, means, cells = made(3, (2, 3), 6, np.float32)
    joint, _ = kernel.nearest_mean(levels, means, (2, 3))
    by_level = LevelMeansGallery(means, cells, (2, 3), threads=1).search(Query(levels)).squared
    assert (by_level <= joint * (1 + RELATIVE)).all()
    assert (by_level < 0.99 * joint).any()
