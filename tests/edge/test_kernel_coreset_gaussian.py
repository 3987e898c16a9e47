"""k-centre against the plain greedy method, and Gaussian distances against float64 numpy, at every level."""

import numpy as np
import pytest

from panda_edge import kernel


def greedy_k_centre(points, count, start):
    """Every point measured against every centre, in float64."""
    points = points.astype(np.float64)
    taken, nearest = [start], np.full(len(points), np.inf)
    while len(taken) < count:
        nearest = np.minimum(nearest, ((points - points[taken[-1]]) ** 2).sum(1))
        nearest[taken] = -1
        taken.append(int(nearest.argmax()))
    return np.array(taken)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("n", "d", "count"), [(1, 1, 1), (50, 3, 50), (5000, 2, 300), (9000, 4, 40)])
def test_k_centre_on_integers_is_the_plain_greedy_choice(level, n, d, count, dtype, threads):
    points = np.random.default_rng(n).integers(-40, 41, (n, d)).astype(dtype)  # exact distances, many ties
    start = n // 3
    np.testing.assert_array_equal(
        kernel.k_centre(points, count, start=start, threads=threads), greedy_k_centre(points, count, start)
    )


def test_k_centre_covers_as_well_as_the_plain_greedy_choice(level):
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(20, 33))[rng.integers(0, 20, 3000)] * 5 + rng.normal(size=(3000, 33))).astype(np.float16)
    taken = kernel.k_centre(points, 200, threads=2)
    np.testing.assert_array_equal(taken, greedy_k_centre(points, 200, 0))


def test_k_centre_of_equal_points_takes_each_once(level):
    taken = kernel.k_centre(np.zeros((30, 4), np.float32), 30, start=7)
    assert taken[0] == 7
    np.testing.assert_array_equal(np.sort(taken), np.arange(30))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 5, 9])
def test_k_centre_refuses_values_that_are_not_finite(level, bad, row):
    points = np.random.default_rng(1).random((10, 3), np.float32)
    points[row, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        kernel.k_centre(points, 3)


@pytest.mark.parametrize(
    ("points", "count", "start", "words"),
    [
        (np.ones((4, 2), np.float32), 5, 0, "count: got 5"),
        (np.ones((4, 2), np.float32), 0, 0, "count: got 0"),
        (np.ones((4, 2), np.float32), -3, 0, "count: got 0"),
        (np.ones((4, 0), np.float32), 1, 0, "count: got 1"),
        (np.ones((4, 2), np.float32), 1, 4, "start: got 4, expected 0 to 3"),
        (np.ones((4, 2), np.float32), 1, -1, "start: got -1"),
        (np.ones((4, 4), np.float32)[:, ::2], 1, 0, "ascontiguousarray"),
    ],
)
def test_k_centre_refuses(points, count, start, words):
    with pytest.raises(ValueError, match=words):
        kernel.k_centre(points, count, start=start)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gaussian_distance_of_triangular_factors(level, dtype):
    for d in (*range(1, 98, 3), 176):
        rng = np.random.default_rng(d)
        factors = np.tril(rng.normal(size=(9, d, d))).astype(dtype)
        x, mean = rng.normal(size=(9, d)).astype(np.float32), rng.normal(size=(9, d)).astype(np.float32)
        packed = kernel.pack_factors(factors, triangular=True, dtype=dtype)
        got = kernel.gaussian_distance(x, mean, packed, d, triangular=True, threads=2)
        centred = (x - mean).astype(np.float64)
        wanted = (np.einsum("prc,pc->pr", factors.astype(np.float64), centred) ** 2).sum(1)
        np.testing.assert_allclose(got, wanted, rtol=2e-5, err_msg=f"{d} channels")


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("rows", "d"), [(1, 1), (3, 50), (16, 16), (16, 176), (17, 40), (40, 17), (64, 176)])
def test_gaussian_distance_of_full_factors(level, rows, d, dtype):
    rng = np.random.default_rng(rows)
    factors = rng.normal(size=(21, rows, d)).astype(dtype)
    x, mean = rng.normal(size=(21, d)).astype(np.float32), rng.normal(size=(21, d)).astype(np.float32)
    packed = kernel.pack_factors(factors, triangular=False, dtype=dtype)
    got = kernel.gaussian_distance(x, mean, packed, rows, triangular=False, threads=3)
    wanted = (np.einsum("prc,pc->pr", factors.astype(np.float64), (x - mean).astype(np.float64)) ** 2).sum(1)
    np.testing.assert_allclose(got, wanted, rtol=2e-5)


def test_gaussian_distance_is_the_mahalanobis_distance():
    rng = np.random.default_rng(2)
    samples = rng.normal(size=(500, 12)) @ rng.normal(size=(12, 12))
    covariance = np.cov(samples.T)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))[None]
    x = rng.normal(size=(1, 12)).astype(np.float32)
    packed = kernel.pack_factors(whitening, triangular=True, dtype=np.float32)
    got = kernel.gaussian_distance(x, np.zeros((1, 12)), packed, 12, triangular=True)
    np.testing.assert_allclose(got, x[0].astype(np.float64) @ np.linalg.inv(covariance) @ x[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": np.zeros((2, 5))}, "mean: got length 2"),
        ({"packed": np.zeros((3, 79), np.float16)}, "factors: got length 79 on axis 1, expected 80"),
        ({"rows": 4}, "factors: got 4 rows for 5 features, expected as many"),
        ({"rows": 2**40, "triangular": False}, "factors: got"),
        ({"threads": 0}, "threads"),
    ],
)
def test_gaussian_distance_refuses(change, words):
    good = {"x": np.zeros((3, 5)), "mean": np.zeros((3, 5)), "packed": np.zeros((3, 80), np.float16), "rows": 5,
            "triangular": True}  # fmt: skip
    np.testing.assert_array_equal(kernel.gaussian_distance(**good), 0)
    with pytest.raises(ValueError, match=words):
        kernel.gaussian_distance(**(good | change))
