"""Building the banks of embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from panda_edge.builder.embeddings import ef_of, write_flat, write_hnsw
from panda_edge.bundle.manifest import Detection
from panda_edge.search.embedding import HNSW_FILE
from panda_export.options import BankOptions


def write_embeddings(bundle: Path, embeddings: np.ndarray, options: BankOptions, seed: int) -> Detection:
    """Write the bank that the options name. embeddings: float32 (N, D)."""
    count = len(embeddings)
    kind = options.detection_bank(count)
    if kind == "kmeans":
        means = min(options.means, count)
        centres = KMeans(means, n_init=4, random_state=seed).fit(embeddings).cluster_centers_
        write_flat(bundle, centres)
        return Detection("kmeans", means, min(options.knn or 1, means))
    knn = min(options.knn or 2, count)
    if kind == "hnsw":
        write_hnsw(bundle / HNSW_FILE, embeddings, seed)
        return Detection("hnsw", count, knn, ef=ef_of(count, options.neighbors, knn))
    write_flat(bundle, embeddings)
    return Detection("exact", count, knn)
