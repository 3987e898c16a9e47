"""Writing banks of embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from panda_edge.bundle.manifest import MAX_EF
from panda_edge.search.embedding import EMBEDDINGS_FILE

_HNSW_LINKS = 16
_HNSW_CONSTRUCTION = 200
_HNSW_EF_FACTOR = 4  # ef, in multiples of the neighbours asked for


def ef_of(count: int, neighbors: int | None, knn: int) -> int:
    """hnswlib's query-time candidate list in a graph of `count` vectors. neighbors: asked for; 0 or None for all."""
    wanted = max(min(neighbors or count, count), knn)
    return min(_HNSW_EF_FACTOR * wanted, MAX_EF)


def write_hnsw(path: Path, vectors: np.ndarray, seed: int) -> None:
    """hnswlib's graph over float32 (N, D). Built on one thread: only so are its bytes the same every time."""
    import hnswlib

    index = hnswlib.Index(space="l2", dim=vectors.shape[1])
    index.init_index(len(vectors), M=_HNSW_LINKS, ef_construction=_HNSW_CONSTRUCTION, random_seed=seed)
    index.add_items(vectors, num_threads=1)
    index.save_index(str(path))


def write_flat(bundle: Path, vectors: np.ndarray) -> None:
    """The vectors themselves, float32 (N, D)."""
    np.save(bundle / EMBEDDINGS_FILE, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)
