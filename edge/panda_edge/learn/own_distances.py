"""What a normal cell is itself from other normal pictures: a search of the bank by its own frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from panda_edge.bundle.folder import Bundle
from panda_edge.bundle.manifest import Manifest
from panda_edge.bundle.model import default_threads
from panda_edge.learn.bundle_writer import write_manifest
from panda_edge.learn.progress import Progress
from panda_edge.learn.space import reserved_array
from panda_edge.learn.stored import stored_embeddings
from panda_edge.learn.team import ALONE, Team, shared
from panda_edge.search import kernel
from panda_edge.search.candidates import open_candidates, open_places
from panda_edge.search.gallery import frame_levels, stored_frames
from panda_edge.search.own_distances import OWN_DISTANCES_DTYPE, OWN_DISTANCES_FILE

_MOST = float(np.finfo(OWN_DISTANCES_DTYPE).max)


def with_own_distances(staging: Path, manifest: Manifest, progress: Progress, team: Team = ALONE) -> Manifest:
    """Write the own distances of all stored cells where the manifest takes a share of them off.

    A stored frame is searched in the similar frames of other pictures just as a new one would be. Where there is no
    other picture they are 0, and nothing can be told of what is usual.
    """
    if not manifest.segmentation.discount:
        return manifest
    bundle, maps, finest = Bundle(staging, manifest), manifest.segmentation, manifest.levels[-1]
    pictures = _frames_of_pictures(bundle)

    def work(own: Sequence[range]) -> Iterator[np.ndarray]:
        return _own_distances(bundle, own)

    found = progress(shared(team, pictures, work), "own distances", len(pictures))
    if team.first:
        shape = maps.count, finest.height, finest.width
        file = reserved_array(staging / OWN_DISTANCES_FILE, OWN_DISTANCES_DTYPE, shape)
        for frames, distances in zip(pictures, found, strict=True):
            file[frames.start : frames.stop] = distances
        file.flush()
    else:
        deque(found, maxlen=0)
    return team.firsts(lambda: write_manifest(staging, manifest))


def _frames_of_pictures(bundle: Bundle) -> list[range]:
    """The stored frames of each picture, which lie together."""
    places, count = open_places(bundle), bundle.manifest.segmentation.count
    if places is None:
        return [range(number, number + 1) for number in range(count)]
    begins = np.flatnonzero(np.diff(places.pictures(), prepend=-1)).tolist()
    return [range(begin, end) for begin, end in zip(begins, [*begins[1:], count], strict=True)]


def _own_distances(bundle: Bundle, pictures: Sequence[range]) -> Iterator[np.ndarray]:
    """Of these stored pictures' frames, float16 (frames, height, width)."""
    manifest, threads = bundle.manifest, default_threads()
    maps, coarsest, finest = manifest.segmentation, manifest.levels[0], manifest.levels[-1]
    candidates, places, vectors = open_candidates(bundle, threads), open_places(bundle), stored_embeddings(bundle)
    stored = stored_frames(bundle)
    search = kernel.PyramidSearch(stored, (coarsest.height, coarsest.width), threads)
    for frames in pictures:
        begin, end = frames.start, frames.stop
        lie = [(0, 0)] * len(frames) if places is None else _rows_and_columns(places.rows[begin:end])
        exclude = begin if places is None else int(places.pictures()[begin])
        similar = candidates.nearest(vectors[begin:end], maps.neighbors, lie, exclude=exclude)
        own = np.zeros((len(frames), finest.height, finest.width), OWN_DISTANCES_DTYPE)
        for i, (_, numbers) in enumerate(similar):
            if len(numbers):
                squared, _ = search.nearest(frame_levels(stored, begin + i), numbers, window=maps.window)
                own[i] = np.minimum(np.sqrt(squared), _MOST)
        yield own


def _rows_and_columns(places: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for _, row, column in places]
