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
from panda_edge.learn.stored import stored_embeddings
from panda_edge.search import kernel
from panda_edge.search.candidates import open_candidates, open_places
from panda_edge.search.gallery import frame_levels, stored_frames
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
    stored = stored_frames(bundle)
    search = kernel.PyramidSearch(stored, (coarsest.height, coarsest.width), threads)
    for frame, similar in progress(_similar(bundle, threads), "own distances", maps.count):
        if len(similar):
            squared, _ = search.nearest(frame_levels(stored, frame), similar, window=maps.window)
            own[frame] = np.minimum(np.sqrt(squared), _MOST)
    own.flush()
    return write_manifest(staging, manifest)


def _similar(bundle: Bundle, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each stored frame, and the numbers of those of other pictures that it would be compared with, int64 (K,)."""
    candidates, places, vectors = open_candidates(bundle, threads), open_places(bundle), stored_embeddings(bundle)
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
