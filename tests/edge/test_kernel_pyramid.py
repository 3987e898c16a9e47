"""Pyramid search: every level of every thread count against brute force over concatenated descriptors, in float64.

Tolerance: 1e-5 relative on squared distances. An index need not be brute force's where two distances agree to that
precision, so indices are checked by the distance of what they point at; on integer-valued features distances are
exact and the indices must be equal.
"""

import threading

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from panda_edge import kernel

RELATIVE = 1e-5


def nested_to_map(rows, grid, depth):
    """(..., cells, C) in nested order of level `depth` -> (..., H, W, C)."""
    lead, channels = rows.shape[:-2], rows.shape[-1]
    h, w = grid
    maps = rows.reshape(*lead, h, w, *[2] * (2 * depth), channels)
    n = len(lead)
    row_axes = [n, *[n + 2 + 2 * i for i in range(depth)]]
    column_axes = [n + 1, *[n + 3 + 2 * i for i in range(depth)]]
    maps = maps.transpose(*range(n), *row_axes, *column_axes, maps.ndim - 1)
    return maps.reshape(*lead, h << depth, w << depth, channels)


def joint(levels, grid):
    """Concatenated nearest-upsampled descriptors: (..., H, W, sum of C), float64."""
    finest = len(levels) - 1
    maps = []
    for depth, rows in enumerate(levels):
        map_ = nested_to_map(np.asarray(rows, np.float64), grid, depth)
        scale = 2 ** (finest - depth)
        maps.append(map_.repeat(scale, axis=-3).repeat(scale, axis=-2))
    return np.concatenate(maps, axis=-1)


def brute_force(query, gallery, grid, images=None):
    q = joint(query, grid)
    g = joint(gallery, grid)
    height, width, channels = q.shape
    g = g.reshape(-1, channels)
    distances = cdist(q.reshape(-1, channels), g, "sqeuclidean")  # of differences, in float64
    distances[np.isnan(distances)] = np.inf
    if images is not None:
        allowed = np.isin(np.arange(g.shape[0]) // (height * width), images)
        distances[:, ~allowed] = np.inf
    return distances


def check(search_result, exact, grid_shape, factor=1.0):
    distances, indices = search_result
    wanted = exact.min(axis=1)
    at_index = np.take_along_axis(exact, indices.reshape(-1, 1), 1)[:, 0]
    assert distances.shape == indices.shape == grid_shape
    np.testing.assert_allclose(distances.ravel(), at_index, rtol=RELATIVE, atol=1e-30)
    assert np.all(distances.ravel() <= wanted * factor * (1 + RELATIVE) + 1e-30)


def pyramid(rng, images, grid, channels, dtype=np.float32, integers=False):
    cells = grid[0] * grid[1]
    levels = []
    for depth, c in enumerate(channels):
        shape = (images, cells * 4**depth, c)
        values = rng.integers(-2, 3, shape) if integers else rng.normal(size=shape)
        levels.append(np.ascontiguousarray(values, dtype))
    return levels


def of_image(gallery, image):
    return [level[image].astype(np.float32) for level in gallery]


CASES = [
    ((1, 1), (3,), 4),
    ((1, 1), (3, 2), 2),
    ((3, 2), (5, 1, 7), 3),
    ((2, 5), (33, 17, 9), 4),
    ((7, 3), (1, 1), 5),
    ((2, 2), (4, 3, 2, 1), 3),
    ((9, 11), (13,), 3),
    ((4, 4), (112, 40, 24), 6),
    ((2, 3), (64, 96, 33, 18), 2),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("grid", "channels", "images"), CASES)
def test_equals_brute_force(level, grid, channels, images, dtype):
    rng = np.random.default_rng(sum(channels))
    gallery = pyramid(rng, images, grid, channels, dtype)
    query, chosen = of_image(pyramid(rng, 1, grid, channels), 0), np.array([images - 1, 0, images - 1])
    fine = 2 ** (len(channels) - 1)
    whole, part = brute_force(query, gallery, grid), brute_force(query, gallery, grid, chosen)
    for threads in (1, 2, 5):
        search = kernel.PyramidSearch(gallery, grid, threads=threads)
        check(search.nearest(query), whole, (grid[0] * fine, grid[1] * fine))
        check(search.nearest(query, chosen), part, (grid[0] * fine, grid[1] * fine))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("seed", range(8))
def test_equals_brute_force_on_smooth_pyramids(level, seed, dtype):
    """Neighbouring cells alike, levels of very different scale and far from the origin, as networks give them."""
    rng = np.random.default_rng(seed)
    grid, channels = (int(rng.integers(2, 6)), int(rng.integers(2, 6))), tuple(rng.integers(1, 40, rng.integers(2, 5)))
    gallery = pyramid(rng, 5, grid, channels)
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    for depth in range(len(channels)):
        scale, offset = 10.0 ** rng.integers(-2, 2), rng.normal(size=channels[depth]) * 3
        for rows in (gallery[depth], query[depth]):
            rows += np.cumsum(rng.normal(size=rows.shape), axis=-2) * 0.3 + offset
            rows *= scale
    gallery = [rows.astype(dtype) for rows in gallery]
    fine = 2 ** (len(channels) - 1)
    search = kernel.PyramidSearch(gallery, grid, threads=2)
    check(search.nearest(query), brute_force(query, gallery, grid), (grid[0] * fine, grid[1] * fine))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_ties_go_to_the_lowest_index(level, dtype):
    rng = np.random.default_rng(3)
    grid, channels = (3, 4), (2, 2, 1)
    gallery = pyramid(rng, 6, grid, channels, dtype, integers=True)
    query = of_image(pyramid(rng, 1, grid, channels, integers=True), 0)
    distances, indices = kernel.PyramidSearch(gallery, grid, threads=2).nearest(query)
    exact = brute_force(query, gallery, grid)
    np.testing.assert_array_equal(distances.ravel(), exact.min(axis=1))
    np.testing.assert_array_equal(indices.ravel(), exact.argmin(axis=1))
    chosen = [4, 2, 5, 2]
    _, indices = kernel.PyramidSearch(gallery, grid, threads=2).nearest(query, chosen)
    np.testing.assert_array_equal(indices.ravel(), brute_force(query, gallery, grid, chosen).argmin(axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_an_image_of_the_gallery_finds_itself_also_when_stored_twice(level, dtype):
    rng = np.random.default_rng(4)
    grid, channels = (3, 3), (20, 11, 6)
    gallery = pyramid(rng, 4, grid, channels, dtype)
    for rows in gallery:
        rows[3] = rows[1]
    distances, indices = kernel.PyramidSearch(gallery, grid).nearest(of_image(gallery, 3))
    np.testing.assert_array_equal(distances, 0)
    np.testing.assert_array_equal(indices, 1 * 144 + np.arange(144).reshape(12, 12))


def test_nan_counts_as_infinity(level):
    rng = np.random.default_rng(5)
    grid, channels = (2, 2), (5, 4, 3)
    gallery = pyramid(rng, 3, grid, channels)
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    gallery[0][0, 1, 2] = np.nan
    gallery[1][1, 5, 0] = np.nan
    gallery[2][2, 60, 1] = np.inf
    search = kernel.PyramidSearch(gallery, grid, threads=2)
    check(search.nearest(query), brute_force(query, gallery, grid), (8, 8))
    query[0][3, 0] = np.nan
    distances, indices = search.nearest(query, [2, 1])
    assert np.isinf(distances[4:, 4:]).all()
    np.testing.assert_array_equal(indices[4:, 4:], 64)  # the lowest position there is
    assert np.isfinite(distances[:4]).all()
    for rows in gallery:
        rows[:] = np.nan
    distances, indices = kernel.PyramidSearch(gallery, grid).nearest(query)
    assert np.isinf(distances).all()
    np.testing.assert_array_equal(indices, 0)


@pytest.mark.parametrize("magnitude", [1e-30, 1e-8, 1e8, 3e18, 1e30])
def test_extreme_magnitudes(level, magnitude):
    rng = np.random.default_rng(6)
    grid, channels = (2, 3), (7, 5, 3)
    gallery = [rows * np.float32(magnitude) for rows in pyramid(rng, 3, grid, channels)]
    query = [rows * np.float32(magnitude) for rows in of_image(pyramid(rng, 1, grid, channels), 0)]
    distances, indices = kernel.PyramidSearch(gallery, grid).nearest(query)
    exact = brute_force(query, gallery, grid)
    with np.errstate(over="ignore"):
        wanted = exact.min(axis=1).astype(np.float32)
    np.testing.assert_allclose(distances.ravel(), wanted, rtol=RELATIVE, atol=1e-42)
    assert indices.min() >= 0
    assert indices.max() < 3 * 96


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.3, 2.0])
def test_epsilon_bounds_the_root_distance(level, epsilon):
    rng = np.random.default_rng(7)
    grid, channels = (4, 4), (12, 10, 6)
    gallery = pyramid(rng, 6, grid, channels, np.float16)
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    result = kernel.PyramidSearch(gallery, grid, threads=2).nearest(query, epsilon=epsilon)
    check(result, brute_force(query, gallery, grid), (16, 16), factor=(1 + epsilon) ** 2)


def test_a_gallery_larger_than_a_pass(level):
    rng = np.random.default_rng(8)
    grid, channels = (3, 3), (2, 1)
    gallery = pyramid(rng, 2500, grid, channels, np.float16)
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    search = kernel.PyramidSearch(gallery, grid, threads=2)
    exact = brute_force(query, gallery, grid)
    check(search.nearest(query), exact, (6, 6))
    check(search.nearest(query, rng.permutation(2500)), exact, (6, 6))


def test_one_object_many_frames(level):
    """The workspace that is kept between frames carries nothing over."""
    rng = np.random.default_rng(9)
    grid, channels = (3, 3), (8, 6, 4)
    gallery = pyramid(rng, 5, grid, channels, np.float16)
    search = kernel.PyramidSearch(gallery, grid, threads=2)
    for frame in range(6):
        query = of_image(pyramid(rng, 1, grid, channels), 0)
        chosen = rng.permutation(5)[: 1 + frame % 5]
        check(search.nearest(query, chosen), brute_force(query, gallery, grid, chosen), (12, 12))


def test_memory_maps_are_read_in_place(tmp_path, level):
    rng = np.random.default_rng(10)
    grid, channels = (2, 2), (5, 3)
    gallery = pyramid(rng, 3, grid, channels, np.float16)
    mapped = []
    for depth, rows in enumerate(gallery):
        np.save(tmp_path / f"{depth}.npy", rows)
        mapped.append(np.load(tmp_path / f"{depth}.npy", mmap_mode="r"))
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    expected = kernel.PyramidSearch(gallery, grid).nearest(query)
    for got, wanted in zip(kernel.PyramidSearch(mapped, grid).nearest(query), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    ("grid", "channels", "m"), [((1, 1), (3,), 1), ((3, 2), (5, 4, 3), 50), ((2, 2), (7, 5), 9001)]
)
def test_nearest_mean_equals_brute_force(level, grid, channels, m, dtype):
    rng = np.random.default_rng(m)
    means = [rng.normal(size=(m, c)).astype(dtype) for c in channels]
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    q = joint(query, grid)
    flat = np.concatenate([part.astype(np.float64) for part in means], axis=1)
    exact = np.stack([((flat - p) ** 2).sum(-1) for p in q.reshape(-1, q.shape[-1])])
    check(kernel.nearest_mean(query, means, grid, threads=2), exact, q.shape[:2])


def test_threads_sharing_one_object_are_refused_and_separate_objects_work():
    rng = np.random.default_rng(11)
    grid, channels = (6, 6), (16, 12, 8)
    gallery = pyramid(rng, 20, grid, channels, np.float16)
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    wanted = kernel.PyramidSearch(gallery, grid).nearest(query)
    outcomes = []

    def own_object():
        for got, want in zip(kernel.PyramidSearch(gallery, grid, threads=2).nearest(query), wanted, strict=True):
            outcomes.append(np.array_equal(got, want))

    def shared_object(search):
        try:
            outcomes.append(np.array_equal(search.nearest(query)[1], wanted[1]))
        except RuntimeError as error:
            outcomes.append("in use" in str(error))

    shared = kernel.PyramidSearch(gallery, grid, threads=2)
    threads = [threading.Thread(target=own_object) for _ in range(6)]
    threads += [threading.Thread(target=shared_object, args=(shared,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 18
    assert all(outcomes)


def small():
    rng = np.random.default_rng(0)
    return pyramid(rng, 2, (2, 2), (3, 2)), of_image(pyramid(rng, 1, (2, 2), (3, 2)), 0)


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda g: [], ValueError, "gallery: got 0 levels"),
        (lambda g: g * 3, ValueError, "gallery: got 6 levels"),
        (lambda g: [g[0], g[1][:1]], ValueError, "gallery: got length 1 on axis 0, expected 2"),
        (lambda g: [g[0], g[1][:, :8].copy()], ValueError, "gallery: got length 8 on axis 1, expected 16"),
        (lambda g: [g[0][:0], g[1][:0]], ValueError, "empty"),
        (lambda g: [g[0][..., :0].copy(), g[1]], ValueError, "empty"),
        (lambda g: [g[0].astype(np.float64), g[1]], TypeError, "format 'd'"),
        (lambda g: [g[0][:, ::-1], g[1]], ValueError, "ascontiguousarray"),
        (lambda g: [g[0][0], g[1]], ValueError, "got 2 dimensions, expected 3"),
        (lambda g: [None, g[1]], TypeError, "bytes-like"),
    ],
)
def test_gallery_refused(spoil, error, words):
    with pytest.raises(error, match=words):
        kernel.PyramidSearch(spoil(small()[0]), (2, 2))


@pytest.mark.parametrize("grid", [(0, 2), (2, -1), (1, 2), (2**40, 2**40)])
def test_grid_refused(grid):
    with pytest.raises(ValueError, match=r"grid|axis"):
        kernel.PyramidSearch(small()[0], grid)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s, q: s.nearest(q[:1]), "query: got 1 levels, expected 2"),
        (lambda s, q: s.nearest([q[0], q[1][:4]]), "query: got length 4 on axis 0, expected 16"),
        (lambda s, q: s.nearest([q[0][:, :1], q[1]]), "query: got length 1 on axis 1, expected 3"),
        (lambda s, q: s.nearest(q, [0, 2]), "images: got 2, expected 0 to 1"),
        (lambda s, q: s.nearest(q, [-1]), "images: got -1"),
        (lambda s, q: s.nearest(q, []), "images: got none"),
        (lambda s, q: s.nearest(q, epsilon=-0.1), "epsilon"),
        (lambda s, q: s.nearest(q, enough=-0.1), "enough"),
        (lambda s, q: s.nearest(q, enough=float("nan")), "enough"),
        (lambda s, q: s.nearest(q, epsilon=float("nan")), "epsilon"),
        (lambda s, q: s.nearest(q, epsilon=float("inf")), "epsilon"),
    ],
)
def test_query_refused_and_the_object_still_works(call, words):
    gallery, query = small()
    search = kernel.PyramidSearch(gallery, (2, 2))
    with pytest.raises(ValueError, match=words):
        call(search, query)
    check(search.nearest(query), brute_force(query, gallery, (2, 2)), (4, 4))


def test_a_gallery_of_several_blocks(level):
    """More images than are rounded to integers at once (16 MB: about 12,500 of these)."""
    rng = np.random.default_rng(6)
    grid, channels, images = (1, 1), (3, 2, 2), 26000
    gallery = pyramid(rng, images, grid, channels, np.float16)
    query = of_image(pyramid(rng, 1, grid, channels), 0)
    check(kernel.PyramidSearch(gallery, grid, threads=2).nearest(query), brute_force(query, gallery, grid), (4, 4))
