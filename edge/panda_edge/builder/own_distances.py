"""What a normal cell is itself from other normal pictures: a search of the bank by its own frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from panda_edge.builder.bundle_writer import write_manifest
from panda_edge.builder.process_group import ALONE, ProcessGroup, shared
from panda_edge.builder.progress import Progress
from panda_edge.builder.space import reserved_array
from panda_edge.builder.stored import stored_embeddings
from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.search import kernel
from panda_edge.search.candidates import open_candidates, open_places
from panda_edge.search.gallery import frame_levels, stored_frames
from panda_edge.search.own_distances import OWN_DISTANCES_DTYPE, OWN_DISTANCES_FILE

_MOST = float(np.finfo(OWN_DISTANCES_DTYPE).max)


def with_own_distances(staging: Path, manifest: Manifest, progress: Progress, group: ProcessGroup = ALONE) -> Manifest:
    """Write the own distances of all stored cells where the manifest takes a share of them off.

    A stored frame is searched in the similar frames of other pictures just as a new one would be. Where there is no
    other picture they are 0, and nothing can be told of what is usual.
    """
    if not manifest.segmentation.discount:
        return manifest
    bundle = Bundle(staging, manifest)
    write_own_distances(bundle, OWN_DISTANCES_FILE, stored_frames(bundle), "own distances", progress, group)
    return group.on_rank_zero(lambda: write_manifest(staging, manifest))


def write_own_distances(
    bundle: Bundle, name: str, stored: Sequence[kernel.Rows], stage: str, progress: Progress, group: ProcessGroup
) -> None:
    """Write the file `name`: of each cell of the finest of these levels of all stored frames, its own distance."""
    coarsest, maps = bundle.manifest.levels[0], bundle.manifest.segmentation
    pictures, depth = frames_of_pictures(bundle), len(stored) - 1
    height, width = coarsest.height << depth, coarsest.width << depth

    def work(own: Sequence[range]) -> Iterator[np.ndarray]:
        return _own_distances(bundle, stored, own, (height, width))

    found = progress(shared(group, pictures, work), stage, len(pictures))
    if group.is_rank_zero:
        file = reserved_array(bundle.path / name, OWN_DISTANCES_DTYPE, (maps.count, height, width))
        for frames, distances in zip(pictures, found, strict=True):
            file[frames.start : frames.stop] = distances
        file.flush()
    else:
        deque(found, maxlen=0)


def frames_of_pictures(bundle: Bundle) -> list[range]:
    """The stored frames of each picture, which lie together."""
    places, count = open_places(bundle), bundle.manifest.segmentation.count
    if places is None:
        return [range(number, number + 1) for number in range(count)]
    begins = np.flatnonzero(np.diff(places.pictures(), prepend=-1)).tolist()
    return [range(begin, end) for begin, end in zip(begins, [*begins[1:], count], strict=True)]


def similar_frames(bundle: Bundle, pictures: Sequence[range]) -> Iterator[list[np.ndarray]]:
    """Of each of these stored pictures: of each of its frames, the numbers of the similar ones of other pictures."""
    candidates, places = open_candidates(bundle, default_threads()), open_places(bundle)
    vectors, neighbors = stored_embeddings(bundle), bundle.manifest.segmentation.neighbors
    for frames in pictures:
        begin, end = frames.start, frames.stop
        lie = [(0, 0)] * len(frames) if places is None else _rows_and_columns(places.rows[begin:end])
        exclude = begin if places is None else int(places.pictures()[begin])
        yield [numbers for _, numbers in candidates.nearest(vectors[begin:end], neighbors, lie, exclude=exclude)]


def _own_distances(
    bundle: Bundle, stored: Sequence[kernel.Rows], pictures: Sequence[range], shape: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Of these stored pictures' frames, float16 (frames, *shape)."""
    maps, coarsest = bundle.manifest.segmentation, bundle.manifest.levels[0]
    search = kernel.PyramidSearch(list(stored), (coarsest.height, coarsest.width), default_threads())
    for frames, similar in zip(pictures, similar_frames(bundle, pictures), strict=True):
        own = np.zeros((len(frames), *shape), OWN_DISTANCES_DTYPE)
        for i, numbers in enumerate(similar):
            if len(numbers):
                squared, _ = search.nearest(frame_levels(stored, frames.start + i), numbers, window=maps.window)
                own[i] = np.minimum(np.sqrt(squared), _MOST)
        yield own


def _rows_and_columns(places: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for _, row, column in places]
