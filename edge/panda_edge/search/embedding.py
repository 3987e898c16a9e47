"""Banks of embeddings: which normal images are nearest to a query."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.errors import BundleError
from panda_edge.search import kernel
from panda_edge.search.hnsw_file import check_hnsw_file

EMBEDDINGS_FILE = "bank/embeddings.npy"
HNSW_FILE = "bank/embeddings.hnsw"


class EmbeddingBank(Protocol):
    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest stored vectors of each query.

        queries: float32 (Q, D). Returns squared L2 distances, float32 (Q, k) ascending, and their
        numbers in the bank, int64 (Q, k). Asks for more than are stored give all.
        """

    def vectors(self) -> np.ndarray:
        """A copy of what is stored, float32 (N, D), by number."""


class FlatBank:
    """Exact search: every stored vector is compared. Serves `exact` (all images) and `kmeans` (their means)."""

    def __init__(self, vectors: np.ndarray, threads: int) -> None:
        self._vectors = vectors
        self._threads = threads

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return kernel.topk(queries, self._vectors, k, threads=self._threads)

    def vectors(self) -> np.ndarray:
        return np.array(self._vectors)


class HnswBank:
    """Approximate search over hnswlib's graph. hnswlib trusts what it reads, so the file is checked first."""

    def __init__(self, path: Path, count: int, size: int, ef: int, threads: int) -> None:
        import hnswlib

        check_hnsw_file(path, str(path), count, size)
        self._path = path
        self._index = hnswlib.Index(space="l2", dim=size)
        try:
            self._index.load_index(str(path), max_elements=count)
        except RuntimeError as error:
            raise BundleError(f"{path}: hnswlib cannot load it ({error})") from error
        self._count = count
        self._ef = ef
        self._index.set_ef(ef)
        self._index.set_num_threads(threads)

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        k = min(k, self._count)
        if k > self._ef:
            self._ef = k  # hnswlib needs ef ≥ k
            self._index.set_ef(k)
        try:
            numbers, squared = self._index.knn_query(queries, k)
        except RuntimeError as error:  # a graph in pieces: fewer than k vectors can be reached
            raise BundleError(f"{self._path}: its graph does not lead to {k} vectors; export it again") from error
        return squared, numbers.astype(np.int64)

    def vectors(self) -> np.ndarray:
        return np.array(self._index.get_items(np.arange(self._count)), dtype=np.float32)


def open_embedding_bank(bundle: Bundle, threads: int) -> EmbeddingBank:
    """The embedding bank that a bundle's manifest names. Raises BundleError."""
    detection, size = bundle.manifest.detection, bundle.manifest.embedding_size
    if detection.bank == "hnsw":
        assert detection.ef is not None  # read_manifest checked it
        return HnswBank(bundle.checked_file(HNSW_FILE), detection.count, size, detection.ef, threads)
    bundle.checked_file(EMBEDDINGS_FILE)
    return FlatBank(bundle.array(EMBEDDINGS_FILE, (detection.count, size), "float32"), threads)
