"""M joint descriptors for all normal images: k-means centres (PANDA §4.3.3) or a k-centre coreset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panda_edge import kernel


class FlatGallery:
    """The nearest of M stored descriptors. Each level's share is computed once a cell of that level."""

    needs_neighbors = False

    def __init__(self, descriptors: Sequence[np.ndarray], grid: tuple[int, int], threads: int) -> None:
        self._search = kernel.MeanSearch(list(descriptors), grid, threads=threads)

    def distances(self, levels: Sequence[np.ndarray], neighbors: np.ndarray | None) -> np.ndarray:
        squared, _ = self._search.nearest(list(levels))
        return squared
