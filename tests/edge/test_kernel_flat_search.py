"""The flat search against brute force in float64 numpy, at every level."""

import numpy as np
import pytest

from panda_edge import kernel


def brute_force(queries, bank):
    squared = ((queries[:, None].astype(np.float64) - bank[None].astype(np.float64)) ** 2).sum(2)
    return squared.min(1), squared.argmin(1)  # the lowest of equals


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (63, 2), (64, 8), (700, 5), (1200, 19), (300, 130)])
def test_integers_whose_distances_are_exact(level, n, d, dtype, threads):
    random = np.random.default_rng(n + d)
    bank, queries = random.integers(-2, 3, (n, d)).astype(dtype), random.integers(-3, 4, (70, d))
    distances, rows = kernel.FlatSearch(bank, threads).nearest(queries)
    expected, first = brute_force(queries, bank)
    np.testing.assert_array_equal(distances, expected)
    np.testing.assert_array_equal(rows, first)


def test_decaying_spectrum_in_an_order_of_space(level):
    random = np.random.default_rng(0)
    spread = 20 * 0.97 ** np.arange(150)
    bank = (random.normal(size=(3000, 150)) * spread).astype(np.float16)
    bank = bank[np.argsort(bank[:, 0])]
    queries = np.concatenate(
        [random.normal(size=(100, 150)) * spread, bank[:20] + 0.01, 1000 * random.random((3, 150))]
    )
    distances, rows = kernel.FlatSearch(bank, 2).nearest(queries)
    expected, nearest = brute_force(queries.astype(np.float32), bank)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_array_equal(rows, nearest)


def test_it_is_the_plain_search_to_the_bit(level):
    random = np.random.default_rng(1)
    bank = random.normal(size=(2000, 33)).astype(np.float16)
    queries = random.normal(size=(90, 33)).astype(np.float32)
    distances, rows = kernel.FlatSearch(bank, 2).nearest(queries)
    plain, numbers = kernel.topk(queries, bank, 1)
    np.testing.assert_array_equal(distances, plain[:, 0])
    np.testing.assert_array_equal(rows, numbers[:, 0])


def test_what_is_not_finite_is_far_from_everything(level):
    random = np.random.default_rng(2)
    bank, queries = random.normal(size=(200, 11)).astype(np.float32), random.normal(size=(6, 11)).astype(np.float32)
    bank[3, 10], bank[4, 0], bank[5, 2] = np.nan, np.inf, 3e30
    queries[1, 4], queries[2, 10] = np.inf, np.nan
    distances, rows = kernel.FlatSearch(bank).nearest(queries)
    good = [0, 3, 4, 5]
    bank[[3, 4]] = 1e10
    expected, nearest = brute_force(queries[good], bank)
    np.testing.assert_allclose(distances[good], expected, rtol=1e-5)
    np.testing.assert_array_equal(rows[good], nearest)
    assert np.isinf(distances[[1, 2]]).all()
    assert (rows[[1, 2]] == 0).all()


def test_no_queries(level):
    distances, rows = kernel.FlatSearch(np.ones((5, 3), np.float32)).nearest(np.empty((0, 3)))
    assert distances.shape == rows.shape == (0,)


@pytest.mark.parametrize(
    ("bank", "queries", "threads", "error", "words"),
    [
        (np.ones((0, 3), np.float32), np.ones((1, 3)), 1, ValueError, "expected at least one row and column"),
        (np.ones((3, 0), np.float16), np.ones((1, 0)), 1, ValueError, "expected at least one row and column"),
        (np.ones((3, 2)), np.ones((1, 2)), 1, TypeError, "expected float32 or float16"),
        (np.ones((3, 2), np.float32)[:, ::2], np.ones((1, 1)), 1, ValueError, "ascontiguousarray"),
        (np.ones((3, 2), np.float32), np.ones((1, 3)), 1, ValueError, "queries: got length 3 on axis 1, expected 2"),
        (np.ones((3, 2), np.float32), np.ones(2), 1, ValueError, "queries: got 1 dimensions"),
        (np.ones((3, 2), np.float32), np.ones((1, 2)), 0, ValueError, "threads: got 0"),
    ],
)
def test_wrong_arguments_say_what_was_expected(bank, queries, threads, error, words):
    with pytest.raises(error, match=words):
        kernel.FlatSearch(bank, threads).nearest(queries)


@pytest.mark.parametrize(("n", "d", "p"), [(1, 1, 1), (35, 9, 20), (3, 70, 7), (0, 4, 4)])
def test_rows_are_turned_into_a_basis(level, n, d, p):
    random = np.random.default_rng(n + d)
    rows, mean, basis = random.normal(size=(n, d)), random.normal(size=d), random.normal(size=(d, p))
    found = kernel.project(rows, mean, basis, threads=2)
    assert found.shape == (n, p)
    np.testing.assert_allclose(found, (rows - mean) @ basis, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "mean", "basis", "words"),
    [
        ((2, 3), (2,), (3, 4), "mean: got length 2"),
        ((2, 3), (3,), (2, 4), "basis: got length 2"),
        ((3,), (3,), (3, 4), "rows: got 1 dimensions"),
    ],
)
def test_wrong_shapes_of_a_basis(rows, mean, basis, words):
    with pytest.raises(ValueError, match=words):
        kernel.project(np.ones(rows), np.ones(mean), np.ones(basis))
