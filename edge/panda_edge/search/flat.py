"""M descriptors for all normal images: k-means centres (PANDA §4.3.3) or a k-centre coreset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge.search import kernel
from panda_edge.search.level_files import unnest
from panda_edge.search.query import Found, Query


class FlatGallery:
    """The nearest of M stored descriptors. Each level's share is computed once a cell of that level."""

    needs_neighbors = False

    def __init__(self, descriptors: Sequence[kernel.Rows], grid: tuple[int, int], threads: int) -> None:
        self._search = kernel.MeanSearch(list(descriptors), grid, threads=threads)

    def search(self, query: Query) -> Found:
        squared, _ = self._search.nearest(list(query.levels), query.active_cells)
        return Found(squared)


class LevelMeansGallery:
    """The nearest of M means of each level by itself: the levels' squared distances add up.

    So M means a level stand for M^levels joint descriptors, normal together or not.
    """

    needs_neighbors = False

    def __init__(self, means: Sequence[kernel.Rows], cells: Sequence[int], grid: tuple[int, int], threads: int) -> None:
        """means: coarse first, each (M, channels); cells: of each level; grid: of the coarsest."""
        # A search over one level keeps the order of its cells: nested in, nested out.
        self._searches = [
            kernel.MeanSearch([level], (1, count), threads) for level, count in zip(means, cells, strict=True)
        ]
        self._grid = grid

    def search(self, query: Query) -> Found:
        squared = np.zeros(1, np.float32)
        coarsest = None if query.active_cells is None else query.active_cells.reshape(1, -1)
        for search, level in zip(self._searches, query.levels, strict=True):
            cells = None if coarsest is None else coarsest.repeat(len(level) // coarsest.size, axis=1)
            nearest, _ = search.nearest([level], cells)
            squared = np.repeat(squared, nearest.size // squared.size) + nearest[0]
        return Found(unnest(squared, self._grid))
