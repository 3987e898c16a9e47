"""Levels of bytes with an offset and a scale a row: searched exactly with respect to what is stored, at every level."""

import numpy as np
import pytest

from panda_edge import _kernel, kernel
from panda_edge.banks.level_files import joint_descriptors, unnest

GRIDS = [((1, 1), (3,)), ((3, 4), (33, 7, 9)), ((4, 3), (6, 5)), ((2, 2), (18, 9, 4, 3))]


def values_of(bytes_, scales):
    """What is stored: the float32 nearest to offset + scale * byte, as float64."""
    exact = scales[..., :1].astype(np.float64) + scales[..., 1:].astype(np.float64) * bytes_
    return exact.astype(np.float32).astype(np.float64)


def features(rng, cells, channels, images=None):
    """Neighbours alike, as networks give them, and far from the origin; (images, cells, channels)."""
    shape = (cells, channels) if images is None else (images, cells, channels)
    return (np.cumsum(rng.normal(size=shape), axis=-2) * 0.3 + rng.normal(size=channels) * 3).astype(np.float32)


def brute_force(query, gallery, grid):
    """Squared distances (H * W, images * H * W); gallery: float64 levels (images, cells, C)."""
    q = unnest(joint_descriptors([rows.astype(np.float64) for rows in query]), grid)
    stored = [unnest(joint_descriptors([level[i] for level in gallery]), grid) for i in range(len(gallery[0]))]
    g = np.concatenate([image.reshape(-1, image.shape[-1]) for image in stored])
    return np.stack([((g - point) ** 2).sum(-1) for point in q.reshape(-1, q.shape[-1])])


def check(result, exact):
    distances, indices = (part.ravel() for part in result)
    np.testing.assert_allclose(distances, np.take_along_axis(exact, indices[:, None], 1)[:, 0], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(distances, exact.min(1), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("grid", "channels"), GRIDS)
def test_a_gallery_equals_brute_force(level, grid, channels, mixed):
    rng = np.random.default_rng(0)
    cells = [grid[0] * grid[1] * 4**depth for depth in range(len(channels))]
    pairs = [kernel.quantise_rows(features(rng, n, c, 4)) for n, c in zip(cells, channels, strict=True)]
    gallery = list(pairs)
    exact = [values_of(*pair) for pair in pairs]
    if mixed:  # one level of another dtype beside those of bytes
        gallery[-1] = exact[-1].astype(np.float16)
        exact[-1] = gallery[-1].astype(np.float64)
    query = [features(rng, n, c) for n, c in zip(cells, channels, strict=True)]
    search = kernel.PyramidSearch(gallery, grid, 2)
    found = brute_force(query, exact, grid)
    check(search.nearest(query), found)
    apart = found.shape[1] // 4
    chosen = np.full_like(found, np.inf)
    chosen[:, apart : 2 * apart] = found[:, apart : 2 * apart]
    check(search.nearest(query, [1]), chosen)


@pytest.mark.parametrize(("grid", "channels"), GRIDS)
def test_means_equal_brute_force(level, grid, channels):
    rng = np.random.default_rng(1)
    pairs = [kernel.quantise_rows(rng.normal(size=(60, c)) + 2) for c in channels]
    query = [features(rng, grid[0] * grid[1] * 4**depth, c) for depth, c in enumerate(channels)]
    q = unnest(joint_descriptors([rows.astype(np.float64) for rows in query]), grid)
    means = np.concatenate([values_of(*pair) for pair in pairs], axis=1)
    exact = ((q.reshape(-1, 1, q.shape[-1]) - means) ** 2).sum(-1)
    check(kernel.MeanSearch(pairs, grid, 2).nearest(query), exact)


def test_small_integers_are_exact_and_ties_go_to_the_lowest(level):
    rng = np.random.default_rng(2)
    grid, channels = (3, 4), (5, 2, 1)
    bytes_ = [rng.integers(0, 5, (5, 12 * 4**depth, c)).astype(np.uint8) for depth, c in enumerate(channels)]
    scales = [np.broadcast_to(np.float32([-2, 1]), (*rows.shape[:2], 2)).copy() for rows in bytes_]
    query = [rng.integers(-2, 3, (12 * 4**depth, c)).astype(np.float32) for depth, c in enumerate(channels)]
    pairs = list(zip(bytes_, scales, strict=True))
    distances, indices = kernel.PyramidSearch(pairs, grid, 2).nearest(query)
    exact = brute_force(query, [values_of(*pair) for pair in pairs], grid)
    np.testing.assert_array_equal(distances.ravel(), exact.min(1))
    np.testing.assert_array_equal(indices.ravel(), exact.argmin(1))


def test_rows_are_kept_to_half_a_step():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(7, 30, 11)).astype(np.float32) * 10.0 ** rng.integers(-3, 4, (7, 30, 1)).astype(np.float32)
    bytes_, scales = kernel.quantise_rows(rows)
    assert (bytes_.dtype, bytes_.shape, scales.dtype, scales.shape) == (np.uint8, rows.shape, np.float32, (7, 30, 2))
    error = abs(values_of(bytes_, scales) - rows)
    assert (error <= scales[..., 1:] * 0.501 + abs(rows) * 1e-6).all()
    assert (bytes_.max(-1) == 255).all()
    assert (bytes_.min(-1) == 0).all()


def test_constant_rows_are_exact():
    bytes_, scales = kernel.quantise_rows(np.float32([[3.7, 3.7, 3.7], [0, 0, 0]]))
    np.testing.assert_array_equal(values_of(bytes_, scales), np.float32([[3.7] * 3, [0] * 3]))


def test_a_row_that_is_not_finite_is_far_from_everything(level):
    rng = np.random.default_rng(4)
    rows = features(rng, 6, 5, 2)
    rows[0, 2, 1], rows[1, 3, 0] = np.nan, np.inf
    pair = kernel.quantise_rows(rows)
    assert np.isnan(pair[1][0, 2, 1])
    query = [features(rng, 6, 5)]
    distances, indices = kernel.PyramidSearch([pair], (2, 3)).nearest(query)
    assert np.isfinite(distances).all()
    assert not np.isin(indices, [2, 6 + 3]).any()


def test_further_frames_take_no_memory(level):
    rng = np.random.default_rng(5)
    pairs = [kernel.quantise_rows(features(rng, 6 * 4**depth, c, 5)) for depth, c in enumerate((9, 6, 4))]
    search = kernel.PyramidSearch(pairs, (2, 3), 2)
    query = [features(rng, 6 * 4**depth, c) for depth, c in enumerate((9, 6, 4))]
    search.nearest(query)
    before = _kernel.allocations()
    search.nearest(query, window=1)
    assert _kernel.allocations() == before


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda b, s: b, TypeError, "bytes-like"),
        (lambda b, s: (b, s[..., 0].copy()), ValueError, "scales: got 2 dimensions, expected 3"),
        (lambda b, s: (b, s[:, :3].copy()), ValueError, "scales: got length 3 on axis 1, expected 4"),
        (lambda b, s: (b, s.astype(np.float64)), TypeError, "scales: got items of format 'd', expected float32"),
        (lambda b, s: (b.astype(np.float32), s), ValueError, "scales: got some for a level that is not uint8"),
        (lambda b, s: (b.astype(np.int8), s), TypeError, "expected float32, float16 or uint8"),
    ],
)
def test_refused(spoil, error, words):
    pair = kernel.quantise_rows(np.random.default_rng(6).normal(size=(2, 4, 3)))
    with pytest.raises(error, match=words):
        kernel.PyramidSearch([spoil(*pair)], (2, 2))
