"""What a normal cell is itself from other normal pictures: a search of the bank by its own frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.learn.bundle_writer import write_manifest
from panda_edge.learn.progress import Progress
from panda_edge.search import kernel
from panda_edge.search.candidates import open_candidates, open_places
from panda_edge.search.embedding import EMBEDDINGS_FILE, HNSW_FILE
from panda_edge.search.gallery import level_arrays
from panda_edge.search.own_distances import OWN_DISTANCES_DTYPE, OWN_DISTANCES_FILE

_MOST = float(np.finfo(OWN_DISTANCES_DTYPE).max)


def with_own_distances(staging: Path, manifest: Manifest, progress: Progress) -> Manifest:
    """Write the own distances of all stored cells where the manifest takes a share of them off.

    A stored frame is searched in the similar frames of other pictures just as a new one would be. Where there is no
    other picture they are 0, and nothing can be told of what is usual.
    """
    if not manifest.segmentation.discount:
        return manifest
    bundle, maps, finest = Bundle(staging, manifest), manifest.segmentation, manifest.levels[-1]
    shape = maps.count, finest.height, finest.width
    own = np.lib.format.open_memmap(staging / OWN_DISTANCES_FILE, "w+", np.dtype(OWN_DISTANCES_DTYPE), shape)
    coarsest, threads = manifest.levels[0], default_threads()
    stored = level_arrays(bundle, [(level.height * level.width, level.channels) for level in manifest.levels])
    search = kernel.PyramidSearch(stored, (coarsest.height, coarsest.width), threads)
    for frame, similar in progress(_similar(bundle, threads), "own distances", maps.count):
        if len(similar):
            levels = [_widened(level, frame) for level in stored]
            squared, _ = search.nearest(levels, similar, window=maps.window)
            own[frame] = np.minimum(np.sqrt(squared), _MOST)
    own.flush()
    return write_manifest(staging, manifest)


def _similar(bundle: Bundle, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each stored frame, and the numbers of those of other pictures that it would be compared with, int64 (K,)."""
    candidates, places, vectors = open_candidates(bundle, threads), open_places(bundle), _embeddings(bundle)
    pictures = np.arange(len(vectors)) if places is None else places.pictures()
    # Frames of one picture lie together, and are looked up together.
    begins = np.flatnonzero(np.diff(pictures, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], len(vectors)], strict=True):
        lie = [(0, 0)] * (end - begin) if places is None else _rows_and_columns(places.rows[begin:end])
        wanted = bundle.manifest.segmentation.neighbors
        found = candidates.nearest(vectors[begin:end], wanted, lie, exclude=int(pictures[begin]))
        for frame, (_, similar) in zip(range(begin, end), found, strict=True):
            yield frame, similar


def _rows_and_columns(places: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for _, row, column in places]


def _embeddings(bundle: Bundle) -> np.ndarray:
    """The stored frames' embeddings, float32 (N, D)."""
    detection, size = bundle.manifest.detection, bundle.manifest.embedding_size
    if detection.bank != "hnsw":
        return bundle.array(EMBEDDINGS_FILE, (detection.count, size), "float32")
    import hnswlib

    index = hnswlib.Index(space="l2", dim=size)
    index.load_index(str(bundle.file(HNSW_FILE)), max_elements=detection.count)
    return np.asarray(index.get_items(range(detection.count)), dtype=np.float32)


def _widened(level: kernel.Rows, frame: int) -> np.ndarray:
    """A stored frame's rows of one level, float32 (cells, channels)."""
    if isinstance(level, tuple):
        rows, scales = level[0][frame], level[1][frame]
        widened: np.ndarray = scales[:, :1] + scales[:, 1:] * rows.astype(np.float32)
        return widened
    return np.asarray(level[frame], dtype=np.float32)
