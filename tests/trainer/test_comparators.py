"""What the paper compares with, against plain float64 references."""

import numpy as np
import pytest
from sklearn.svm import OneClassSVM

from panda_train.paper import comparators

NORMAL = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32) * np.arange(1, 7, dtype=np.float32)
QUERIES = np.random.default_rng(1).standard_normal((15, 6)).astype(np.float32) * 5


def squared(normal: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """(Q, N), from differences."""
    difference = queries[:, None].astype(np.float64) - normal[None].astype(np.float64)
    return np.square(difference).sum(axis=2)


@pytest.mark.parametrize("k", [1, 2, 7, 40, 1000])
def test_nearest_neighbours(k: int) -> None:
    expected = np.sort(squared(NORMAL, QUERIES), axis=1)[:, :k].mean(axis=1)
    np.testing.assert_allclose(comparators.nearest_neighbours(NORMAL, QUERIES, k), expected, rtol=1e-10)


def test_nearest_neighbours_of_stored_points_far_from_the_origin_are_not_negative() -> None:
    far = NORMAL + 1e4
    assert (comparators.nearest_neighbours(far, far, k=1) >= 0).all()
    assert comparators.nearest_neighbours(far, far, k=1).max() < 1e-4


def test_centre_distance() -> None:
    expected = squared(NORMAL.astype(np.float64).mean(axis=0)[None], QUERIES)[:, 0]
    np.testing.assert_allclose(comparators.centre_distance(NORMAL, QUERIES), expected, rtol=1e-5)


def test_nearest_mean_of_clear_clusters() -> None:
    generator = np.random.default_rng(2)
    centres = np.array([[0, 0], [100, 0], [0, 100]], np.float32)
    points = np.concatenate([centre + generator.standard_normal((20, 2)) for centre in centres]).astype(np.float32)
    means = np.stack([group.mean(axis=0) for group in np.split(points, 3)])
    queries = generator.uniform(-50, 150, (30, 2)).astype(np.float32)
    expected = squared(means, queries).min(axis=1)
    np.testing.assert_allclose(comparators.nearest_mean(points, queries, means=3), expected, rtol=1e-4)


def test_nearest_mean_of_fewer_points_than_means() -> None:
    expected = squared(NORMAL, QUERIES).min(axis=1)
    np.testing.assert_allclose(comparators.nearest_mean(NORMAL, QUERIES, means=50), expected, rtol=1e-4)


def test_whitened_neighbours_are_by_the_mahalanobis_distance() -> None:
    covariance = np.cov(NORMAL.T.astype(np.float64))
    metric = np.linalg.inv(covariance + 0.1 * covariance.diagonal().mean() * np.eye(6))
    difference = QUERIES[:, None].astype(np.float64) - NORMAL[None]
    mahalanobis = np.einsum("qnd,de,qne->qn", difference, metric, difference)
    expected = np.sort(mahalanobis, axis=1)[:, :2].mean(axis=1)
    np.testing.assert_allclose(comparators.whitened_neighbours(NORMAL, QUERIES), expected, rtol=1e-4)
    assert np.abs(expected / comparators.nearest_neighbours(NORMAL, QUERIES) - 1).max() > 0.5


def test_rooted_neighbours_are_whitened_ones_of_roots() -> None:
    normal, queries = NORMAL - NORMAL.min(), QUERIES - min(NORMAL.min(), QUERIES.min())
    roots = [np.sqrt(values / values.sum(axis=1, keepdims=True)).astype(np.float64) for values in (normal, queries)]
    covariance = np.cov(roots[0].T)
    metric = np.linalg.inv(covariance + covariance.diagonal().mean() * np.eye(6))
    difference = roots[1][:, None] - roots[0][None]
    expected = np.sort(np.einsum("qnd,de,qne->qn", difference, metric, difference), axis=1)[:, :2].mean(axis=1)
    np.testing.assert_allclose(comparators.rooted_neighbours(normal, queries), expected, rtol=1e-3)


def test_one_class_svm_is_that_of_a_kernel_worked_out_by_hand() -> None:
    normal, queries = NORMAL.astype(np.float64), QUERIES.astype(np.float64)
    mean, spread = normal.mean(axis=0), normal.std(axis=0)
    normal, queries = (normal - mean) / spread, (queries - mean) / spread

    def kernel(values: np.ndarray) -> np.ndarray:
        return np.exp(-squared(normal, values) / (6 * normal.var()))

    model = OneClassSVM(kernel="precomputed", nu=0.1).fit(kernel(normal))
    found = comparators.one_class_svm(NORMAL, QUERIES)
    np.testing.assert_allclose(found, -model.decision_function(kernel(queries)), rtol=1e-3, atol=1e-4)


def test_one_class_svm_scores_what_is_far_higher() -> None:
    far = NORMAL.mean(axis=0) + 50
    near = comparators.one_class_svm(NORMAL, NORMAL.mean(axis=0)[None])
    assert near < 0 < comparators.one_class_svm(NORMAL, far[None])
