"""Banks of embeddings: which normal images are nearest to a query. Each kind is built, opened and counted here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from panda_edge import kernel
from panda_edge.banks.centres import NO_CENTRES, Centres
from panda_edge.banks.hnsw_file import check_hnsw_file
from panda_edge.bundle.fields import whole
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import MAX_EF, Detection, Manifest
from panda_edge.errors import BundleError, PandaError, missing

EMBEDDINGS_FILE = "bank/embeddings.npy"
HNSW_FILE = "bank/embeddings.hnsw"

CHOICES = ("auto", "exact", "hnsw")
"""How image embeddings are searched where the bank keeps them all.

auto: a graph from so many images on. Medians of one query on two threads, exact search of float32 (float16) against
hnswlib (`benchmarks/speed/results/scaling.json`: 2 neighbours, ef 64, recall 1.0): 3,000 images 0.71 (0.58) ms,
hnswlib 0.58; 10,000 images 3.46 (2.58), hnswlib 0.67. With the 50 neighbours and ef 200 of a bundle, on a busy machine,
10,000 images 10.3 (6.9), hnswlib 1.8, recall 1.0. At 100,000 images exact search takes 28 (21) ms: up to there a device
needs no hnswlib, which most have to compile.
"""
HNSW_FROM = 100_000

GRAPH_BYTES = 160  # hnswlib's links and labels of one vector, at 16 links a layer
_HNSW_LINKS = 16
_HNSW_CONSTRUCTION = 200
_HNSW_EF_FACTOR = 4  # ef, in multiples of the neighbours asked for


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
        hnswlib = _hnswlib()
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


class Asked(NamedTuple):
    """knn: neighbours that the image score averages, None for the kind's own. neighbors: similar images that will be
    searched, 0 for all. seed: of every random choice. centres: what makes k-means centres."""

    knn: int | None
    neighbors: int
    seed: int
    centres: Centres = NO_CENTRES


class EmbeddingKind(Protocol):
    """How embeddings are kept.

    Attributes:
        name: What the manifest's `detection.bank` calls it.
        of_images: Whether its entries are the normal frames, by their numbers.
        approximate: Whether a search may miss the most similar ones.
    """

    name: ClassVar[str]
    of_images: ClassVar[bool] = True
    approximate: ClassVar[bool] = False

    @staticmethod
    def entry_bytes(size: int) -> int:
        """Bytes of one entry, about. size: D."""
        return 4 * size

    def write(self, folder: Path, vectors: np.ndarray, asked: Asked) -> Detection:
        """Write the bank of float32 (N, D) below `folder`."""

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        """Raise BundleError where the manifest's fields do not go with this kind."""
        return

    @staticmethod
    def open(bundle: Bundle, threads: int) -> EmbeddingBank:
        """Raises BundleError."""
        return FlatBank(_flat(bundle), threads)


@dataclass(frozen=True)
class ExactEmbeddings(EmbeddingKind):
    name: ClassVar[str] = "exact"

    def write(self, folder: Path, vectors: np.ndarray, asked: Asked) -> Detection:
        _write_flat(folder, vectors)
        return Detection(self.name, len(vectors), min(asked.knn or 2, len(vectors)))


@dataclass(frozen=True)
class HnswEmbeddings(EmbeddingKind):
    name: ClassVar[str] = "hnsw"
    approximate: ClassVar[bool] = True

    @staticmethod
    def entry_bytes(size: int) -> int:
        return 4 * size + GRAPH_BYTES

    def write(self, folder: Path, vectors: np.ndarray, asked: Asked) -> Detection:
        count = len(vectors)
        knn = min(asked.knn or 2, count)
        write_hnsw(folder / HNSW_FILE, vectors, asked.seed)
        wanted = max(min(asked.neighbors or count, count), knn)
        return Detection(self.name, count, knn, ef=min(_HNSW_EF_FACTOR * wanted, MAX_EF))

    @staticmethod
    def check(manifest: Manifest, where: str) -> None:
        whole(1, MAX_EF)(manifest.detection.ef, f"{where}: ef")

    @staticmethod
    def open(bundle: Bundle, threads: int) -> HnswBank:
        detection, size = bundle.manifest.detection, bundle.manifest.embedding_size
        assert detection.ef is not None  # read_manifest checked it
        return HnswBank(bundle.checked_file(HNSW_FILE), detection.count, size, detection.ef, threads)


@dataclass(frozen=True)
class MeanEmbeddings(EmbeddingKind):
    """means: k-means centres of all embeddings (PANDA §4.3.3), at most as many as there are."""

    name: ClassVar[str] = "kmeans"
    of_images: ClassVar[bool] = False
    means: int = 0

    def write(self, folder: Path, vectors: np.ndarray, asked: Asked) -> Detection:
        means = min(self.means, len(vectors))
        _write_flat(folder, asked.centres.of_embeddings(vectors, means, asked.seed))
        return Detection(self.name, means, min(asked.knn or 1, means))


_EVERY: tuple[type[EmbeddingKind], ...] = (ExactEmbeddings, HnswEmbeddings, MeanEmbeddings)
EMBEDDING_KINDS = {kind.name: kind for kind in _EVERY}
"""What the manifest's `detection.bank` may be; a new kind is a row here."""


def image_embeddings(asked: str, images: int) -> EmbeddingKind:
    """How a bank keeps every image's embedding. asked: one of CHOICES."""
    if asked == HnswEmbeddings.name or (asked == "auto" and images >= HNSW_FROM):
        return HnswEmbeddings()
    return ExactEmbeddings()


def check_choice(asked: str) -> None:
    """Raises PandaError."""
    if asked not in CHOICES:
        raise PandaError(f"unknown --embeddings {asked!r}; expected one of {', '.join(CHOICES)}")


def open_embedding_bank(bundle: Bundle, threads: int) -> EmbeddingBank:
    """The embedding bank that a bundle's manifest names. Raises BundleError."""
    return EMBEDDING_KINDS[bundle.manifest.detection.bank].open(bundle, threads)


def stored_embeddings(bundle: Bundle) -> np.ndarray | None:
    """Every normal frame's embedding as it is stored, float32 (N, D); None where it is not, as of means or a graph.
    Raises BundleError."""
    kind = EMBEDDING_KINDS[bundle.manifest.detection.bank]
    return _flat(bundle) if kind.of_images and not kind.approximate else None


def write_hnsw(path: Path, vectors: np.ndarray, seed: int) -> None:
    """hnswlib's graph over float32 (N, D). Built on one thread: only so are its bytes the same every time."""
    index = _hnswlib().Index(space="l2", dim=vectors.shape[1])
    index.init_index(len(vectors), M=_HNSW_LINKS, ef_construction=_HNSW_CONSTRUCTION, random_seed=seed)
    index.add_items(vectors, num_threads=1)
    index.save_index(str(path))


def _flat(bundle: Bundle) -> np.ndarray:
    detection, size = bundle.manifest.detection, bundle.manifest.embedding_size
    bundle.checked_file(EMBEDDINGS_FILE)
    return bundle.array(EMBEDDINGS_FILE, (detection.count, size), "float32")


def _hnswlib() -> Any:
    try:
        import hnswlib
    except ImportError as error:
        raise missing("a bank of kind hnsw needs hnswlib", "hnsw") from error
    return hnswlib


def _write_flat(folder: Path, vectors: np.ndarray) -> None:
    np.save(folder / EMBEDDINGS_FILE, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)
