"""Scoring rules over embeddings, and the one-class SVM: what the paper compares with (sections 4.3.2, 4.3.3).

Arrays are float32 (N, D); scores float64 (N,), higher = more anomalous.
"""

import numpy as np
import torch

from panda_train.adapt import RIDGES, before_whitening, whiten


def nearest_neighbours(normal: np.ndarray, queries: np.ndarray, k: int = 2) -> np.ndarray:
    """Mean squared L2 distance to the k nearest normal embeddings (DN2, section 2.2)."""
    k = min(k, len(normal))
    normal, queries = normal.astype(np.float64), queries.astype(np.float64)
    squared = np.square(queries).sum(1)[:, None] + np.square(normal).sum(1)[None] - 2 * queries @ normal.T
    nearest: np.ndarray = np.partition(squared, k - 1, axis=1)[:, :k].mean(axis=1)
    return nearest.clip(min=0.0)


def centre_distance(normal: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Squared L2 distance to the mean normal embedding."""
    distances: np.ndarray = np.square(queries - normal.mean(axis=0)).sum(axis=1, dtype=np.float64)
    return distances


def nearest_mean(normal: np.ndarray, queries: np.ndarray, means: int = 50, seed: int = 0) -> np.ndarray:
    """Squared L2 distance to the nearest of the k-means centres of the normal embeddings."""
    from sklearn.cluster import KMeans

    centres = KMeans(min(means, len(normal)), n_init=4, random_state=seed).fit(normal).cluster_centers_
    return nearest_neighbours(centres, queries, k=1)


def whitened_neighbours(normal: np.ndarray, queries: np.ndarray, k: int = 2) -> np.ndarray:
    """`nearest_neighbours` after linear whitening."""
    return _whitened(normal, queries, k, RIDGES["whitened"])


def rooted_neighbours(normal: np.ndarray, queries: np.ndarray, k: int = 2) -> np.ndarray:
    """`whitened_neighbours`, with the ridge of their own, of the embeddings' roots (see `before_whitening`)."""
    roots = [before_whitening(torch.from_numpy(values), "rooted").numpy() for values in (normal, queries)]
    return _whitened(roots[0], roots[1], k, RIDGES["rooted"])


def _whitened(normal: np.ndarray, queries: np.ndarray, k: int, ridge: float) -> np.ndarray:
    whitening = whiten(normal, ridge)
    white = [(values - whitening.mean) @ whitening.matrix for values in (normal, queries)]
    return nearest_neighbours(white[0], white[1], k)


def one_class_svm(normal: np.ndarray, queries: np.ndarray, nu: float = 0.1) -> np.ndarray:
    """Negative decision value of an RBF one-class SVM, on embeddings or on pixels; each column is standardised."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import OneClassSVM

    model = make_pipeline(StandardScaler(), OneClassSVM(kernel="rbf", gamma="scale", nu=nu)).fit(normal)
    decisions: np.ndarray = model.decision_function(queries)
    return -decisions
