"""Joint descriptors in hnswlib's graph: approximate, for comparison with the exact search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from panda_edge.search.embedding import HnswBank
from panda_edge.search.level_files import joint_descriptors, unnest
from panda_edge.search.query import Found, Query


class JointHnswGallery:
    needs_neighbors = False

    def __init__(self, path: Path, count: int, size: int, ef: int, grid: tuple[int, int], threads: int) -> None:
        self._index = HnswBank(path, count, size, ef, threads)
        self._grid = grid

    def search(self, query: Query) -> Found:
        descriptors = joint_descriptors(query.levels)
        cells = np.ones(len(descriptors), dtype=bool)
        if query.active_cells is not None:
            cells = query.active_cells.ravel().repeat(len(descriptors) // query.active_cells.size)
        squared = np.zeros(len(descriptors), np.float32)
        squared[cells] = self._index.nearest(descriptors[cells], 1)[0][:, 0]
        return Found(unnest(squared, self._grid))
