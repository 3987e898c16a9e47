"""Searches that look at less: query cells left out, and windows around a cell's own place.

Each against brute force over joint descriptors in float64, at every level. On integer features distances are exact, and
the lowest index must win.
"""

import time

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from panda_edge import _kernel, kernel
from panda_edge.banks.level_files import joint_descriptors, unnest

GRIDS = [
    ((1, 1), (3,)),
    ((5, 7), (9,)),
    ((3, 2), (5, 1, 7)),
    ((2, 9), (17, 9, 4)),
    ((7, 5), (6, 3)),
    ((3, 3), (8, 4, 3, 2)),
    ((8, 8), (20, 8, 5)),
]


def pyramid(rng, grid, channels, images=None, dtype=np.float32):
    """Levels (images, cells, C) of small integers; without the first axis where no images are given."""
    lead = () if images is None else (images,)
    cells = [grid[0] * grid[1] * 4**depth for depth in range(len(channels))]
    return [rng.integers(-2, 3, (*lead, n, c)).astype(dtype) for n, c in zip(cells, channels, strict=True)]


def in_raster(levels, grid):
    """Joint descriptors (H * W, C) of one image, float64, row by row."""
    joint = joint_descriptors([level.astype(np.float64) for level in levels])
    return unnest(joint, grid).reshape(len(joint), -1)


def coarse_places(grid, depth):
    """Row and column of each finest position's coarsest cell: (H * W,) each."""
    rows, columns = np.indices((grid[0] << depth, grid[1] << depth)) >> depth
    return rows.ravel(), columns.ravel()


def brute_force(query, gallery, grid, images=None, window=None):
    """Squared distances (H * W, images * H * W); +inf where a pair is not to be looked at."""
    q = in_raster(query, grid)
    found = []
    for image in range(len(gallery[0])):
        g = in_raster([level[image] for level in gallery], grid)
        distances = cdist(q, g, "sqeuclidean")
        if images is not None and image not in images:
            distances[:] = np.inf
        found.append(distances)
    rows, columns = coarse_places(grid, len(query) - 1)
    if window is not None:
        apart = np.maximum(abs(rows[:, None] - rows), abs(columns[:, None] - columns))
        for distances in found:
            distances[apart > window] = np.inf
    return np.concatenate(found, axis=1)


def check(result, exact, wanted=None):
    """Equal to brute force where wanted (H * W,), distance 0 and index -1 elsewhere."""
    distances, indices = (part.ravel() for part in result)
    wanted = np.ones(len(distances), bool) if wanted is None else wanted
    np.testing.assert_array_equal(distances, np.where(wanted, exact.min(1), 0))
    np.testing.assert_array_equal(indices, np.where(wanted, exact.argmin(1), -1))


@pytest.mark.parametrize("window", [0, 1, 2, 5, 1000])
@pytest.mark.parametrize(("grid", "channels"), GRIDS)
def test_a_window_equals_brute_force(level, grid, channels, window):
    rng = np.random.default_rng(window)
    gallery = pyramid(rng, grid, channels, images=4, dtype=np.float16)
    query, chosen = pyramid(rng, grid, channels), [3, 1, 3]
    whole, part = (brute_force(query, gallery, grid, images, window) for images in (None, chosen))
    for threads in (1, 3):
        search = kernel.PyramidSearch(gallery, grid, threads)
        check(search.nearest(query, window=window), whole)
        check(search.nearest(query, chosen, window=window), part)


@pytest.mark.parametrize("window", [None, 0, 2])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize(("grid", "channels"), GRIDS)
def test_cells_left_out(level, grid, channels, share, window):
    rng = np.random.default_rng(7)
    gallery = pyramid(rng, grid, channels, images=3)
    query = pyramid(rng, grid, channels)
    cells = rng.random(grid) < share
    depth = len(channels) - 1
    wanted = cells.repeat(1 << depth, 0).repeat(1 << depth, 1).ravel()
    for rows, each in zip(query, [4**d for d in range(depth + 1)], strict=True):
        rows[~cells.ravel().repeat(each)] = np.nan  # whatever lies there is not looked at
    result = kernel.PyramidSearch(gallery, grid, 2).nearest(query, cells=cells, window=window)
    query = [np.nan_to_num(rows) for rows in query]
    check(result, brute_force(query, gallery, grid, window=window), wanted)


@pytest.mark.parametrize("window", [None, 1])
@pytest.mark.parametrize(("grid", "channels"), GRIDS)
def test_what_is_near_enough_may_stop_there(level, grid, channels, window):
    rng = np.random.default_rng(9)
    gallery, query = pyramid(rng, grid, channels, images=4), pyramid(rng, grid, channels)
    exact = brute_force(query, gallery, grid, window=window)
    nearest = exact.min(1)
    search = kernel.PyramidSearch(gallery, grid, 2)
    for enough in (0.0, float(np.median(nearest)), np.inf):
        distances, indices = (part.ravel() for part in search.nearest(query, window=window, enough=enough))
        np.testing.assert_array_equal(distances, exact[np.arange(len(exact)), indices])
        far = nearest >= enough
        np.testing.assert_array_equal(distances[far], nearest[far])
        np.testing.assert_array_equal(indices[far], exact.argmin(1)[far])
        assert (distances[~far] < enough).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("grid", "channels"), GRIDS)
def test_cells_left_out_among_means(level, grid, channels, share):
    rng = np.random.default_rng(8)
    means = [rng.integers(-2, 3, (70, c)).astype(np.float16) for c in channels]
    query = pyramid(rng, grid, channels)
    cells = rng.random(grid) < share
    exact = cdist(in_raster(query, grid), np.concatenate(means, 1), "sqeuclidean")
    side = 1 << (len(channels) - 1)
    wanted = cells.repeat(side, 0).repeat(side, 1).ravel()
    check(kernel.MeanSearch(means, grid, 2).nearest(query, cells), exact, wanted)


@pytest.mark.parametrize("seed", range(6))
def test_a_window_on_smooth_pyramids(level, seed):
    """Real numbers, neighbours alike, as networks give them: to 1e-5, as the whole search."""
    rng = np.random.default_rng(seed)
    grid, channels, window = (6, 7), (24, 13, 6), seed % 3
    gallery = [np.cumsum(rows * 0.3, 1) + 2 for rows in pyramid(rng, grid, channels, images=4)]
    query = [np.cumsum(rows * 0.3, 0) + 2 for rows in pyramid(rng, grid, channels)]
    gallery = [(rows + rng.normal(size=rows.shape) * 0.1).astype(np.float16) for rows in gallery]
    exact = brute_force(query, gallery, grid, window=window)
    for epsilon in (0.0, 0.2):
        search = kernel.PyramidSearch(gallery, grid, 2)
        distances, indices = search.nearest(query, epsilon=epsilon, window=window)
        at_index = np.take_along_axis(exact, indices.reshape(-1, 1), 1)[:, 0]
        np.testing.assert_allclose(distances.ravel(), at_index, rtol=1e-5)
        assert (at_index <= exact.min(1) * (1 + epsilon) ** 2 * (1 + 1e-5)).all()


def test_nothing_finite_in_a_window(level):
    """+inf, and the lowest position of the window."""
    rng = np.random.default_rng(2)
    grid, channels = (5, 5), (6, 4)
    gallery = pyramid(rng, grid, channels, images=3)
    for rows in gallery:
        rows[:] = np.nan
    distances, indices = kernel.PyramidSearch(gallery, grid).nearest(pyramid(rng, grid, channels), [2, 1], window=1)
    assert np.isinf(distances).all()
    rows, columns = coarse_places(grid, 1)
    lowest = np.maximum(rows - 1, 0) * 2 * 10 + np.maximum(columns - 1, 0) * 2
    np.testing.assert_array_equal(indices.ravel(), 100 + lowest)


def test_a_gallery_of_several_blocks(level):
    """More images than are rounded to integers at once (16 MB)."""
    rng = np.random.default_rng(6)
    grid, channels, images = (2, 3), (3, 2, 2), 5000
    gallery = pyramid(rng, grid, channels, images, np.float16)
    query = pyramid(rng, grid, channels)
    check(kernel.PyramidSearch(gallery, grid, 2).nearest(query, window=1), brute_force(query, gallery, grid, window=1))


@pytest.mark.parametrize("options", [{"window": 1}, {"cells": True}, {"cells": True, "window": 2, "epsilon": 0.1}])
def test_further_frames_take_no_memory(level, options):
    rng = np.random.default_rng(3)
    grid, channels = (6, 5), (20, 12, 7)
    search = kernel.PyramidSearch(pyramid(rng, grid, channels, images=9, dtype=np.float16), grid, 2)

    def frame():
        cells = rng.random(grid) < 0.5 if "cells" in options else None
        return search.nearest(pyramid(rng, grid, channels), **{**options, "cells": cells})

    frame()
    before = _kernel.allocations()
    assert all(np.isfinite(frame()[0]).all() for _ in range(5))
    assert _kernel.allocations() == before


def test_cost_falls_with_what_is_left_out(level):
    """A fifth of the cells, or a window, takes far less processor time than the whole."""
    rng = np.random.default_rng(4)
    grid, channels = (14, 14), (32, 16, 8)
    images = 2 if level == "scalar" else 20
    search = kernel.PyramidSearch(pyramid(rng, grid, channels, images, np.float16), grid)
    query = [rows + 0.1 for rows in pyramid(rng, grid, channels)]
    cells = np.zeros(grid, bool)
    cells[:, :3] = True

    def seconds(**options):
        taken = []
        for _ in range(3):
            started = time.thread_time()
            search.nearest(query, **options)
            taken.append(time.thread_time() - started)
        return min(taken)

    whole = seconds()
    assert seconds(cells=cells) < 0.5 * whole
    assert seconds(window=1) < 0.6 * whole


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"window": -1}, ValueError, "window: got -1"),
        ({"cells": np.ones((2, 3), bool)}, ValueError, "cells: got length 3 on axis 1, expected 2"),
        ({"cells": np.ones(4, bool)}, ValueError, "cells: got 1 dimensions, expected 2"),
        ({"cells": np.ones((2, 2), np.float32)}, TypeError, "cells: got items of format 'f', expected bool"),
    ],
)
def test_refused(options, error, words):
    rng = np.random.default_rng(5)
    search = kernel.PyramidSearch(pyramid(rng, (2, 2), (3, 2), images=2), (2, 2))
    with pytest.raises(error, match=words):
        search.nearest(pyramid(rng, (2, 2), (3, 2)), **options)


def test_descriptors_without_a_place_have_no_window():
    joint = _kernel.Pyramid([np.ones((3, 2), np.float32)], [None], 2, 2, False)
    out = np.empty((2, 2), np.float32), np.empty((2, 2), np.int64)
    with pytest.raises(ValueError, match=r"window: got 1, .*no place"):
        joint.nearest([np.ones((4, 2), np.float32)], None, None, 1, 0.0, 0.0, 1, *out)
