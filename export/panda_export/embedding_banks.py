"""Building the banks of embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from panda_edge.bundle.manifest import MAX_EF, Detection
from panda_edge.search.embedding import EMBEDDINGS_FILE, HNSW_FILE
from panda_export.options import BankOptions

_HNSW_LINKS = 16
_HNSW_CONSTRUCTION = 200
_HNSW_EF_FACTOR = 4  # ef, in multiples of the neighbours asked for


def write_embeddings(bundle: Path, embeddings: np.ndarray, options: BankOptions, seed: int) -> Detection:
    """Write the bank that the options name. embeddings: float32 (N, D)."""
    count = len(embeddings)
    kind = options.detection_bank(count)
    if kind == "kmeans":
        means = min(options.means, count)
        centres = KMeans(means, n_init=4, random_state=seed).fit(embeddings).cluster_centers_
        _write_flat(bundle, centres)
        return Detection("kmeans", means, min(options.knn or 1, means))
    knn = min(options.knn or 2, count)
    if kind == "hnsw":
        write_hnsw(bundle / HNSW_FILE, embeddings, seed)
        wanted = max(min(options.neighbors or count, count), knn)
        return Detection("hnsw", count, knn, ef=min(_HNSW_EF_FACTOR * wanted, MAX_EF))
    _write_flat(bundle, embeddings)
    return Detection("exact", count, knn)


def write_hnsw(path: Path, vectors: np.ndarray, seed: int) -> None:
    """hnswlib's graph over float32 (N, D). Built on one thread: only so are its bytes the same every time."""
    import hnswlib

    index = hnswlib.Index(space="l2", dim=vectors.shape[1])
    index.init_index(len(vectors), M=_HNSW_LINKS, ef_construction=_HNSW_CONSTRUCTION, random_seed=seed)
    index.add_items(vectors, num_threads=1)
    index.save_index(str(path))


def _write_flat(bundle: Path, vectors: np.ndarray) -> None:
    np.save(bundle / EMBEDDINGS_FILE, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)
